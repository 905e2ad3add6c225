//! A message under a filter.

use std::sync::OnceLock;

use polywire_core::{JsonText, Payload, Publication};
use serde_json::Value as Json;

use super::{
    expression::{Field, Root, Step},
    value::Value,
};

/// A message under a filter; its parts are parsed when they are asked for.
pub(super) struct Message<'m> {
    publication: &'m Publication,
    meta: OnceLock<Option<Json>>,
    data: OnceLock<Option<Json>>,
}

impl<'m> Message<'m> {
    pub(super) fn new(publication: &'m Publication) -> Self {
        Self {
            publication,
            meta: OnceLock::new(),
            data: OnceLock::new(),
        }
    }

    /// Bytes of everything that can be parsed.
    pub(super) fn len(&self) -> usize {
        let meta = self.publication.meta.as_ref();
        self.publication.payload.len() + meta.map_or(0, |meta| meta.as_str().len())
    }

    /// Bytes that are parsed now, if this field is asked for.
    pub(super) fn unparsed(&self, field: &Field) -> usize {
        match field.root {
            Root::Meta if self.meta.get().is_none() => {
                let meta = self.publication.meta.as_ref();
                meta.map_or(0, |meta| meta.as_str().len())
            }
            Root::Data if self.data.get().is_none() => self.publication.payload.len(),
            _ => 0,
        }
    }

    pub(super) fn field(&self, field: &Field) -> Value<'_> {
        let root = match field.root {
            Root::Publisher if field.steps.is_empty() => {
                let publisher = self.publication.publisher.as_ref();
                return publisher.map_or(Value::Missing, |id| Value::Text(id.as_str()));
            }
            Root::Publisher => None,
            Root::Meta => self.meta(),
            Root::Data => self.data(),
        };
        let found = field.steps.iter().try_fold(root, |value, step| {
            let value = value?;
            Some(match step {
                Step::Name(name) => value.get(name),
                Step::Index(index) => value.get(index),
            })
        });
        found.flatten().map_or(Value::Missing, Value::of)
    }

    fn meta(&self) -> Option<&Json> {
        let parsed = || self.publication.meta.as_ref().and_then(parse);
        self.meta.get_or_init(parsed).as_ref()
    }

    fn data(&self) -> Option<&Json> {
        let parsed = || match &self.publication.payload {
            Payload::Json(json) => parse(json),
            Payload::Text(text) => Some(Json::String(text.value().to_string())),
            Payload::Binary(_) => None,
        };
        self.data.get_or_init(parsed).as_ref()
    }
}

fn parse(json: &JsonText) -> Option<Json> {
    // It was checked, but half a surrogate pair is no text.
    serde_json::from_str(json.as_str()).ok()
}
