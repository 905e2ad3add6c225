//! All patterns of one separator, matched together.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{Level, Pattern, is_hidden};

/// Values stored under patterns; a name finds the values of every pattern that it matches in time
/// that depends on the depth of the name and not on the number of patterns.
#[derive(Debug)]
pub(crate) struct Trie<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    literal: HashMap<Arc<str>, Node<T>, RandomState>,
    one: Option<Box<Node<T>>>,
    rest: Option<T>,
    here: Option<T>,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            literal: HashMap::default(),
            one: None,
            rest: None,
            here: None,
        }
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.one.is_none() && self.rest.is_none() && self.here.is_none()
    }

    fn slot(&mut self, levels: &[Level]) -> &mut Option<T> {
        match levels.split_first() {
            None => &mut self.here,
            Some((Level::Rest, _)) => &mut self.rest,
            Some((Level::One, below)) => self.one.get_or_insert_default().slot(below),
            Some((Level::Literal(text), below)) => {
                self.literal.entry(text.clone()).or_default().slot(below)
            }
        }
    }

    fn remove(&mut self, levels: &[Level]) -> Option<T> {
        match levels.split_first() {
            None => self.here.take(),
            Some((Level::Rest, _)) => self.rest.take(),
            Some((Level::One, below)) => {
                let child = self.one.as_mut()?;
                let removed = child.remove(below);
                if child.is_empty() {
                    self.one = None;
                }
                removed
            }
            Some((Level::Literal(text), below)) => {
                let child = self.literal.get_mut(text)?;
                let removed = child.remove(below);
                if child.is_empty() {
                    self.literal.remove(text);
                }
                removed
            }
        }
    }

    fn visit<'t>(
        &'t self,
        mut parts: std::str::Split<'_, char>,
        wild: bool,
        found: &mut impl FnMut(&'t T),
    ) {
        if wild && let Some(value) = &self.rest {
            found(value);
        }
        match parts.next() {
            None => {
                if let Some(value) = &self.here {
                    found(value);
                }
            }
            Some(part) => {
                if let Some(child) = self.literal.get(part) {
                    child.visit(parts.clone(), true, found);
                }
                if wild && let Some(child) = &self.one {
                    child.visit(parts, true, found);
                }
            }
        }
    }
}

impl<T> Trie<T> {
    /// The value of `pattern`, made when there is none.
    pub(crate) fn entry(&mut self, pattern: &Pattern, make: impl FnOnce() -> T) -> &mut T {
        self.root.slot(pattern.levels()).get_or_insert_with(make)
    }

    /// Takes the value of `pattern` out, with every node that only led there.
    pub(crate) fn remove(&mut self, pattern: &Pattern) -> Option<T> {
        self.root.remove(pattern.levels())
    }

    /// Calls `found` for every value whose pattern `name` matches.
    pub(crate) fn visit<'t>(&'t self, name: &str, separator: char, mut found: impl FnMut(&'t T)) {
        // Names that begin with `$` are out of reach for a wildcard in the first level.
        self.root.visit(
            name.split(separator),
            !is_hidden(name, separator),
            &mut found,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_removed_pattern_leaves_nothing_behind() {
        let mut trie = Trie::default();
        let pattern = Pattern::mqtt("a/+/b/#").unwrap();
        *trie.entry(&pattern, || 0) += 1;
        assert_eq!(trie.remove(&pattern), Some(1));
        assert!(trie.root.is_empty());
        assert_eq!(trie.remove(&pattern), None);
    }

    proptest! {
        /// The trie finds exactly the patterns that match one by one.
        #[test]
        fn agrees_with_the_single_matcher(
            filters in prop::collection::vec("(([ab$]|\\+|)/){0,3}([ab$]|\\+|#|)", 1..20),
            name in "([ab$]{0,2}/){0,3}[ab]{0,1}",
        ) {
            let patterns: std::collections::BTreeSet<_> =
                filters.into_iter().filter(|filter| Pattern::mqtt(filter).is_ok()).collect();
            let mut trie = Trie::default();
            for filter in &patterns {
                trie.entry(&Pattern::mqtt(filter).unwrap(), || filter.clone());
            }
            let mut found = Vec::new();
            trie.visit(&name, '/', |filter| found.push(filter.clone()));
            found.sort();
            let expected: Vec<_> = patterns
                .into_iter()
                .filter(|filter| Pattern::mqtt(filter).unwrap().matches(&name))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
