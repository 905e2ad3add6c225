//! Values that the parts of an expression come to.

use serde_json::Value as Json;

/// What a part of an expression comes to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'m> {
    /// It is not there, or cannot be computed.
    Missing,
    Truth(bool),
    Number(f64),
    Text(&'m str),
    /// An array, an object, or null.
    Other(&'m Json),
}

impl<'m> Value<'m> {
    pub(super) fn of(json: &'m Json) -> Self {
        match json {
            Json::Bool(truth) => Self::Truth(*truth),
            Json::Number(number) => number.as_f64().map_or(Self::Missing, Self::Number),
            Json::String(text) => Self::Text(text),
            other => Self::Other(other),
        }
    }

    pub(super) fn is_true(self) -> bool {
        matches!(self, Self::Truth(true))
    }

    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// How long it is: bytes of a text, elements of an array.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Other(Json::Array(elements)) => elements.len(),
            _ => 1,
        }
    }

    /// None for values that cannot be compared.
    pub(super) fn equals(self, other: Self) -> Option<bool> {
        match (self, other) {
            (Self::Truth(a), Self::Truth(b)) => Some(a == b),
            (Self::Number(a), Self::Number(b)) => Some(a == b),
            (Self::Text(a), Self::Text(b)) => Some(a == b),
            _ => None,
        }
    }

    /// A text with a part that is another text, or an array with an element that equals.
    pub(super) fn contains(self, other: Self) -> bool {
        match (self, other) {
            (Self::Text(text), Self::Text(part)) => text.contains(part),
            (Self::Other(Json::Array(elements)), element) => elements
                .iter()
                .any(|candidate| Value::of(candidate).equals(element) == Some(true)),
            _ => false,
        }
    }
}
