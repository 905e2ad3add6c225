//! Wildcard patterns of group names, as roles have them.

use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

/// Characters `*` that a pattern may have, those of `**` counted one by one.
const STARS_MAX: usize = 5;

/// Characters of a pattern: as many as the longest name of a group.
const CHARS_MAX: usize = 1024;

/// A pattern of group names: `?` is one character, `*` any number of them and `**` the same with dots, which are in neither
/// of the others. A backslash before one of them, or before another backslash, takes it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wildcard(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Run,
    /// `**`
    RunWithDots,
}

/// For each part whether a match may go on with it, and behind the last.
type Places = SmallVec<[bool; 64]>;

impl Wildcard {
    /// Reads a pattern; `None` for an empty one, and where it is too long or has too many stars.
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        if pattern.is_empty() || pattern.chars().count() > CHARS_MAX {
            return None;
        }
        let (mut parts, mut stars) = (Vec::new(), 0);
        let mut chars = pattern.chars().peekable();
        while let Some(char) = chars.next() {
            parts.push(match char {
                '\\' => {
                    let is_escape = |next: &char| matches!(next, '\\' | '*' | '?');
                    Part::Literal(chars.next_if(is_escape).unwrap_or(char))
                }
                '?' => Part::One,
                '*' => {
                    stars += 1;
                    if chars.next_if_eq(&'*').is_some() {
                        stars += 1;
                        Part::RunWithDots
                    } else {
                        Part::Run
                    }
                }
                char => Part::Literal(char),
            });
        }
        (stars <= STARS_MAX).then_some(Self(parts))
    }

    /// True for a name that the pattern covers. It takes one step for each character of the name and part of the pattern at
    /// most, whatever they are.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let parts = &self.0;
        let mut places: Places = smallvec![false; parts.len() + 1];
        let mut next = places.clone();
        places[0] = true;
        self.skip_runs(&mut places);
        for char in name.chars() {
            next.fill(false);
            let here = parts.iter().enumerate().filter(|(at, _)| places[*at]);
            for (at, part) in here {
                match part {
                    Part::Literal(literal) if *literal == char => next[at + 1] = true,
                    Part::One if char != '.' => next[at + 1] = true,
                    Part::Run if char != '.' => next[at] = true,
                    Part::RunWithDots => next[at] = true,
                    _ => {}
                }
            }
            if !next.contains(&true) {
                return false;
            }
            self.skip_runs(&mut next);
            std::mem::swap(&mut places, &mut next);
        }
        places[parts.len()]
    }

    /// A run may be empty.
    fn skip_runs(&self, places: &mut Places) {
        for (at, part) in self.0.iter().enumerate() {
            if places[at] && matches!(part, Part::Run | Part::RunWithDots) {
                places[at + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Wildcard::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn patterns_cover_what_the_service_says() {
        for (pattern, covered, others) in [
            (
                "chat-*",
                &["chat-1", "chat-", "chat-room"][..],
                &["chat.1", "xchat-1", "chat-a.b"][..],
            ),
            (
                "tenant.*",
                &["tenant.a", "tenant."],
                &["tenant.a.b", "other.a", "tenant"],
            ),
            ("tenant.**", &["tenant.a", "tenant.a.b.c"], &["other.a"]),
            (
                "rooms.?1",
                &["rooms.a1", "rooms.11", "rooms.é1"],
                &["rooms.1", "rooms..1", "rooms.ab1"],
            ),
            (r"a\*b\?c\\d\e", &[r"a*b?c\d\e"], &["axbxc", r"a*b?cd\e"]),
            ("**x*y", &["a.b.xy", "x.x-y", "xy"], &["x.y", "xyz"]),
            ("*.*.*", &["a.b.c", ".."], &["a.b", "a.b.c.d"]),
            ("plain", &["plain"], &["plai", "plainer"]),
        ] {
            for name in covered {
                assert!(matches(pattern, name), "{pattern} {name}");
            }
            for name in others {
                assert!(!matches(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn what_is_too_much_is_no_pattern() {
        let long = "x".repeat(1025);
        for pattern in ["", "a*b*c*d*e*f*", "******", "**.**.**", &long] {
            assert_eq!(Wildcard::parse(pattern), None, "{pattern}");
        }
        assert!(Wildcard::parse(r"*****\*").is_some());
    }

    /// The same by trying everything.
    fn tries(parts: &[Part], name: &[char]) -> bool {
        let Some((part, rest)) = parts.split_first() else {
            return name.is_empty();
        };
        let run = |with_dots: bool| {
            let dots = name.iter().position(|char| *char == '.');
            let longest = dots.filter(|_| !with_dots).unwrap_or(name.len());
            (0..=longest).any(|length| tries(rest, &name[length..]))
        };
        match part {
            Part::Literal(literal) => name.first() == Some(literal) && tries(rest, &name[1..]),
            Part::One => name.first().is_some_and(|char| *char != '.') && tries(rest, &name[1..]),
            Part::Run => run(false),
            Part::RunWithDots => run(true),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_trying_everything(pattern in r"[ab.*?\\]{1,10}", name in "[ab.]{0,10}") {
            if let Some(wildcard) = Wildcard::parse(&pattern) {
                let chars: Vec<_> = name.chars().collect();
                prop_assert_eq!(wildcard.matches(&name), tries(&wildcard.0, &chars));
            }
        }
    }
}
