//! Wildcards: one matcher for several syntaxes.

mod trie;

pub(crate) use self::trie::Trie;

use std::{fmt, sync::Arc};

/// One part of a [`Pattern`] between separators.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// This text.
    Literal(Arc<str>),
    /// Any one level: MQTT's `+`, PubNub's `*`.
    One,
    /// Any number of levels, also none; only at the end: MQTT's `#`.
    Rest,
}

/// A set of channel names: levels between separators, some of them wild.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    separator: char,
    levels: Arc<[Level]>,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// There is nothing in it.
    #[error("a pattern must not be empty")]
    Empty,
    /// `#` stands before the end.
    #[error("a wildcard for all remaining levels must be the last level")]
    RestNotLast,
    /// A wildcard shares its level with text.
    #[error("a wildcard must be a level of its own")]
    MixedLevel,
}

impl Pattern {
    /// A pattern of `levels` between `separator`s.
    ///
    /// # Errors
    /// No levels, or [`Level::Rest`] before the end.
    pub fn new(separator: char, levels: Vec<Level>) -> Result<Self, InvalidPattern> {
        let Some((_, before)) = levels.split_last() else {
            return Err(InvalidPattern::Empty);
        };
        if before.contains(&Level::Rest) {
            return Err(InvalidPattern::RestNotLast);
        }
        Ok(Self {
            separator,
            levels: levels.into(),
        })
    }

    /// An MQTT topic filter: levels between `/`, `+` for one and `#` for the rest.
    ///
    /// # Errors
    /// See [MQTT 5.0 section 4.7.1](https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html).
    pub fn mqtt(filter: &str) -> Result<Self, InvalidPattern> {
        if filter.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        let levels = filter.split('/').map(|level| match level {
            "+" => Ok(Level::One),
            "#" => Ok(Level::Rest),
            _ if level.contains(['+', '#']) => Err(InvalidPattern::MixedLevel),
            _ => Ok(Level::Literal(level.into())),
        });
        Self::new('/', levels.collect::<Result<_, _>>()?)
    }

    /// A PubNub wildcard: levels between `.`, the last of them `*`.
    ///
    /// # Errors
    /// A name that does not end in `.*`, or has another `*`, is not a wildcard.
    pub fn pubnub(name: &str) -> Result<Self, InvalidPattern> {
        let prefix = name.strip_suffix(".*").ok_or(InvalidPattern::MixedLevel)?;
        if prefix.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if prefix.contains('*') {
            return Err(InvalidPattern::MixedLevel);
        }
        let literal = prefix.split('.').map(|level| Level::Literal(level.into()));
        Self::new('.', literal.chain([Level::One]).collect())
    }

    /// Every name.
    pub fn everything() -> Self {
        Self {
            // In no protocol; and wildcards hide nothing where names are not those of MQTT.
            separator: '\0',
            levels: [Level::Rest].into(),
        }
    }

    /// What stands between levels.
    pub fn separator(&self) -> char {
        self.separator
    }

    /// The levels.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// True when `name` is in the set.
    ///
    /// Where levels are those of MQTT a wildcard in the first one does not match names that begin with `$`, which
    /// servers keep for themselves (MQTT 5.0 section 4.7.2).
    pub fn matches(&self, name: &str) -> bool {
        let is_wild = !matches!(self.levels.first(), Some(Level::Literal(_)));
        if is_wild && is_hidden(name, self.separator) {
            return false;
        }
        let mut parts = name.split(self.separator);
        for level in self.levels.iter() {
            match level {
                Level::Rest => return true,
                Level::One if parts.next().is_some() => {}
                Level::Literal(text) if parts.next() == Some(text) => {}
                Level::One | Level::Literal(_) => return false,
            }
        }
        parts.next().is_none()
    }
}

impl Pattern {
    /// True when this pattern matches every name that `other` matches. False also where that cannot be told, as for
    /// wildcards between different separators.
    pub fn covers(&self, other: &Self) -> bool {
        if self == &Self::everything() {
            return true;
        }
        if self.separator == other.separator {
            return self.covers_levels(other);
        }
        let [literals @ .., Level::Rest] = &*self.levels else {
            return false;
        };
        if literals.contains(&Level::One) {
            return false;
        }
        let others = other.begins();
        if literals.is_empty() {
            // Of a pattern that is wild from its beginning it is not known what it hides.
            return !others.is_empty() && !is_hidden(&others, self.separator);
        }
        let mut below = self.begins();
        below.push(self.separator);
        others.starts_with(&below)
    }

    fn covers_levels(&self, other: &Self) -> bool {
        let is_wild = |pattern: &Self| !matches!(pattern.levels.first(), Some(Level::Literal(_)));
        if is_wild(self)
            && let Some(Level::Literal(first)) = other.levels.first()
            && is_hidden(first, self.separator)
        {
            return false;
        }
        let (mut own, mut others) = (self.levels.iter(), other.levels.iter());
        loop {
            match (own.next(), others.next()) {
                (Some(Level::Rest), _) | (None, None) => return true,
                (Some(Level::One), Some(Level::One | Level::Literal(_))) => {}
                (Some(Level::Literal(own)), Some(Level::Literal(other))) if own == other => {}
                _ => return false,
            }
        }
    }

    /// What all names that match begin with: the levels before the first wildcard, with the separator behind them.
    pub fn begins(&self) -> String {
        let mut begins = String::new();
        for (index, level) in self.levels.iter().enumerate() {
            let Level::Literal(text) = level else {
                break;
            };
            begins.push_str(text);
            let is_before_rest = self.levels.get(index + 1) == Some(&Level::Rest);
            let is_last = index + 1 == self.levels.len();
            if !is_last && !is_before_rest {
                begins.push(self.separator);
            }
        }
        begins
    }
}

/// True for names that a wildcard in the first level does not match.
fn is_hidden(name: &str, separator: char) -> bool {
    separator == '/' && name.starts_with('$')
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern(")?;
        for (index, level) in self.levels.iter().enumerate() {
            if index > 0 {
                write!(f, "{}", self.separator)?;
            }
            match level {
                Level::Literal(text) => write!(f, "{text}")?,
                Level::One => write!(f, "+")?,
                Level::Rest => write!(f, "#")?,
            }
        }
        write!(f, ")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mqtt(filter: &str, name: &str) -> bool {
        Pattern::mqtt(filter).unwrap().matches(name)
    }

    #[test]
    fn mqtt_filters_match_as_the_standard_says() {
        assert!(mqtt("sport/+/score", "sport/tennis/score"));
        assert!(!mqtt("sport/+", "sport"));
        assert!(mqtt("sport/#", "sport"));
        assert!(mqtt("sport/#", "sport/a/b"));
        assert!(mqtt("+/+", "/finance"));
        assert!(!mqtt("+", "/finance"));
        assert!(mqtt("#", "a/b"));
        assert!(!mqtt("#", "$SYS/a"));
        assert!(!mqtt("+/a", "$SYS/a"));
        assert!(mqtt("$SYS/#", "$SYS/a"));
        assert_eq!(Pattern::mqtt("a/#/b"), Err(InvalidPattern::RestNotLast));
        assert_eq!(Pattern::mqtt("a/b#"), Err(InvalidPattern::MixedLevel));
        assert_eq!(Pattern::mqtt(""), Err(InvalidPattern::Empty));
    }

    proptest::proptest! {
        /// Whatever matches a pattern matches every pattern that covers it.
        #[test]
        fn what_is_covered_matches(
            own in "(([ab$]|\\+)/){0,3}([ab$]|\\+|#)",
            other in "(([ab$]|\\+)/){0,3}([ab$]|\\+|#)|[ab$]{1,2}(/[ab]){0,2}(\\.[ab]){0,2}\\.\\*",
            name in "(([ab$]{1,2})[/.]){0,3}[ab]?",
        ) {
            let own = Pattern::mqtt(&own).unwrap();
            let other = Pattern::pubnub(&other).or_else(|_| Pattern::mqtt(&other)).unwrap();
            if own.covers(&other) && other.matches(&name) {
                proptest::prop_assert!(own.matches(&name));
            }
        }
    }

    #[test]
    fn patterns_cover_what_lies_below_them() {
        let covers = |own: &str, other: &str| {
            let other = Pattern::pubnub(other).or_else(|_| Pattern::mqtt(other));
            Pattern::mqtt(own).unwrap().covers(&other.unwrap())
        };
        assert!(covers("a/#", "a/#") && covers("a/#", "a/+/c") && covers("a/#", "a"));
        assert!(covers("#", "a/#") && covers("+/b", "+/b") && covers("+/#", "+/b"));
        assert!(covers("a/#", "a/b.*") && covers("#", "a.*"));
        assert!(!covers("a/#", "ab.*") && !covers("a/+", "a/#") && !covers("#", "$SYS/#"));
        assert!(!covers("a/+/c", "a/b.*") && !covers("#", "$x.*") && !covers("a/b", "a/+"));
        assert!(Pattern::everything().covers(&Pattern::mqtt("$SYS/#").unwrap()));
    }

    #[test]
    fn everything_is_everything() {
        for name in ["a", "a/b", "$SYS/a", "$x", "a.b", "/", "\0"] {
            assert!(Pattern::everything().matches(name), "{name:?}");
        }
    }

    #[test]
    fn pubnub_wildcards_match_one_level() {
        let pattern = Pattern::pubnub("a.*").unwrap();
        assert!(pattern.matches("a.b"));
        assert!(!pattern.matches("a"));
        assert!(!pattern.matches("ax.b"));
        assert!(!pattern.matches("a.b.c"));
        for name in ["*", "a*", "a.*.b", ".*", "a"] {
            assert!(Pattern::pubnub(name).is_err(), "{name}");
        }
    }
}
