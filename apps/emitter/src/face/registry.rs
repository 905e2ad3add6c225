//! Who is subscribed to what on this node.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytestring::ByteString;
use parking_lot::RwLock;
use polywire_core::ClientId;
use serde::Serialize;

/// A connection as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Who {
    pub(crate) id: ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<ByteString>,
}

/// The subscriptions of all connections, by the levels of their paths.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<Node>);

#[derive(Debug, Default)]
struct Node {
    below: HashMap<Box<str>, Node>,
    here: BTreeMap<ClientId, Arc<Who>>,
}

impl Registry {
    pub(crate) fn add(&self, path: &str, who: &Arc<Who>) {
        let mut node = &mut *self.0.write();
        for level in levels(path) {
            node = node.below.entry(level.into()).or_default();
        }
        node.here.insert(who.id.clone(), who.clone());
    }

    pub(crate) fn remove(&self, path: &str, id: &ClientId) {
        self.0.write().remove(&mut levels(path), id);
    }

    /// Everybody whom a message on this channel would reach: who is subscribed to it, to one above it, or by
    /// wildcards; by their ids.
    pub(crate) fn reached(&self, path: &str) -> BTreeMap<ClientId, Arc<Who>> {
        let mut found = BTreeMap::new();
        self.0.read().visit(levels(path), &mut found);
        found
    }
}

fn levels(path: &str) -> impl Iterator<Item = &str> + Clone {
    let levels = (!path.is_empty()).then(|| path.split('/'));
    levels.into_iter().flatten()
}

impl Node {
    fn remove<'p>(&mut self, levels: &mut impl Iterator<Item = &'p str>, id: &ClientId) {
        match levels.next() {
            None => {
                self.here.remove(id);
            }
            Some(level) => {
                let Some(below) = self.below.get_mut(level) else {
                    return;
                };
                below.remove(levels, id);
                if below.here.is_empty() && below.below.is_empty() {
                    self.below.remove(level);
                }
            }
        }
    }

    fn visit<'p>(
        &self,
        mut levels: impl Iterator<Item = &'p str> + Clone,
        found: &mut BTreeMap<ClientId, Arc<Who>>,
    ) {
        let here = self.here.iter();
        found.extend(here.map(|(id, who)| (id.clone(), who.clone())));
        let Some(level) = levels.next() else {
            return;
        };
        if let Some(below) = self.below.get(level) {
            below.visit(levels.clone(), found);
        }
        if level != "+"
            && let Some(below) = self.below.get("+")
        {
            below.visit(levels, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reaches_those_above_and_by_wildcards() {
        let registry = Registry::default();
        let who = |id: &str| {
            Arc::new(Who {
                id: ClientId::new(id).unwrap(),
                username: None,
            })
        };
        let filters = ["a/b", "a", "", "a/+", "+/b", "a/b/c", "b"];
        for filter in filters {
            registry.add(filter, &who(&format!("on {filter}")));
        }
        let reached = |path: &str| {
            let reached = registry.reached(path).into_keys();
            reached
                .map(|id| id.as_str()[3..].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(reached("a/b"), ["", "+/b", "a", "a/+", "a/b"]);
        assert_eq!(reached("a/x/y"), ["", "a", "a/+"]);
        assert_eq!(reached("c"), [""]);
        for filter in filters {
            registry.remove(filter, &who(&format!("on {filter}")).id);
        }
        registry.remove("never", &who("x").id);
        let root = registry.0.read();
        assert!(root.here.is_empty() && root.below.is_empty());
    }
}
