//! Targets: the channels that a key is for.

use sha2::{Digest as _, Sha256};

use super::murmur::murmur;

/// Levels of a target, at most: each has a bit in the key.
const LEVELS_MAX: usize = 23;

/// Bytes of our digest of a target.
pub(super) const DIGEST_LENGTH: usize = 15;

/// The target of an existing key whose path bits are all zero and that is for everything.
const MURMUR_OF_NOTHING: u32 = 1_325_880_984;

/// A target as it is written: `a/b/` is one channel, `a/+/` has any one level there, `a/#/` is `a/` and all below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pattern<'t> {
    levels: &'t str,
    is_exact: bool,
}

/// Why a text is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTarget {
    #[error("The channel must end with a slash.")]
    NoSlash,
    #[error("A level of the channel is empty or has a character that no channel has.")]
    BadLevel,
    #[error("The channel has more than {LEVELS_MAX} levels.")]
    TooDeep,
}

impl<'t> Pattern<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, InvalidTarget> {
        let levels = text.strip_suffix('/').ok_or(InvalidTarget::NoSlash)?;
        let (levels, is_exact) = match levels.strip_suffix('#') {
            None => (levels, true),
            Some("") => ("", false),
            Some(above) => (
                above.strip_suffix('/').ok_or(InvalidTarget::BadLevel)?,
                false,
            ),
        };
        let pattern = Self { levels, is_exact };
        if is_exact && levels.is_empty() {
            return Err(InvalidTarget::BadLevel);
        }
        let is_level = |level: &str| level == "+" || Self::is_level(level);
        if !pattern.levels().all(is_level) {
            return Err(InvalidTarget::BadLevel);
        }
        if pattern.levels().count() > LEVELS_MAX {
            return Err(InvalidTarget::TooDeep);
        }
        Ok(pattern)
    }

    fn levels(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        levels_of(self.levels)
    }

    /// True for a level that a channel may have.
    pub(crate) fn is_level(level: &str) -> bool {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:_$[\\]^`".contains(&byte);
        !level.is_empty() && level.bytes().all(is_safe)
    }

    /// True when no level is a wildcard, but for a last one for all below.
    pub(crate) fn is_static(&self) -> bool {
        self.levels().all(|level| level != "+")
    }

    /// True for one that is not for channels below it.
    pub(crate) fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// The levels, without a last slash or wildcard.
    pub(crate) fn as_path(&self) -> &'t str {
        self.levels
    }
}

/// The levels of a channel that is written without its last slash.
fn levels_of(path: &str) -> impl Iterator<Item = &str> {
    let levels = (!path.is_empty()).then(|| path.split('/'));
    levels.into_iter().flatten()
}

/// A target as it stands in a key: not its text, but a digest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) is_exact: bool,
    /// Bit 22 is the first level: 1 for a text, 0 for a wildcard.
    pub(super) fixed: u32,
    pub(super) digest: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digest {
    /// Of a key of ours, which also knows how many levels there are.
    Own {
        depth: u8,
        digest: [u8; DIGEST_LENGTH],
    },
    /// Of an existing key.
    Murmur(u32),
}

impl Target {
    /// The target of a key of ours.
    pub(super) fn own(pattern: &Pattern<'_>) -> Self {
        let (mut depth, mut fixed) = (0, 0);
        for level in pattern.levels() {
            fixed |= u32::from(level != "+") << bit(depth);
            depth += 1;
        }
        Self {
            is_exact: pattern.is_exact,
            fixed,
            digest: Digest::Own {
                depth: u8::try_from(depth).unwrap_or(u8::MAX),
                digest: digest(pattern.levels),
            },
        }
    }

    /// True when a channel is covered; it is written without its last slash, and without `#` where it is a filter.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let count = levels_of(path).count();
        match self.digest {
            Digest::Own {
                depth,
                digest: known,
            } => {
                let depth = usize::from(depth);
                let fits = if self.is_exact {
                    count == depth
                } else {
                    count >= depth
                };
                fits && digest(&self.wild(path, depth)) == known
            }
            Digest::Murmur(known) => self.covers_as_existing(path, count, known),
        }
    }

    /// The depth of an existing target is not in its key: only that it has as many levels as have a bit.
    fn covers_as_existing(&self, path: &str, count: usize, known: u32) -> bool {
        if self.is_exact {
            return count <= LEVELS_MAX && murmur(self.wild(path, count).as_bytes()) == known;
        }
        if self.fixed == 0 {
            // `#/`, and keys from before there were paths, which are for a first level and all below.
            let first = levels_of(path).next().unwrap_or_default();
            if known == MURMUR_OF_NOTHING || murmur(first.as_bytes()) == known {
                return true;
            }
        }
        let last_fixed = LEVELS_MAX - (self.fixed.trailing_zeros() as usize).min(LEVELS_MAX);
        (last_fixed.max(1)..=count.min(LEVELS_MAX))
            .any(|depth| murmur(self.wild(path, depth).as_bytes()) == known)
    }

    /// The first levels of a channel, with wildcards where the target has some.
    fn wild(&self, path: &str, depth: usize) -> String {
        let mut wild = String::with_capacity(path.len());
        for (index, level) in levels_of(path).take(depth).enumerate() {
            if index > 0 {
                wild.push('/');
            }
            let is_fixed = self.fixed >> bit(index) & 1 == 1;
            // A wildcard of the channel is no text of the target.
            wild.push_str(if is_fixed && level != "+" {
                level
            } else if is_fixed {
                "\0"
            } else {
                "+"
            });
        }
        wild
    }
}

/// The bit of a level.
fn bit(index: usize) -> usize {
    (LEVELS_MAX - 1).saturating_sub(index)
}

fn digest(path: &str) -> [u8; DIGEST_LENGTH] {
    let mut short = [0; DIGEST_LENGTH];
    short.copy_from_slice(&Sha256::digest(path)[..DIGEST_LENGTH]);
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(target: &str, path: &str) -> bool {
        Target::own(&Pattern::parse(target).unwrap()).covers(path)
    }

    #[test]
    fn targets_cover_what_they_say() {
        assert!(covers("a/b/", "a/b"));
        assert!(!covers("a/b/", "a") && !covers("a/b/", "a/b/c") && !covers("a/b/", "a/c"));
        assert!(!covers("a/b/", "a/+"), "a wildcard is no level");
        assert!(covers("a/+/c/", "a/b/c") && covers("a/+/c/", "a/+/c"));
        assert!(!covers("a/+/c/", "a/b/d"));
        assert!(covers("a/b/#/", "a/b") && covers("a/b/#/", "a/b/c/d"));
        assert!(!covers("a/b/#/", "a"));
        assert!(covers("#/", "a") && covers("#/", "a/b/c"));
        assert!(covers("+/", "a") && !covers("+/", "a/b"));
        assert!(covers("a/+/#/", "a/b/c") && !covers("a/+/#/", "a"));
    }

    #[test]
    fn texts_that_are_no_targets() {
        for (text, problem) in [
            ("a", InvalidTarget::NoSlash),
            ("", InvalidTarget::NoSlash),
            ("/", InvalidTarget::BadLevel),
            ("a//", InvalidTarget::BadLevel),
            ("a/#/b/", InvalidTarget::BadLevel),
            ("a#/", InvalidTarget::BadLevel),
            ("a b/", InvalidTarget::BadLevel),
            (&"a/".repeat(24), InvalidTarget::TooDeep),
        ] {
            assert_eq!(Pattern::parse(text), Err(problem), "{text:?}");
        }
        assert!(Pattern::parse(&"a/".repeat(23)).is_ok());
        assert!(Pattern::parse("#/").is_ok_and(|all| all.is_static() && !all.is_exact()));
    }

    /// What the protocol says, level by level.
    fn covers_by_the_book(target: &str, path: &str) -> bool {
        let levels = target.strip_suffix("#/").unwrap_or(target);
        let levels: Vec<_> = levels.split_terminator('/').collect();
        let path: Vec<_> = path.split('/').collect();
        let fits = if target.ends_with("#/") {
            path.len() >= levels.len()
        } else {
            path.len() == levels.len()
        };
        fits && levels.iter().zip(path).all(|(level, other)| match *level {
            "+" => true,
            level => level == other,
        })
    }

    proptest! {
        #[test]
        fn digests_say_what_the_levels_say(
            target in "(([ab]|\\+)/){0,4}(#/|[ab]/)",
            path in "(([ab]|\\+)/){0,4}[ab+]",
        ) {
            let pattern = Pattern::parse(&target).unwrap();
            let expected = covers_by_the_book(&target, &path);
            prop_assert_eq!(Target::own(&pattern).covers(&path), expected);
            // The same target in an existing key, which does not know its depth.
            let own = Target::own(&pattern);
            let existing = Target { digest: Digest::Murmur(murmur(pattern.as_path().as_bytes())), ..own };
            if pattern.is_exact() || own.fixed != 0 {
                prop_assert_eq!(existing.covers(&path), expected);
            }
        }

        #[test]
        fn any_text_is_a_target_or_not(text in "\\PC*", near in "[a/+#]{0,60}") {
            for text in [text, near] {
                if let Ok(pattern) = Pattern::parse(&text) {
                    prop_assert!(Target::own(&pattern).covers(pattern.as_path()) || pattern.as_path().is_empty()
                        || pattern.as_path().contains('+'));
                }
            }
        }
    }
}
