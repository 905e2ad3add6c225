//! Settings of what is kept of which channels, whatever keeps it.

use polywire_core::{
    PersistenceError, RuleSettings, Rules,
    settings::{Problem, Settings},
};
use serde::Deserialize;

/// Messages that are kept of a channel where no rule says how many.
const ENTRIES_MAX: usize = 100_000;

/// Seconds for which they are kept: a week.
const AGE_MAX_S: u64 = 7 * 24 * 60 * 60;

/// `[history]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct HistorySection")]
pub struct HistorySettings {
    /// Bytes of memory that `persistence = "memory"` has for all channels together; then the oldest go first. Default 128 MiB.
    pub memory_bytes_max: usize,
    /// How much is kept of which channels, see below: the first whose channels match counts, and the one without
    /// channels is for all others. Default: of every channel 100,000 messages, for 7 days.
    pub rules: Vec<RuleSettings>,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self {
            memory_bytes_max: 128 << 20,
            rules: Vec::new(),
        }
    }
}

impl HistorySettings {
    /// The rules; one for all channels is among them.
    ///
    /// # Errors
    /// When a rule is not valid.
    pub fn rules(&self) -> Result<Rules, PersistenceError> {
        let mut rules = self.rules.clone();
        if rules.iter().all(|rule| rule.channels.is_some()) {
            rules.push(RuleSettings {
                entries_max: Some(ENTRIES_MAX),
                age_max_s: Some(AGE_MAX_S),
                ..RuleSettings::default()
            });
        }
        RuleSettings::rules(&rules)
    }
}

impl Settings for HistorySettings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problem::zeros([("memory_bytes_max", self.memory_bytes_max == 0)]);
        if let Err(error) = self.rules() {
            problems.push(Problem::new("rules", error.to_string()));
        }
        problems
    }
}
