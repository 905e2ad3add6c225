//! Patterns of `LIKE`.

/// What `LIKE` compares with: texts in lower case, with anything between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Box<[Box<str>]>);

impl Pattern {
    /// Reads a pattern: `*` and `%` stand for anything.
    pub(super) fn new(text: &str) -> Self {
        let text = text.to_lowercase();
        Self(text.split(['*', '%']).map(Into::into).collect())
    }

    /// How many texts are looked for.
    pub(super) fn parts(&self) -> usize {
        self.0.len()
    }

    /// True when it matches a text in lower case. Takes time in proportion to the lengths of both.
    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, between @ ..] = &*self.0 else {
            return false;
        };
        let Some(mut rest) = text.strip_prefix(&**first) else {
            return false;
        };
        let [between @ .., last] = between else {
            // No wildcard: it must be the whole text.
            return rest.is_empty();
        };
        // Each part is looked for once, as early as possible: what follows then has the most room.
        for part in between {
            let Some(at) = rest.find(&**part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(&**last)
    }
}
