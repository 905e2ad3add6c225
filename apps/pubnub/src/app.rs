//! The app: its settings and its addresses.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use polywire_core::{
    App, Listening, Space,
    http::{Request, Response, direct::Responder, request_even_cut},
    space::Lease,
};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use warp::{Filter, filters::BoxedFilter};

use crate::{
    KeySet,
    access::Access,
    keys::KeySets,
    presence::Recent,
    remembered::Remembered,
    route::{self, ShortWay},
    stream::{Bounds, Streams},
};

/// The PubNub app.
#[derive(Debug, Clone, Default)]
pub struct PubNub {
    key_sets: Vec<KeySet>,
    settings: Settings,
    shared: OnceLock<Arc<Shared>>,
}

/// What can be set beside keys.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) authenticate: bool,
    pub(crate) auth_name: String,
    pub(crate) hold: Duration,
    pub(crate) queue_bytes_max: usize,
    pub(crate) queue_age_max: Duration,
    pub(crate) message_bytes_max: usize,
    pub(crate) catch_up: bool,
    pub(crate) presence: bool,
    pub(crate) presence_timeout: Duration,
    pub(crate) announce_max: usize,
    pub(crate) interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            authenticate: false,
            auth_name: "api_key".into(),
            hold: Duration::from_secs(280),
            queue_bytes_max: 64 << 20,
            queue_age_max: Duration::from_secs(20 * 60),
            message_bytes_max: 32 << 10,
            catch_up: true,
            presence: true,
            presence_timeout: Duration::from_secs(300),
            announce_max: 20,
            interval: Duration::from_secs(10),
        }
    }
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

    fn shared(&self, space: &Arc<Space>) -> &Arc<Shared> {
        self.shared.get_or_init(|| Shared::new(self, space))
    }
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) space: Arc<Space>,
    pub(crate) keys: KeySets,
    pub(crate) access: Access,
    pub(crate) settings: Settings,
    /// Who has just left.
    pub(crate) leaves: Recent<()>,
    /// Who has just come by a heartbeat, with the cursor from before that.
    pub(crate) joins: Recent<u64>,
    pub(crate) remembered: Remembered,
    streams: Arc<Streams>,
    begun: OnceCell<()>,
    stop: CancellationToken,
}

impl Shared {
    fn new(app: &PubNub, space: &Arc<Space>) -> Arc<Self> {
        let settings = app.settings.clone();
        let bounds = Bounds {
            bytes_max: settings.queue_bytes_max,
            age_max: settings.queue_age_max,
            announce_max: settings.announce_max,
        };
        Arc::new(Self {
            space: space.clone(),
            keys: KeySets::new(app.key_sets.clone()),
            access: Access::default(),
            remembered: Remembered::default(),
            streams: Streams::new(space, bounds),
            settings,
            leaves: Recent::default(),
            joins: Recent::default(),
            begun: OnceCell::new(),
            stop: space.runtime().stopping(),
        })
    }

    /// True when the server is about to stop, so that nobody should wait.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// How long a sign of life counts that asks for so long.
    pub(crate) fn stay(&self, timeout: Option<Duration>) -> Lease {
        Lease {
            timeout,
            otherwise: self.settings.presence_timeout,
            is_held: false,
        }
    }

    /// What was published for a while. Who needs it waits until this node gets what others publish, and knows
    /// what is remembered.
    pub(crate) async fn streams(&self) -> &Arc<Streams> {
        if !self.begun.initialized() {
            Box::pin(self.begun.get_or_init(|| self.begin())).await;
        }
        &self.streams
    }

    async fn begin(&self) {
        tokio::spawn(look_after(
            self.streams.clone(),
            self.space.clone(),
            self.settings.interval,
        ));
        let revoked = self.access.revoked();
        self.remembered
            .open(&self.space, &self.streams, revoked)
            .await;
        self.space.subscribe_all(self.streams.clone()).await;
        // After it: what is stored later arrives.
        if let Some(history) = self.space.history() {
            match history.last_timetoken().await {
                Ok(last) => self.streams.begin_behind(last),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "the end of history is not known");
                }
            }
        }
    }
}

/// Tells of what was summed up, and sends everybody home when the server stops.
async fn look_after(streams: Arc<Streams>, space: Arc<Space>, interval: Duration) {
    let stop = space.runtime().stopping();
    drop(space);
    let mut intervals = tokio::time::interval(interval.max(Duration::from_millis(100)));
    intervals.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = intervals.tick() => streams.end_interval(),
            () = stop.cancelled() => return streams.wake_all(),
        }
    }
}

#[async_trait]
impl App for PubNub {
    fn name(&self) -> &'static str {
        "pubnub"
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let shared = self.shared(space).clone();
        if !shared.keys.is_demo() {
            // With demo keys nothing is kept before the first client comes: a server that nobody uses in
            // this way has no work with it.
            let shared = shared.clone();
            tokio::spawn(async move { drop(shared.streams().await.clone()) });
        }
        request_even_cut(route::is_ours)
            .then(move |mut request: Request| {
                let shared = shared.clone();
                async move { route::route(&shared, &mut request).await.map(Into::into) }
            })
            .boxed()
    }

    fn responder(&self, space: &Arc<Space>) -> Option<Arc<dyn Responder>> {
        Some(Arc::new(ShortWay(self.shared(space).clone())))
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

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
