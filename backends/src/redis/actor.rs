//! The task that owns the connection.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use polywire_core::{BackendStatus, Interest, LocalNode, LogLimiter, Target, Timetoken};
use redis::{
    AsyncConnectionConfig, PushInfo, RedisError, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    changes::Changes,
    connector::Connector,
    delivery::Delivery,
    envelope,
    gap_repair::Heads,
    heartbeat::Heartbeat,
    inbox::{Inbox, Push, inbox},
    link_state::LinkState,
    listed::{Listed, read_listed},
    missing::{Keys, Missing, Place, ReadScripts},
    names::Names,
    publishing::{Publishing, Request},
    script::server_run,
    settings::RedisSettings,
    subscriptions::{Confirmed, Subscriptions},
    unusable,
};

/// Messages that are delivered before other work is looked at.
const DELIVER_AT_ONCE: usize = 256;
/// Channels that are compared with their places in one step.
const COMPARE_AT_ONCE: usize = 500;
/// Channels that are compared with each heartbeat: a third of all, and not fewer than this.
const COMPARE_MIN: usize = 1000;
/// Channels that are read at once.
const READS_MAX: usize = 8;

/// The task that owns the connection, and with it every order: what is sent, what is subscribed to, and what
/// is delivered. There is one connection for commands and messages alike (RESP3), so that there is one
/// answer to whether Redis is there.
pub(super) struct Actor {
    pub(super) node: LocalNode,
    pub(super) connector: Connector,
    pub(super) settings: RedisSettings,
    pub(super) names: Names,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) changes: Arc<Changes>,
    pub(super) link: Arc<LinkState>,
    pub(super) publishing: Publishing,
    pub(super) subscriptions: Subscriptions,
    pub(super) heads: Heads,
    pub(super) scripts: ReadScripts,
    /// Channels that are to be compared with their places, and whether the run of the server is.
    pub(super) uncompared: Vec<(Target, Timetoken)>,
    pub(super) compares_run: bool,
    /// Up to where the list of channels that were silent was read.
    pub(super) listed_up_to: Timetoken,
    /// Publications are kept, and should go on where they ended.
    pub(super) keeps: bool,
    pub(super) garbage: LogLimiter,
    pub(super) gaps: LogLimiter,
}

/// Stands for every run of a server that forgets nothing.
const SYNCED: &str = "synced";

/// True when the server says that it syncs every write before it answers. One that does not say counts as
/// one that does not.
async fn syncs_every_write(connection: &mut MultiplexedConnection) -> bool {
    for (name, wanted) in [("appendonly", "yes"), ("appendfsync", "always")] {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(name);
        let said: RedisResult<HashMap<String, String>> = command.query_async(connection).await;
        if said.ok().and_then(|mut said| said.remove(name)).as_deref() != Some(wanted) {
            return false;
        }
    }
    true
}

/// Asks whether the server is a master still, and publishes to this node itself.
async fn beat(
    mut connection: MultiplexedConnection,
    channel: String,
    number: u64,
) -> RedisResult<Vec<Value>> {
    let mut commands = redis::pipe();
    commands.cmd("ROLE").cmd("PUBLISH").arg(channel).arg(number);
    connection.req_packed_commands(&commands, 0, 2).await
}

/// What the server answered.
fn judge_beat(replies: &[Value]) -> Result<(), Lost> {
    if let Some(why) = replies.first().and_then(unusable::by_role) {
        return Err(Lost::Unusable(why));
    }
    match replies.last().cloned().map(Value::extract_error) {
        Some(Err(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the connection to Redis failed")]
    Redis(#[source] Arc<RedisError>),
    #[error("Redis closed the connection")]
    Closed,
    #[error("no connection to Redis came about in time")]
    TooSlow,
    #[error("more messages came than this node could deliver")]
    Overflow,
    #[error("{0}")]
    Unusable(&'static str),
}

impl Lost {
    /// What became of an attempt to connect.
    fn connecting(error: RedisError) -> Self {
        match unusable::by_connecting(&error) {
            Some(why) => Self::Unusable(why),
            None => error.into(),
        }
    }

    fn unusable(&self) -> Option<&'static str> {
        match self {
            Self::Unusable(why) => Some(why),
            _ => None,
        }
    }
}

impl From<RedisError> for Lost {
    fn from(error: RedisError) -> Self {
        match unusable::by_error(&error) {
            Some(why) => Self::Unusable(why),
            None => Self::Redis(Arc::new(error)),
        }
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = RedisResult<T>> + Send>>;

/// Something that is under way on the connection, if anything is.
type UnderWay<T> = Option<Boxed<T>>;

/// Waits for what is under way; forever when nothing is.
async fn done<T>(under_way: &mut UnderWay<T>) -> RedisResult<T> {
    match under_way {
        Some(future) => {
            let output = future.await;
            *under_way = None;
            output
        }
        None => std::future::pending().await,
    }
}

/// What is under way on a connection.
#[derive(Default)]
struct Work {
    subscribing: UnderWay<Confirmed>,
    publishing: UnderWay<Vec<Value>>,
    beating: UnderWay<Vec<Value>>,
    comparing: UnderWay<Compared>,
    listing: UnderWay<Listed>,
    reading: FuturesUnordered<Boxed<(Target, Missing)>>,
}

/// Channels, and the places of those that differ.
struct Compared {
    targets: Vec<(Target, Timetoken)>,
    differing: Vec<(usize, Option<Place>)>,
}

impl Actor {
    /// Connects, serves, and begins again, until it is stopped.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let lost = tokio::select! {
                lost = self.live(&mut backoff) => lost,
                () = stop.cancelled() => return self.down(&Lost::Closed),
            };
            self.report(&lost, &backoff);
            self.down(&lost);
            let pause = backoff.pause();
            tokio::select! {
                () = self.decline_during(sleep(pause)) => {}
                () = stop.cancelled() => return self.down(&Lost::Closed),
            }
        }
    }

    /// The life of one connection.
    async fn live(&mut self, backoff: &mut Backoff) -> Lost {
        let (connector, config) = (self.connector.clone(), self.config());
        let heartbeat = self.names.heartbeat(self.node.id());
        let (sender, mut inbox) = inbox(heartbeat.clone());
        let config = config.set_push_sender(move |push: PushInfo| -> Result<(), ()> {
            sender.take(push);
            Ok(())
        });
        // The library bounds both steps; this also bounds the look-up of the name.
        let patience = self.settings.connect_timeout() + self.settings.response_timeout();
        let connecting = timeout(patience, async move { connector.connect(config).await });
        let connection = match self.decline_during(connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Lost::connecting(error),
            Err(_) => return Lost::TooSlow,
        };
        let (mut asking, keeps) = (connection.clone(), self.keeps);
        let asked = self.decline_during(async move {
            let mut info = redis::cmd("INFO");
            let info = info
                .arg("server")
                .query_async::<String>(&mut asking)
                .await?;
            if let Some(why) = unusable::by_info(&info) {
                return Err(Lost::Unusable(why));
            }
            asking.subscribe(heartbeat).await?;
            if keeps && syncs_every_write(&mut asking).await {
                // What it remembers after a restart is all that it was given.
                return Ok(SYNCED.to_owned());
            }
            Ok(server_run(&info).to_owned())
        });
        match asked.await {
            Ok(run) => self.heads.connected(&run, self.node.clock().tick()),
            Err(lost) => return lost,
        }
        self.publishing.begin(self.heads.run().to_owned());
        // In this order: what changes after the look at all interests is taken in as a change.
        self.changes.open();
        self.begin_with(self.node.interests());
        let lost = self.serve(connection, &mut inbox, backoff).await;
        // What came before the end counts.
        self.take_all(&mut inbox, &mut Heartbeat::default());
        lost
    }

    /// Begins with what the node wants: whatever else was known is forgotten.
    fn begin_with(&mut self, interests: Vec<Interest>) {
        let mut targets = HashSet::new();
        let mut patterns = HashSet::new();
        for interest in &interests {
            match interest {
                Interest::Channel(channel) => drop(targets.insert(Target::from(channel.clone()))),
                Interest::Client(client) => drop(targets.insert(Target::from(client.clone()))),
                Interest::Pattern(pattern) => drop(patterns.insert(pattern.clone())),
            }
        }
        // Those that are subscribed to by name are compared when they are.
        self.uncompared = self.heads.begin(&targets, &patterns);
        self.compares_run = true;
        self.subscriptions.begin(interests);
    }

    async fn serve(
        &mut self,
        connection: MultiplexedConnection,
        inbox: &mut Inbox,
        backoff: &mut Backoff,
    ) -> Lost {
        match self.serve_until_lost(connection, inbox, backoff).await {
            Ok(never) => match never {},
            Err(lost) => lost,
        }
    }

    async fn serve_until_lost(
        &mut self,
        connection: MultiplexedConnection,
        inbox: &mut Inbox,
        backoff: &mut Backoff,
    ) -> Result<std::convert::Infallible, Lost> {
        let patience = self.settings.response_timeout();
        let mut work = Work::default();
        let mut heartbeat = Heartbeat::default();
        let mut keepalive = interval(self.settings.keepalive());
        keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin_work(&mut work, &connection);
            if work.subscribing.is_none() && heartbeat.is_heard() {
                self.begin_to_be_ready(backoff);
            }
            // In this order, so that the same happens again where it is simulated. What comes last is not starved: replies
            // and ticks are few, and requests are taken until a batch is full.
            tokio::select! {
                biased;
                replies = done(&mut work.publishing) => {
                    let why = self.publishing.replied(&self.node, replies?);
                    self.serve_unheard();
                    if let Some(why) = why {
                        return Err(Lost::Unusable(why));
                    }
                }
                confirmed = done(&mut work.subscribing) => {
                    let confirmed = confirmed?;
                    // What came before the answer is not missing.
                    self.take_all(inbox, &mut heartbeat);
                    self.subscriptions.confirmed(confirmed, &mut self.heads);
                }
                compared = done(&mut work.comparing) => {
                    let compared = compared?;
                    self.take_all(inbox, &mut heartbeat);
                    self.compared(compared);
                }
                Some(read) = work.reading.next() => {
                    let (target, missing) = read?;
                    self.take_all(inbox, &mut heartbeat);
                    self.read(&target, missing);
                }
                listed = done(&mut work.listing) => {
                    let listed = listed?;
                    self.take_all(inbox, &mut heartbeat);
                    self.listed(listed);
                }
                replies = done(&mut work.beating) => {
                    let replies: Vec<Value> = replies?;
                    judge_beat(&replies)?;
                    heartbeat.answered();
                }
                _ = keepalive.tick() => {
                    self.publishing.tidy(&mut self.heads, patience);
                    // What came with the last answer is here by now.
                    self.take_all(inbox, &mut heartbeat);
                    if work.beating.is_none() {
                        if heartbeat.is_deaf() {
                            return Err(Lost::Unusable(unusable::DEAF));
                        }
                        let channel = self.names.heartbeat(self.node.id());
                        let beat = beat(connection.clone(), channel, heartbeat.beat());
                        work.beating = Some(Box::pin(beat));
                        self.look_for_gaps(&mut work, &connection);
                    }
                }
                request = self.requests.recv(), if !self.publishing.is_full() => {
                    // The other end is kept by the backend, which stops this task before it goes.
                    let Some(request) = request else { return Err(Lost::Closed) };
                    self.take(request);
                    while !self.publishing.is_full()
                        && let Ok(request) = self.requests.try_recv()
                    {
                        self.take(request);
                    }
                }
                push = inbox.next() => {
                    let push = push.ok_or(Lost::Closed)?;
                    // What came together leaves together.
                    self.node.clone().together(|| {
                        self.take_in(push, &mut heartbeat);
                        for _ in 0..DELIVER_AT_ONCE {
                            let Some(push) = inbox.next_now() else { break };
                            self.take_in(push, &mut heartbeat);
                        }
                    });
                }
                () = self.changes.changed(), if work.subscribing.is_none() => {}
            }
            if inbox.overflowed() {
                return Err(Lost::Overflow);
            }
        }
    }

    /// Sends what is to be sent, each sort of it once at a time.
    fn begin_work(&mut self, work: &mut Work, connection: &MultiplexedConnection) {
        if work.subscribing.is_none() {
            let round = self.subscriptions.next_round(
                &self.node,
                &self.names,
                &self.changes,
                &mut self.heads,
            );
            if let Some(round) = round {
                let (scripts, timetoken) = (self.scripts.clone(), self.names.timetoken());
                let confirmed = round.run(
                    connection.clone(),
                    scripts,
                    timetoken,
                    self.heads.run().to_owned(),
                );
                work.subscribing = Some(Box::pin(confirmed));
            }
        }
        if work.publishing.is_none() {
            let patience = self.settings.response_timeout();
            let floor = self.node.clock().last();
            let batch = self
                .publishing
                .next_batch(&self.subscriptions, floor, patience);
            work.publishing = batch.map(|batch| -> Boxed<_> {
                let mut connection = connection.clone();
                Box::pin(async move {
                    let count = batch.len();
                    connection.req_packed_commands(&batch, 0, count).await
                })
            });
        }
        if work.comparing.is_none() && !self.uncompared.is_empty() {
            let rest = self.uncompared.len().saturating_sub(COMPARE_AT_ONCE);
            let targets = self.uncompared.split_off(rest);
            let (scripts, mut connection) = (self.scripts.clone(), connection.clone());
            let run = self.compares_run.then(|| self.heads.run().to_owned());
            let places = targets.iter();
            let places: Vec<_> = places
                .map(|(target, last)| (self.names.place(target), *last))
                .collect();
            work.comparing = Some(Box::pin(async move {
                let run = run.as_deref();
                let differing = scripts.differing(&mut connection, &places, run).await?;
                Ok(Compared { targets, differing })
            }));
        }
        while work.reading.len() < READS_MAX
            && let Some((target, after)) = self.heads.next_unread()
        {
            let keys = Keys {
                place: self.names.place(&target),
                window: self.names.window(&target),
                stream: self.keeps.then(|| self.names.stream(&target)),
            };
            let (scripts, mut connection) = (self.scripts.clone(), connection.clone());
            work.reading.push(Box::pin(async move {
                let missing = scripts.missing(&mut connection, &keys, after).await?;
                Ok((target, missing))
            }));
        }
    }

    /// Looks, with each heartbeat, whether something was missed of which nothing has come since.
    fn look_for_gaps(&mut self, work: &mut Work, connection: &MultiplexedConnection) {
        if self.uncompared.is_empty() && work.comparing.is_none() {
            let count = COMPARE_MIN.max(self.heads.len() / 3);
            let (subscriptions, names) = (&self.subscriptions, &self.names);
            let is_subscribed = |target: &Target| subscriptions.has(&names.channel(target));
            let now = self.node.clock().last();
            self.uncompared = self.heads.next_uncompared(count, now, is_subscribed);
            self.compares_run = false;
        }
        if work.listing.is_none()
            && let Some(since) = self.heads.patterns_since()
        {
            let after = self.listed_up_to.max(since);
            let listed = read_listed(connection.clone(), self.names.listed(), after);
            work.listing = Some(Box::pin(listed));
        }
    }

    fn compared(&mut self, compared: Compared) {
        for (number, place) in compared.differing {
            if let Some((target, _)) = compared.targets.get(number) {
                self.heads.differs(target, place.as_ref());
            }
        }
    }

    fn listed(&mut self, listed: Listed) {
        self.listed_up_to = self.listed_up_to.max(listed.up_to);
        for (channel, at) in listed.channels {
            if let Some(target) = self.names.target_of(&channel) {
                self.heads.is_listed(&target, at);
            }
        }
    }

    fn read(&mut self, target: &Target, missing: Missing) {
        let now = self.node.clock().tick();
        let mut to = Delivery::new(&self.node, &mut self.publishing, &mut self.gaps);
        self.heads.read(target, missing, now, &mut to);
    }

    fn begin_to_be_ready(&self, backoff: &mut Backoff) {
        if self.link.begin() {
            backoff.reset();
            tracing::info!("connected to Redis");
        }
    }

    fn take(&mut self, request: Request) {
        if self.link.is_ready() {
            self.publishing.push(request);
        } else {
            // Not everything is subscribed to yet, so local members might miss it.
            self.publishing.refuse(request, None);
        }
    }

    /// Waits, and answers publishers meanwhile that there is no connection.
    async fn decline_during<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                output = &mut future => return output,
                Some(request) = self.requests.recv() => {
                    self.publishing.refuse(request, None);
                    self.serve_unheard();
                }
            }
        }
    }

    /// Delivers here, from memory, what other nodes may not get and nobody listens to.
    fn serve_unheard(&mut self) {
        let unheard = self.publishing.take_unheard();
        if unheard.is_empty() {
            return;
        }
        let node = self.node.clone();
        // It may have to be stored first. One task, so that they keep their order.
        tokio::spawn(async move {
            for draft in unheard {
                // Nobody listens.
                let _ = node.publish(draft).await;
            }
        });
    }

    fn down(&mut self, lost: &Lost) {
        let cause = match lost {
            Lost::Redis(error) => Some(error),
            _ => None,
        };
        self.link.end(lost.unusable());
        self.changes.close();
        self.subscriptions.begin(Vec::new());
        self.publishing
            .lost(&mut self.heads, cause, &mut &self.node);
        self.serve_unheard();
        self.heads.lose();
        self.uncompared.clear();
    }

    /// Takes everything in that has come.
    fn take_all(&mut self, inbox: &mut Inbox, heartbeat: &mut Heartbeat) {
        self.node.clone().together(|| {
            while let Some(push) = inbox.next_now() {
                self.take_in(push, heartbeat);
            }
        });
    }

    fn take_in(&mut self, push: Push, heartbeat: &mut Heartbeat) {
        match push {
            Push::Message(message) => self.deliver(message),
            Push::Heartbeat(number) => heartbeat.heard(number),
        }
    }

    fn deliver(&mut self, message: Bytes) {
        let announced = match envelope::decode(message) {
            Ok(announced) => announced,
            Err(error) => {
                if let Some(times) = self.garbage.allow() {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, times, "skipped what is not an envelope");
                }
                return;
            }
        };
        let (subscriptions, names) = (&self.subscriptions, &self.names);
        let target = announced.publication.target.clone();
        let is_subscribed = || subscriptions.has(&names.channel(&target));
        let mut to = Delivery::new(&self.node, &mut self.publishing, &mut self.gaps);
        self.heads.take(announced, is_subscribed, &mut to);
    }

    fn report(&self, lost: &Lost, backoff: &Backoff) {
        let error = lost as &dyn std::error::Error;
        let is_new = match lost.unusable() {
            Some(why) => self.link.status() != BackendStatus::Unusable(why),
            None => self.link.is_ready() || backoff.is_fresh(),
        };
        if is_new {
            tracing::warn!(
                error,
                "no connection to Redis; local members are served, and it is tried again"
            );
        } else {
            tracing::debug!(error, "still no connection to Redis");
        }
    }

    fn config(&self) -> AsyncConnectionConfig {
        let at_least: fn(Duration) -> Option<Duration> = Some;
        AsyncConnectionConfig::new()
            .set_connection_timeout(at_least(self.settings.connect_timeout()))
            .set_response_timeout(at_least(self.settings.response_timeout()))
    }
}
