//! Retention rules: how much is kept of which channels.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Durability, PersistenceError};
use crate::{
    pattern::{InvalidPattern, Pattern},
    publication::Target,
};

/// How much is kept of a channel, and how safely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rule {
    /// Publications that are kept of a channel; `None` for no limit.
    pub entries_max: Option<usize>,
    /// Bytes of payload that are kept of a channel; `None` for no limit.
    pub bytes_max: Option<u64>,
    /// How long a publication is kept; `None` for no limit. A time to live that its publisher gave it counts
    /// too, whichever is shorter.
    pub age_max: Option<Duration>,
    /// What an acknowledgement promises: the best that the store can when it is `None`.
    pub durability: Option<Durability>,
}

const EVERYTHING: Rule = Rule {
    entries_max: None,
    bytes_max: None,
    age_max: None,
    durability: None,
};

/// How much is kept of which channels: the first rule whose pattern matches counts, else the default.
///
/// # Examples
/// ```
/// use polywire_core::{Channel, Pattern, Rule, Rules};
///
/// let rules = Rules::default().with(
///     Pattern::mqtt("sensors/#").unwrap(),
///     Rule { entries_max: Some(10), ..Rule::default() },
/// );
/// let channel = Channel::new("sensors/7").unwrap();
/// assert_eq!(rules.of(&channel.into()).entries_max, Some(10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    default: Rule,
    special: Vec<(Pattern, Rule)>,
}

impl Rules {
    /// The same for all channels.
    pub fn all(rule: Rule) -> Self {
        Self {
            default: rule,
            special: Vec::new(),
        }
    }

    /// Adds a rule for the channels of a pattern, after those that are there.
    #[must_use]
    pub fn with(mut self, pattern: Pattern, rule: Rule) -> Self {
        self.special.push((pattern, rule));
        self
    }

    /// The rule for a channel; for private messages of a client it is the default. Of the channels that apps use
    /// among themselves everything is kept: they clear away what they do not need.
    pub fn of(&self, target: &Target) -> &Rule {
        let Target::Channel(channel) = target else {
            return &self.default;
        };
        if channel.is_reserved() {
            return &EVERYTHING;
        }
        self.special
            .iter()
            .find(|(pattern, _)| pattern.matches(channel.as_str()))
            .map_or(&self.default, |(_, rule)| rule)
    }
}

/// `[[history.rules]]`: a [`Rule`] as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleSettings {
    /// The channels of the rule: an MQTT filter (`sport/#`) or a PubNub wildcard (`sport.*`). Default all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<String>,
    /// Messages that are kept of a channel. Default no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries_max: Option<usize>,
    /// Bytes of them; not with Redis. Default no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
    /// Seconds for which they are kept. Default no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_max_s: Option<u64>,
    /// What an acknowledgement means on disk: `synced`, or `memory`, which is written out soon after. Default: the best
    /// there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<DurabilitySetting>,
}

/// A [`Durability`] that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilitySetting {
    /// In memory; written out soon.
    Memory,
    /// On disk, synced.
    Synced,
}

impl RuleSettings {
    /// The rules that a list of settings makes.
    ///
    /// # Errors
    /// [`PersistenceError::Configuration`] for a pattern that is none, or two defaults.
    pub fn rules(settings: &[Self]) -> Result<Rules, PersistenceError> {
        let wrong = |what: String| PersistenceError::Configuration(what);
        let mut rules = Rules::default();
        let mut has_default = false;
        for setting in settings {
            let rule = setting.rule();
            let Some(filter) = &setting.channels else {
                if std::mem::replace(&mut has_default, true) {
                    return Err(wrong(
                        "Two persistence rules have no `channels`: give one of them a pattern."
                            .into(),
                    ));
                }
                rules.default = rule;
                continue;
            };
            let pattern = pattern(filter).map_err(|error| {
                wrong(format!(
                    "The persistence rule for {filter:?} is not valid: {error}. Write the channels as \
                     \"sport/#\" or \"sport.*\"."
                ))
            })?;
            rules.special.push((pattern, rule));
        }
        Ok(rules)
    }

    fn rule(&self) -> Rule {
        Rule {
            entries_max: self.entries_max,
            bytes_max: self.bytes_max,
            age_max: self.age_max_s.map(Duration::from_secs),
            durability: self.durability.map(|setting| match setting {
                DurabilitySetting::Memory => Durability::Memory,
                DurabilitySetting::Synced => Durability::Synced,
            }),
        }
    }
}

/// A pattern as people write it: an MQTT filter, or a PubNub wildcard.
fn pattern(text: &str) -> Result<Pattern, InvalidPattern> {
    if text.ends_with(".*") && !text.contains('/') {
        Pattern::pubnub(text)
    } else {
        Pattern::mqtt(text)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Channel, ClientId};

    use super::*;

    fn settings(channels: Option<&str>, entries: usize) -> RuleSettings {
        RuleSettings {
            channels: channels.map(Into::into),
            entries_max: Some(entries),
            ..RuleSettings::default()
        }
    }

    #[test]
    fn the_first_that_matches_counts() {
        let rules = RuleSettings::rules(&[
            settings(Some("a/b"), 1),
            settings(None, 2),
            settings(Some("a/#"), 3),
            settings(Some("s.*"), 4),
        ])
        .unwrap();
        let entries = |name: &str| {
            let target = Channel::new(name).unwrap().into();
            rules.of(&target).entries_max.unwrap()
        };
        assert_eq!(
            [entries("a/b"), entries("a/c"), entries("s.t"), entries("x")],
            [1, 3, 4, 2]
        );
        let own = Channel::new("$polywire/x").unwrap().into();
        assert_eq!(rules.of(&own), &Rule::default());
        let client = ClientId::new("a/b").unwrap().into();
        assert_eq!(rules.of(&client).entries_max, Some(2));
    }

    #[test]
    fn mistakes_are_said() {
        let error = |settings: &[RuleSettings]| RuleSettings::rules(settings).unwrap_err();
        let twice = error(&[settings(None, 1), settings(None, 2)]);
        assert!(twice.to_string().contains("give one of them a pattern"));
        let bad = error(&[settings(Some("a/#/b"), 1)]);
        assert!(bad.to_string().contains("\"a/#/b\" is not valid"), "{bad}");
    }
}
