//! The records of all sessions of all nodes, by client id, as far as they outlive their connections.

use std::sync::Arc;

use bytestring::ByteString;
use polywire_core::{JsonText, LazyRegistry, NodeId, Registry, RegistryError, Space};

use super::record::Record;

/// Bytes of sessions without the messages that wait, of all nodes.
const BYTES_MAX: usize = 256 << 20;

/// Told of a client id whose session another node says to have.
pub(super) type OnClaimed = dyn Fn(&str, NodeId) + Send + Sync;

pub(super) struct SessionRecords(LazyRegistry);

impl SessionRecords {
    pub(super) fn new(space: &Arc<Space>, on_claimed: Arc<OnClaimed>) -> Self {
        let own = space.hub().node();
        let on_change = move |id: &str, record: Option<&JsonText>| {
            let record = record.and_then(Record::read);
            if let Some(node) = record.map(|record| record.node())
                && node != own
            {
                on_claimed(id, node);
            }
        };
        Self(Registry::lazy(
            space,
            "mqtt/sessions",
            BYTES_MAX,
            Box::new(on_change),
        ))
    }

    /// Returns when they can be read and written.
    pub(super) async fn ready(&self) -> Result<(), RegistryError> {
        self.0.get().await.map(drop)
    }

    /// All client ids.
    pub(super) async fn ids(&self) -> Result<Vec<ByteString>, RegistryError> {
        let all = self.0.get().await?.beginning_with("").into_iter();
        Ok(all.map(|(id, _)| id.into()).collect())
    }

    /// All that can be read.
    pub(super) async fn all(&self) -> Result<Vec<(ByteString, Record)>, RegistryError> {
        let all = self.0.get().await?.beginning_with("").into_iter();
        Ok(all
            .filter_map(|(id, text)| Some((id.into(), Record::read(&text)?)))
            .collect())
    }

    pub(super) async fn get(&self, id: &str) -> Result<Option<Record>, RegistryError> {
        let text = self.0.get().await?.get(id);
        Ok(text.and_then(|text| Record::read(&text)))
    }

    /// The node that has the session of a client, as far as this one was told.
    pub(super) fn known_node(&self, id: &str) -> Option<NodeId> {
        let record = Record::read(&self.0.opened()?.get(id)?)?;
        Some(record.node())
    }

    pub(super) async fn write(&self, id: &str, record: &Record) -> Result<(), RegistryError> {
        let text = JsonText::of(record).unwrap_or_else(|_| JsonText::null());
        let change = (id.to_owned(), Some(text));
        self.0.get().await?.change(vec![change]).await
    }

    pub(super) async fn erase(&self, id: &str) -> Result<(), RegistryError> {
        let change = (id.to_owned(), None);
        self.0.get().await?.change(vec![change]).await
    }
}
