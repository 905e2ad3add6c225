//! A text, or a list of texts.

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a text as a list of one, or a list of texts.
///
/// # Errors
/// When it is neither.
pub fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    match Texts::deserialize(deserializer) {
        Ok(Texts::One(text)) => Ok(vec![text]),
        Ok(Texts::Many(texts)) => Ok(texts),
        Err(_) => Err(D::Error::custom("expected a text or a list of texts")),
    }
}
