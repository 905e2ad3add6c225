//! Event handlers: the code behind each hub.

use std::{collections::BTreeMap, sync::Arc};

use crate::{event::EventHandler, names::HubName};

/// The code behind each hub, by its name in lower case.
#[derive(Default)]
pub(crate) struct EventHandlers(BTreeMap<String, Arc<dyn EventHandler>>);

impl EventHandlers {
    pub(crate) fn new(by_hub: BTreeMap<String, Arc<dyn EventHandler>>) -> Arc<Self> {
        Arc::new(Self(by_hub))
    }

    /// The code behind a hub.
    pub(crate) fn of(&self, hub: &HubName) -> Option<&Arc<dyn EventHandler>> {
        self.named(hub.as_str())
    }

    /// The code behind the hub of this name, which is in lower case.
    pub(crate) fn named(&self, hub: &str) -> Option<&Arc<dyn EventHandler>> {
        self.0.get(hub)
    }

    /// True when some of it is told that connections end.
    pub(crate) fn are_told_of_ends(&self) -> bool {
        self.0.values().any(|handler| handler.is_told_of_ends())
    }
}
