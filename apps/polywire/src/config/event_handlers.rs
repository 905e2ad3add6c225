//! Event handlers of Azure Web PubSub, checked.

use std::collections::BTreeMap;

use polywire_webpubsub::{SystemEvent, Webhook};

use super::model::{EventHandlerSection, HubSection};

/// Says what is wrong with them.
pub(super) fn check(hubs: &BTreeMap<String, HubSection>, refuse: &mut impl FnMut(&str, String)) {
    for (name, hub) in hubs {
        for (index, handler) in hub.event_handlers.iter().enumerate() {
            if let Err((setting, message)) = webhook(handler) {
                let setting =
                    format!("apps.webpubsub.hubs.{name}.event_handlers.{index}.{setting}");
                refuse(&setting, message);
            }
        }
    }
}

/// What a section asks for, or the setting that is wrong and why.
pub(crate) fn webhook(section: &EventHandlerSection) -> Result<Webhook, (&'static str, String)> {
    let webhook = Webhook::new(section.url.reveal()).map_err(|error| ("url", error.to_string()))?;
    let mut events = Vec::new();
    for name in &section.system_events {
        let event = SystemEvent::named(name).ok_or_else(|| {
            let message =
                format!("there is no event {name:?}; use connect, connected or disconnected");
            ("system_events", message)
        })?;
        events.push(event);
    }
    let webhook = match &section.authorization {
        Some(authorization) => webhook
            .authorization(authorization.reveal())
            .map_err(|error| ("authorization", error.to_string()))?,
        None => webhook,
    };
    Ok(webhook
        .system_events(events)
        .user_events(&section.user_events)
        .allow_private_addresses(section.allow_private_addresses))
}
