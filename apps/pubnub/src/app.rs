//! The app: how it is set up, and its addresses.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use polywire_core::{
    App, Composition, FromSettings, Listening, Space, TokenPlace,
    http::{Request, Response, direct::Responder, request_even_cut},
    settings::Problem,
};
use warp::{Filter, filters::BoxedFilter};

use crate::{
    context::Context,
    keys::{KeySet, KeySets},
    route::{self, FastPath},
    settings::{Parameters, PubNubSettings},
};

/// The PubNub app.
#[derive(Debug, Clone)]
pub struct PubNub {
    key_sets: Vec<KeySet>,
    settings: Parameters,
    context: OnceLock<Arc<Context>>,
}

impl Default for PubNub {
    fn default() -> Self {
        Self::new(&PubNubSettings::default())
    }
}

impl PubNub {
    /// With these settings.
    pub fn new(settings: &PubNubSettings) -> Self {
        Self {
            key_sets: settings.key_sets.iter().map(Into::into).collect(),
            settings: settings.into(),
            context: OnceLock::new(),
        }
    }

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

    /// Sets [`hold_secs`](PubNubSettings::hold_secs).
    #[must_use]
    pub fn hold(mut self, time: Duration) -> Self {
        self.settings.hold = time;
        self
    }

    /// Sets [`queue_bytes_max`](PubNubSettings::queue_bytes_max).
    #[must_use]
    pub fn queue_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.queue_bytes_max = bytes;
        self
    }

    /// Sets [`queue_bytes_per_channel`](PubNubSettings::queue_bytes_per_channel).
    #[must_use]
    pub fn queue_bytes_per_channel(mut self, bytes: usize) -> Self {
        self.settings.queue_bytes_per_channel = bytes;
        self
    }

    /// Sets [`queue_secs`](PubNubSettings::queue_secs).
    #[must_use]
    pub fn queue_age_max(mut self, time: Duration) -> Self {
        self.settings.queue_age_max = time;
        self
    }

    /// Sets [`catch_up`](PubNubSettings::catch_up).
    #[must_use]
    pub fn catch_up(mut self, on: bool) -> Self {
        self.settings.catch_up = on;
        self
    }

    /// Sets [`message_bytes_max`](PubNubSettings::message_bytes_max).
    #[must_use]
    pub fn message_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.message_bytes_max = bytes;
        self
    }

    /// Sets [`presence`](PubNubSettings::presence).
    #[must_use]
    pub fn presence(mut self, on: bool) -> Self {
        self.settings.presence = on;
        self
    }

    /// Sets [`presence_timeout_secs`](PubNubSettings::presence_timeout_secs).
    #[must_use]
    pub fn presence_timeout(mut self, time: Duration) -> Self {
        self.settings.presence_timeout = time;
        self
    }

    /// Sets [`presence_announce_max`](PubNubSettings::presence_announce_max).
    #[must_use]
    pub fn presence_announce_max(mut self, members: usize) -> Self {
        self.settings.announce_max = members;
        self
    }

    /// Sets [`presence_interval_secs`](PubNubSettings::presence_interval_secs).
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

impl FromSettings for PubNub {
    type Settings = PubNubSettings;

    fn from_settings(
        settings: &PubNubSettings,
        composition: &Composition,
    ) -> Result<Self, Problem> {
        let app = Self::new(settings);
        Ok(match &composition.token_place {
            TokenPlace::Query(name) => app.auth_as_query(name),
            // Its clients have no header to set.
            TokenPlace::Header(_) => app,
        })
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
        if self.key_sets.is_empty() {
            let message = "PubNub clients get in with the keys demo and demo: listen on 127.0.0.1, or set key sets of \
                           your own in apps.pubnub.key_sets.";
            return Some(message.to_owned());
        }
        let mut sets = self.key_sets.iter();
        let open = sets.find(|set| !set.has_access_manager() && !self.settings.authenticate)?;
        let key = open.subscribe_key();
        Some(format!(
            "PubNub clients of the key set {key} show no more than its keys, which each of them knows: set secret_key and \
             access_manager for it, apps.pubnub.authenticate, or in [anonymous] what anybody may do."
        ))
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
