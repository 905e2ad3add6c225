//! The scope of a key: the channels that it is for, as the gate of the channel space asks.

use polywire_core::{Level, Pattern, ScopeMatcher};

use super::target::Target;

/// The channels that a key is for.
#[derive(Debug)]
pub(super) struct KeyScope {
    pub(super) target: Target,
    /// It is shown for this share group: what is for the group's name together with the channel's counts too.
    pub(super) group: Option<Box<str>>,
}

impl KeyScope {
    fn covers_path(&self, path: &str) -> bool {
        let of_group = |group: &str| self.target.covers(&format!("$share/{group}/{path}"));
        self.target.covers(path) || self.group.as_deref().is_some_and(of_group)
    }
}

impl ScopeMatcher for KeyScope {
    fn covers(&self, channel: &str) -> bool {
        self.covers_path(channel)
    }

    /// Who may subscribe to a channel gets what is below it too: that is how the protocol has it, also where a key is for
    /// the channel alone.
    fn covers_pattern(&self, pattern: &Pattern) -> bool {
        if pattern.separator() != '/' {
            return false;
        }
        match pattern.levels() {
            [above @ .., Level::One, Level::Rest] => {
                self.covers_path(&path(above)) || self.covers_path(&path_with_one(above))
            }
            [above @ .., Level::Rest] => self.covers_path(&path(above)),
            levels => self.covers_path(&path(levels)),
        }
    }
}

/// Levels as they stand in a path.
fn path(levels: &[Level]) -> String {
    let text = |level: &Level| match level {
        Level::Literal(text) => text.to_string(),
        Level::One | Level::Rest => "+".to_owned(),
    };
    levels.iter().map(text).collect::<Vec<_>>().join("/")
}

fn path_with_one(above: &[Level]) -> String {
    match above {
        [] => "+".to_owned(),
        above => format!("{}/+", path(above)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emitter_mode::keys::target;

    fn scope(target: &str, group: Option<&str>) -> KeyScope {
        KeyScope {
            target: Target::own(&target::Pattern::parse(target).unwrap()),
            group: group.map(Into::into),
        }
    }

    #[test]
    fn a_pattern_is_covered_by_the_path_that_it_was_made_from() {
        let covers = |target, pattern| {
            let pattern = Pattern::mqtt(pattern).unwrap();
            scope(target, None).covers_pattern(&pattern)
        };
        for (target, pattern) in [
            ("a/b/", "a/b/#"),
            ("a/b/", "a/b/+/#"),
            ("a/#/", "a/#"),
            ("a/#/", "a/+/c/#"),
            ("a/+/c/", "a/+/c/#"),
            ("#/", "#"),
            ("#/", "+/b/#"),
        ] {
            assert!(covers(target, pattern), "{target} {pattern}");
        }
        for (target, pattern) in [
            ("a/b/", "a/#"),
            ("a/b/", "a/+"),
            ("a/b/", "a/+/#"),
            ("a/b/", "#"),
            ("a/b/", "+/#"),
            ("a/b/", "+/b/#"),
            ("a/b/#/", "a/#"),
            ("a/b/#/", "a/c/#"),
            ("a/+/", "a/b/c/#"),
        ] {
            assert!(!covers(target, pattern), "{target} {pattern}");
        }
        let dots = Pattern::pubnub("a.*").unwrap();
        assert!(!scope("#/", None).covers_pattern(&dots));
    }

    #[test]
    fn the_name_of_a_share_group_counts_where_the_key_is_shown_for_it() {
        let pattern = Pattern::mqtt("a/#").unwrap();
        let with = |group| scope("$share/g/a/", group).covers_pattern(&pattern);
        assert!(with(Some("g")));
        assert!(!with(Some("h")) && !with(None));
        assert!(!scope("$share/g/b/", Some("g")).covers_pattern(&pattern));
    }
}
