//! A setting that is wrong.

use std::fmt;

/// A setting that is wrong. Its text is `setting: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, by its name within the section of its part, such as `name_bytes_max`.
    pub setting: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Problem {
    /// A problem of this setting.
    pub fn new(setting: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            message: message.into(),
        }
    }

    /// A problem of each of these settings that is zero, as the truth value beside its name says.
    pub fn zeros<'n>(settings: impl IntoIterator<Item = (&'n str, bool)>) -> Vec<Self> {
        Self::each("must be at least 1", settings)
    }

    /// A problem of each of these settings that is an empty text, as the truth value beside its name says.
    pub fn empty_texts<'n>(settings: impl IntoIterator<Item = (&'n str, bool)>) -> Vec<Self> {
        Self::each("must not be empty", settings)
    }

    fn each<'n>(message: &str, settings: impl IntoIterator<Item = (&'n str, bool)>) -> Vec<Self> {
        let settings = settings.into_iter();
        let wrong = settings.filter(|(_, is_wrong)| *is_wrong);
        wrong.map(|(name, _)| Self::new(name, message)).collect()
    }

    /// The same problem as it is named from outside: by the section and the setting.
    #[must_use]
    pub fn within(mut self, section: &str) -> Self {
        self.setting = format!("{section}.{}", self.setting);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_is_named() {
        let problems = Problem::zeros([("a", false), ("b", true)]);
        assert_eq!(problems, [Problem::new("b", "must be at least 1")]);
        let problem = Problem::empty_texts([("key", true)]).remove(0);
        let said = problem.within("apps.seth").to_string();
        assert_eq!(said, "apps.seth.key: must not be empty");
    }
}
