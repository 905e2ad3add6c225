//! Settings of Azure Web PubSub.

use std::collections::{BTreeMap, BTreeSet};

use polywire_core::{
    Rights,
    http::AllowedOrigins,
    settings::{Problem, Secret, Settings, text},
};
use serde::Deserialize;

use crate::webhook::{SystemEvent, Webhook};

/// `[apps.webpubsub]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct WebPubSubSection")]
pub struct WebPubSubSettings {
    /// Signs the tokens of clients and services: the `AccessKey` of the connection string. Default: a random one,
    /// printed at the start.
    pub access_key: Option<Secret>,
    /// A second one, which is as good, so that keys can be changed one after the other. Default none.
    pub secondary_access_key: Option<Secret>,
    /// Pages of which sites may use the app from a browser: origins such as `https://chat.example`, `same-origin`, `loopback`,
    /// `null`, or `*` for all, see [origins](configuration.md#origins). Default `*` for clients with a token; for others `same-origin` and, for browsers on this machine, `loopback` and `null`.
    pub allowed_origins: Option<Vec<String>>,
    /// The hub whose groups are channels as they are; every other one is a domain. Names of hubs have no case. Default
    /// `default`.
    #[serde(deserialize_with = "text")]
    pub default_hub: String,
    /// Seconds for which a reliable connection waits for its client. Default 30.
    pub recovery_secs: u64,
    /// Messages that are kept of it until the client has acknowledged them; when there are more, the connection ends.
    /// Default 10,000.
    pub buffer_messages_max: usize,
    /// Bytes of them. Default 16 MiB.
    pub buffer_bytes_max: usize,
    /// The host, with the port where there is one, by which event handlers know this server, such as
    /// `chat.example:8080`: they are asked whether it may post to them. Default: the address that it listens on.
    pub webhook_origin: Option<String>,
    /// Settings of hubs, by their names, see below. Default none.
    pub hubs: BTreeMap<String, HubSettings>,
    /// What its clients can reach at most, whatever is granted to them: lists of channels for each right, see
    /// [rights](rights.md). Default everything.
    pub channels: Option<Rights>,
}

impl Default for WebPubSubSettings {
    fn default() -> Self {
        Self {
            access_key: None,
            secondary_access_key: None,
            allowed_origins: None,
            default_hub: "default".into(),
            recovery_secs: 30,
            buffer_messages_max: 10_000,
            buffer_bytes_max: 16 << 20,
            webhook_origin: None,
            hubs: BTreeMap::new(),
            channels: None,
        }
    }
}

/// `[apps.webpubsub.hubs.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct HubSection")]
pub struct HubSettings {
    /// Lets clients without a token connect to this hub; they may do what the answer to `connect` allows them. Default
    /// false.
    pub anonymous: bool,
    /// What is called over HTTP for this hub, see below: the first that takes an event gets it. Default none.
    pub event_handlers: Vec<EventHandlerSettings>,
}

/// `[[apps.webpubsub.hubs.NAME.event_handlers]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "struct EventHandlerSection")]
pub struct EventHandlerSettings {
    /// Where events are posted; `{hub}` and `{event}` in its path and query stand for their names. It may hold a
    /// secret.
    pub url: Secret,
    /// Those of `connect`, `connected` and `disconnected` that are posted. Default none.
    #[serde(default)]
    pub system_events: Vec<String>,
    /// The events of clients that are posted: `*` for all, or names with commas between them, whose case does not count. Default
    /// `*`.
    #[serde(default = "all")]
    pub user_events: String,
    /// Posts also to addresses of this machine and of private networks. Default false.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// The `Authorization` header of every request to it, such as `Bearer a-secret`. Default none.
    #[serde(default)]
    pub authorization: Option<Secret>,
}

fn all() -> String {
    "*".into()
}

impl Settings for WebPubSubSettings {
    fn problems(&self) -> Vec<Problem> {
        let is_empty =
            |key: &Option<Secret>| key.as_ref().is_some_and(|key| key.reveal().is_empty());
        let mut problems = Problem::zeros([
            ("recovery_secs", self.recovery_secs == 0),
            ("buffer_messages_max", self.buffer_messages_max == 0),
            ("buffer_bytes_max", self.buffer_bytes_max == 0),
        ]);
        problems.extend(AllowedOrigins::problem(self.allowed_origins.as_deref()));
        let mut names = BTreeSet::new();
        for (name, hub) in &self.hubs {
            if !names.insert(name.to_ascii_lowercase()) {
                let message = "names a hub that is set already: names of hubs have no case";
                problems.push(Problem::new(format!("hubs.{name}"), message));
            }
            for (index, handler) in hub.event_handlers.iter().enumerate() {
                let section = format!("hubs.{name}.event_handlers.{index}");
                let problem = handler.webhook().err();
                problems.extend(problem.map(|problem| problem.within(&section)));
            }
        }
        problems.extend(Problem::empty_texts([
            ("access_key", is_empty(&self.access_key)),
            ("secondary_access_key", is_empty(&self.secondary_access_key)),
        ]));
        if self.access_key.is_none() && self.secondary_access_key.is_some() {
            let message = "needs apps.webpubsub.access_key beside it";
            problems.push(Problem::new("secondary_access_key", message));
        }
        problems
    }
}

impl EventHandlerSettings {
    /// The webhook.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn webhook(&self) -> Result<Webhook, Problem> {
        let webhook = Webhook::new(self.url.reveal())
            .map_err(|error| Problem::new("url", error.to_string()))?;
        let mut events = Vec::new();
        for name in &self.system_events {
            let event = SystemEvent::named(name).ok_or_else(|| {
                let message =
                    format!("there is no event {name:?}; use connect, connected or disconnected");
                Problem::new("system_events", message)
            })?;
            events.push(event);
        }
        let webhook = match &self.authorization {
            Some(authorization) => webhook
                .authorization(authorization.reveal())
                .map_err(|error| Problem::new("authorization", error.to_string()))?,
            None => webhook,
        };
        Ok(webhook
            .system_events(events)
            .user_events(&self.user_events)
            .allow_private_addresses(self.allow_private_addresses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_set_once_in_whatever_case() {
        let hubs = ["Chat", "chat", "news"].map(|name| (name.to_owned(), HubSettings::default()));
        let settings = WebPubSubSettings {
            hubs: hubs.into(),
            ..WebPubSubSettings::default()
        };
        let problems = settings.problems();
        let settings: Vec<_> = problems.iter().map(|problem| &*problem.setting).collect();
        assert_eq!(settings, ["hubs.chat"]);
    }
}
