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

    /// The code behind a hub; names of hubs are compared as the service does, without their case.
    pub(crate) fn of(&self, hub: &HubName) -> Option<&Arc<dyn EventHandler>> {
        self.0.get(&hub.as_str().to_ascii_lowercase())
    }
}
