//! The Emitter protocol: topics that begin with a key, and requests.
//!
//! MQTT has two faces here. On the plain one a topic is a channel; on this one it is `key/channel/?options`. A
//! connection has one of them for all its life.

mod ban_book;
mod fault;
mod hold;
mod http;
mod interest;
mod requests;
mod service;
mod speaker;
mod stored;
mod topic;
mod username;
mod watch;
mod who;
pub(crate) mod zero_id;

use std::sync::Arc;

use bytestring::ByteString;

use crate::{client::Client, shared::Shared, version::Version};

pub(crate) use self::{
    hold::{Fate, Hold},
    http::routes,
    service::Service,
    speaker::{Message, Speaker},
};

/// Which faces an address shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Faces {
    /// Both: the first topic of a connection decides. With [`authenticate`](crate::Emitter::authenticate), clients
    /// with a password are shown the plain one and others the Emitter one.
    #[default]
    Both,
    /// The Emitter protocol alone.
    Emitter,
    /// MQTT with topics as they are.
    Plain,
}

/// Reads a topic as both a message and a filter do.
pub(crate) fn read_topic(text: &str) {
    let _ = topic::has_form(text);
    let _ = topic::Address::parse(text);
    if let Ok(topic) = topic::Topic::parse(&topic::tidy(text)) {
        let path = topic.path.as_str();
        assert!(
            topic.path.is_wild() || service::pattern(path).is_some_and(|all| all.matches(path))
        );
        let _ = stored::span(&topic.options);
    }
}

/// The face that a connection sees.
pub(crate) enum Face {
    /// The first topic will tell. With the user name.
    Undecided(Option<ByteString>),
    Plain,
    Emitter(Box<Speaker>),
}

impl Face {
    /// Decides, for good.
    pub(crate) async fn choose(
        &mut self,
        is_emitter: bool,
        shared: &Shared,
        client: &Arc<Client>,
        version: Version,
    ) {
        let Self::Undecided(username) = self else {
            return;
        };
        *self = if is_emitter {
            let username = username.as_deref();
            let speaker = shared.emitter.speaker(client, version, username).await;
            Self::Emitter(Box::new(speaker))
        } else {
            client.speak(match version {
                Version::V3 => shared.v3.clone(),
                Version::V5 => shared.v5.clone(),
            });
            Self::Plain
        };
    }
}
