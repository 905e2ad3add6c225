//! The app: how it is set up, and its addresses.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use polywire_core::{
    App, Listening, Space,
    http::{Request, Response, direct::Responder, request_even_cut},
};
use warp::{Filter, filters::BoxedFilter};

use crate::{
    context::Context,
    keys::{KeySet, KeySets},
    route::{self, FastPath},
    settings::Settings,
};

/// The PubNub app.
#[derive(Debug, Clone, Default)]
pub struct PubNub {
    key_sets: Vec<KeySet>,
    settings: Settings,
    context: OnceLock<Arc<Context>>,
}

impl PubNub {
    /// Adds a tenant. Without any there is one with the vendor's keys `demo` and `demo`, on loopback.
    #[must_use]
    pub fn key_set(mut self, keys: KeySet) -> Self {
        self.key_sets.push(keys);
        self
    }

    /// Asks the authentication policy for every request, and shows it the client's auth key. Default: the
    /// keys of the tenant are enough.
    #[must_use]
    pub fn authenticate(mut self, on: bool) -> Self {
        self.settings.authenticate = on;
        self
    }

    /// Shows the auth key to the policy as this query parameter. Default: as `api_key`.
    #[must_use]
    pub fn auth_as_query(mut self, name: impl Into<String>) -> Self {
        self.settings.auth_name = name.into();
        self
    }

    /// Sets how long a poll is held when nothing comes; the SDKs give up after 310 s. Default 280 s.
    #[must_use]
    pub fn hold(mut self, time: Duration) -> Self {
        self.settings.hold = time;
        self
    }

    /// Sets how many bytes of messages are kept for clients that ask later; the oldest go first. Default
    /// 64 MiB.
    #[must_use]
    pub fn queue_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.queue_bytes_max = bytes;
        self
    }

    /// Sets how long messages are kept for clients that ask later. Default 20 minutes.
    #[must_use]
    pub fn queue_age_max(mut self, time: Duration) -> Self {
        self.settings.queue_age_max = time;
        self
    }

    /// Sets whether clients that ask for what is not kept in memory any more get it from history, where there
    /// is one. Default true.
    #[must_use]
    pub fn catch_up(mut self, on: bool) -> Self {
        self.settings.catch_up = on;
        self
    }

    /// Sets how many bytes a message may have, with the name of its channel. Default 32 KiB.
    #[must_use]
    pub fn message_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.message_bytes_max = bytes;
        self
    }

    /// Sets whether it is known who is there. Default true.
    #[must_use]
    pub fn presence(mut self, on: bool) -> Self {
        self.settings.presence = on;
        self
    }

    /// Sets how long a client that says nothing of it is present after its last sign of life. Default
    /// 300 s.
    #[must_use]
    pub fn presence_timeout(mut self, time: Duration) -> Self {
        self.settings.presence_timeout = time;
        self
    }

    /// Sets up to how many members every coming and going is told of at once; beyond that they are summed
    /// up. Default 20.
    #[must_use]
    pub fn presence_announce_max(mut self, members: usize) -> Self {
        self.settings.announce_max = members;
        self
    }

    /// Sets how often comings and goings that are summed up are told of. Default 10 s.
    #[must_use]
    pub fn presence_interval(mut self, time: Duration) -> Self {
        self.settings.interval = time;
        self
    }

    fn context(&self, space: &Arc<Space>) -> &Arc<Context> {
        self.context
            .get_or_init(|| Context::new(space, self.key_sets.clone(), self.settings.clone()))
    }
}

#[async_trait]
impl App for PubNub {
    fn name(&self) -> &'static str {
        "pubnub"
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let context = self.context(space).clone();
        if !context.keys.is_demo() {
            // With demo keys nothing is kept before the first client comes: a server that nobody uses in
            // this way has no work with it.
            let context = context.clone();
            tokio::spawn(async move { drop(context.streams().await.clone()) });
        }
        request_even_cut(route::is_ours)
            .then(move |mut request: Request| {
                let context = context.clone();
                async move { route::route(&context, &mut request).await.map(Into::into) }
            })
            .boxed()
    }

    fn responder(&self, space: &Arc<Space>) -> Option<Arc<dyn Responder>> {
        Some(Arc::new(FastPath(self.context(space).clone())))
    }

    fn weakness(&self) -> Option<String> {
        self.key_sets.is_empty().then(|| {
            "PubNub clients get in with the keys demo and demo: listen on 127.0.0.1, or set key sets of \
             your own in apps.pubnub.key_sets."
                .to_owned()
        })
    }

    fn banner(&self, at: Listening) -> Vec<String> {
        let keys = KeySets::new(self.key_sets.clone());
        let set = keys.first();
        let (publish, subscribe) = (set.publish_key(), set.subscribe_key());
        let (address, ssl, url) = (
            at.address,
            if at.plain { "off" } else { "on" },
            at.http_url(),
        );
        vec![
            format!(
                "PubNub: SDKs with origin {address}, ssl {ssl}, keys {publish} and {subscribe}; publish with"
            ),
            format!("  curl {url}/publish/{publish}/{subscribe}/0/<channel>/0/%22hello%22"),
        ]
    }
}
