//! Context of all requests: the channel space, the tenants, and what is kept between requests.

use std::{fmt, sync::Arc, time::Duration};

use polywire_core::{
    Counter, Space,
    http::{AllowedOrigins, Request},
};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Access, Caller},
    filter::{Filters, Turns},
    group_registry::GroupRegistry,
    held_polls::HeldPolls,
    instance_cluster::InstanceCluster,
    instances::Instances,
    keys::{KeySet, KeySets},
    query::Query,
    recent::Recent,
    reply::Refused,
    settings::Parameters,
    stream::{Bounds, Streams},
};

/// What all requests share.
pub(crate) struct Context {
    pub(crate) space: Arc<Space>,
    pub(crate) keys: KeySets,
    pub(crate) access: Access,
    /// Pages of which sites may ask.
    pub(crate) origins: AllowedOrigins,
    pub(crate) settings: Parameters,
    /// Who has just left.
    pub(crate) leaves: Recent<()>,
    /// Who has just come by a heartbeat, with the cursor from before that.
    pub(crate) joins: Recent<u64>,
    pub(crate) instances: Arc<Instances>,
    pub(crate) instance_cluster: InstanceCluster,
    pub(crate) groups: GroupRegistry,
    /// The filters of polls that are held, and the turns in which they are evaluated.
    pub(crate) filters: Filters,
    pub(crate) turns: Turns,
    pub(crate) held_polls: HeldPolls,
    pub(crate) late_polls: Arc<Counter>,
    streams: Arc<Streams>,
    begun: OnceCell<()>,
    stop: CancellationToken,
}

impl Context {
    pub(crate) fn new(
        space: &Arc<Space>,
        key_sets: Vec<KeySet>,
        settings: Parameters,
    ) -> Arc<Self> {
        let bounds = Bounds {
            bytes_max: settings.queue_bytes_max,
            channel_bytes_max: settings.queue_bytes_per_channel,
            age_max: settings.queue_age_max,
            announce_max: settings.announce_max,
            has_history: settings.catch_up && space.history().is_some(),
        };
        let keys = KeySets::new(key_sets).bound_members(space.limits().members_max);
        // Keys that everybody knows are nobody's credential.
        let origins = if keys.is_demo() {
            AllowedOrigins::near()
        } else {
            AllowedOrigins::any()
        };
        let counters = space.runtime().counters();
        Arc::new(Self {
            space: space.clone(),
            origins: origins.or_listed(settings.allowed_origins.as_deref()),
            access: Access::new(space, &keys, &settings),
            keys,
            groups: GroupRegistry::default(),
            filters: Filters::default(),
            turns: Turns::default(),
            instances: Arc::new(Instances::new(counters)),
            instance_cluster: InstanceCluster::default(),
            held_polls: HeldPolls::new(&settings, counters),
            late_polls: counters.of(
                "pubnub",
                "poll too late: messages had fallen out of the queue",
            ),
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

    /// Finds out who asks; `body` is what a signature covers of it.
    pub(crate) async fn admit(
        &self,
        set: &KeySet,
        request: &Request,
        query: &Query<'_>,
        body: &[u8],
        service: &str,
    ) -> Result<Caller, Refused> {
        self.access.admit(set, request, query, body, service).await
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
        self.groups
            .open(&self.space, &self.keys, &self.streams)
            .await;
        self.instance_cluster
            .serve(&self.space, &self.instances)
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
    let (begun, stop) = (
        space.runtime().drain().begun().clone(),
        space.runtime().stopping(),
    );
    drop(space);
    let mut is_draining = false;
    let mut intervals = tokio::time::interval(interval.max(Duration::from_millis(100)));
    intervals.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = intervals.tick() => streams.end_interval(),
            // Each looks when its turn is.
            () = begun.cancelled(), if !is_draining => {
                is_draining = true;
                streams.wake_all();
            }
            () = stop.cancelled() => return streams.wake_all(),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
