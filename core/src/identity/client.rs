//! Clients: the identity behind one or more connections.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde::{Serialize, Serializer};

/// An identity: a PubNub uuid, a Seth subscriber_id, an Azure userId, an MQTT client id.
///
/// Several connections may carry the same one. Identities are equal when their texts are; whether
/// the client wrote its id as a JSON number only decides how it is written back.
#[derive(Clone)]
pub struct ClientId {
    text: Arc<str>,
    numeric: bool,
}

/// Why a text is not a client id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidClientId {
    /// The id has no characters.
    #[error("a client id must not be empty")]
    Empty,
}

impl ClientId {
    /// An id that is a text.
    ///
    /// # Errors
    /// An empty id is refused. Length limits belong to [`Limits`](crate::Limits).
    pub fn new(text: &str) -> Result<Self, InvalidClientId> {
        if text.is_empty() {
            return Err(InvalidClientId::Empty);
        }
        Ok(Self {
            text: text.into(),
            numeric: false,
        })
    }

    /// An id that its client wrote as a JSON number.
    pub fn number(number: &serde_json::Number) -> Self {
        Self {
            text: number.to_string().into(),
            numeric: true,
        }
    }

    /// The id as a text; for a number its decimal text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when the client wrote its id as a JSON number.
    pub fn is_numeric(&self) -> bool {
        self.numeric
    }
}

impl PartialOrd for ClientId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ClientId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialEq for ClientId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ClientId {}

impl Hash for ClientId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for ClientId {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({:?})", &*self.text)
    }
}

impl Serialize for ClientId {
    /// Writes the JSON type that the client used.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.numeric
            && let Ok(number) = serde_json::from_str::<serde_json::Number>(&self.text)
        {
            return number.serialize(serializer);
        }
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_matches_its_text_and_keeps_its_json_type() {
        let number = ClientId::number(&42.into());
        assert_eq!(number, ClientId::new("42").unwrap());
        assert_eq!(serde_json::to_string(&number).unwrap(), "42");
        assert_eq!(
            serde_json::to_string(&ClientId::new("42").unwrap()).unwrap(),
            "\"42\""
        );
    }
}
