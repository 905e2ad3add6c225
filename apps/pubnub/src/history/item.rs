//! Items of history answers: one message each.

use std::collections::BTreeMap;

use polywire_core::{Annotation, ClientId, Publication, Stored};

use crate::{stream::push_payload, text::quote};

/// What an answer includes of a message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Include {
    pub(super) meta: bool,
    pub(super) client: bool,
    pub(super) kind: bool,
    pub(super) label: bool,
    pub(super) actions: bool,
}

/// The message alone.
pub(super) fn bare(publication: &Publication) -> String {
    let mut text = String::with_capacity(publication.payload.len() + 2);
    push_payload(&mut text, &publication.payload);
    text
}

pub(super) fn meta(publication: &Publication) -> &str {
    publication
        .meta
        .as_ref()
        .map_or("null", |meta| meta.as_str())
}

/// The message in an object.
pub(super) fn object(stored: &Stored, include: Include) -> String {
    let publication = &stored.publication;
    let timetoken = publication.position().timetoken.0;
    let mut text = format!(
        r#"{{"message":{},"timetoken":"{timetoken}""#,
        bare(publication)
    );
    let mut add = |name: &str, value: &str| {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":");
        text.push_str(value);
    };
    if include.meta {
        add("meta", meta(publication));
    }
    if include.client {
        add("uuid", &author(publication.publisher.as_ref()));
    }
    if include.kind {
        // An ordinary message has no type.
        add("message_type", "null");
    }
    if include.label
        && let Some(label) = &publication.label
    {
        add("custom_message_type", &quote(label));
    }
    if include.actions && !stored.annotations.is_empty() {
        add("actions", &actions(&stored.annotations));
    }
    text.push('}');
    text
}

fn author(client: Option<&ClientId>) -> String {
    quote(client.map_or("", ClientId::as_str))
}

/// Actions by type and value.
fn actions(annotations: &[Annotation]) -> String {
    let mut types: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    for annotation in annotations {
        let (by, at) = (author(annotation.author.as_ref()), annotation.at.0);
        let values = types.entry(&annotation.kind).or_default();
        let list = values.entry(&annotation.value).or_default();
        list.push(format!(r#"{{"uuid":{by},"actionTimetoken":"{at}"}}"#));
    }
    let types = types.iter().map(|(name, values)| {
        let values = values
            .iter()
            .map(|(value, list)| format!("{}:[{}]", quote(value), list.join(",")));
        let values = values.collect::<Vec<_>>().join(",");
        format!("{}:{{{values}}}", quote(name))
    });
    format!("{{{}}}", types.collect::<Vec<_>>().join(","))
}
