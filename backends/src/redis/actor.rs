//! The task that owns the connection.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use polywire_core::{BackendStatus, LocalNode, LogLimiter, Position, Target};
use redis::{
    AsyncConnectionConfig, Client, PushInfo, RedisError, RedisResult, Value,
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
    envelope,
    heartbeat::Heartbeat,
    inbox::{Inbox, Push, inbox},
    link_state::LinkState,
    names::Names,
    publishing::{Outcome, Publishing, Request, answer},
    script::server_run,
    settings::RedisSettings,
    subscriptions::{Round, Subscriptions},
    unusable,
};

/// Messages that are delivered before other work is looked at.
const DELIVER_AT_ONCE: usize = 256;

/// The task that owns the connection, and with it every order: what is sent, what is subscribed to, and what
/// is delivered. There is one connection for commands and messages alike (RESP3), so that there is one
/// answer to whether Redis is there.
pub(super) struct Actor {
    pub(super) node: LocalNode,
    pub(super) client: Client,
    pub(super) settings: RedisSettings,
    pub(super) names: Names,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) changes: Arc<Changes>,
    pub(super) link: Arc<LinkState>,
    pub(super) publishing: Publishing,
    pub(super) subscriptions: Subscriptions,
    /// Publications are kept, and should go on where they ended.
    pub(super) keeps: bool,
    /// The publication that was delivered last: a node with a channel and a matching glob gets each
    /// publication several times, one right after the other.
    pub(super) last: Option<(Target, Position)>,
    pub(super) garbage: LogLimiter,
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

/// Something that is under way on the connection, if anything is.
type UnderWay<T> = Option<Pin<Box<dyn Future<Output = RedisResult<T>> + Send>>>;

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
        let (client, config) = (self.client.clone(), self.config());
        let heartbeat = self.names.heartbeat(self.node.id());
        let (sender, mut inbox) = inbox(heartbeat.clone());
        let config = config.set_push_sender(move |push: PushInfo| -> Result<(), ()> {
            sender.take(push);
            Ok(())
        });
        // The library bounds both steps; this also bounds the look-up of the name.
        let patience = self.settings.connect_timeout() + self.settings.response_timeout();
        let connecting = timeout(patience, async move {
            client
                .get_multiplexed_async_connection_with_config(&config)
                .await
        });
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
            Ok(run) => self.publishing.begin(run),
            Err(lost) => return lost,
        }
        // In this order: what changes after the look at all interests is taken in as a change.
        self.changes.open();
        self.subscriptions.begin(self.node.interests());
        let lost = self.serve(connection, &mut inbox, backoff).await;
        // What came before the end counts.
        while let Some(push) = inbox.next_now() {
            if let Push::Message(message) = push {
                self.deliver(message);
            }
        }
        lost
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
        let mut subscribing: UnderWay<Round> = None;
        let mut placing: UnderWay<Vec<Value>> = None;
        let mut beating: UnderWay<Vec<Value>> = None;
        let mut heartbeat = Heartbeat::default();
        let mut keepalive = interval(self.settings.keepalive());
        keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if subscribing.is_none() {
                let round = self
                    .subscriptions
                    .next_round(&self.node, &self.names, &self.changes);
                match round {
                    Some(round) => subscribing = Some(Box::pin(round.run(connection.clone()))),
                    None if heartbeat.is_heard() => self.begin_to_be_ready(backoff),
                    None => {}
                }
            }
            if placing.is_none() {
                let floor = self.node.clock().last();
                let batch = self
                    .publishing
                    .next_batch(&self.subscriptions, floor, patience);
                placing = batch.map(|batch| -> Pin<Box<dyn Future<Output = _> + Send>> {
                    let mut connection = connection.clone();
                    Box::pin(async move {
                        let count = batch.len();
                        connection.req_packed_commands(&batch, 0, count).await
                    })
                });
            }
            tokio::select! {
                push = inbox.next() => {
                    self.take_in(push.ok_or(Lost::Closed)?, &mut heartbeat);
                    for _ in 0..DELIVER_AT_ONCE {
                        let Some(push) = inbox.next_now() else { break };
                        self.take_in(push, &mut heartbeat);
                    }
                }
                replies = done(&mut placing) => {
                    if let Some(why) = self.publishing.replied(&self.node, replies?) {
                        return Err(Lost::Unusable(why));
                    }
                }
                round = done(&mut subscribing) => self.subscriptions.confirmed(round?),
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
                () = self.changes.changed(), if subscribing.is_none() => {}
                replies = done(&mut beating) => {
                    judge_beat(&replies?)?;
                    heartbeat.answered();
                }
                _ = keepalive.tick() => {
                    self.publishing.tidy(patience);
                    // What came with the last answer is here by now.
                    while let Some(push) = inbox.next_now() {
                        self.take_in(push, &mut heartbeat);
                    }
                    if beating.is_none() {
                        if heartbeat.is_deaf() {
                            return Err(Lost::Unusable(unusable::DEAF));
                        }
                        let channel = self.names.heartbeat(self.node.id());
                        let beat = beat(connection.clone(), channel, heartbeat.beat());
                        beating = Some(Box::pin(beat));
                    }
                }
            }
            if inbox.overflowed() {
                return Err(Lost::Overflow);
            }
        }
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
            answer(request, Outcome::Unplaced(None));
        }
    }

    /// Waits, and answers publishers meanwhile that there is no connection.
    async fn decline_during<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                output = &mut future => return output,
                Some(request) = self.requests.recv() => {
                    answer(request, Outcome::Unplaced(None));
                }
            }
        }
    }

    fn down(&mut self, lost: &Lost) {
        let cause = match lost {
            Lost::Redis(error) => Some(error),
            _ => None,
        };
        self.link.end(lost.unusable());
        self.changes.close();
        self.subscriptions.begin(Vec::new());
        self.publishing.lost(&self.node, cause);
        self.last = None;
    }

    fn take_in(&mut self, push: Push, heartbeat: &mut Heartbeat) {
        match push {
            Push::Message(message) => self.deliver(message),
            Push::Heartbeat(number) => heartbeat.heard(number),
        }
    }

    fn deliver(&mut self, message: Bytes) {
        let (id, publication) = match envelope::decode(message) {
            Ok(decoded) => decoded,
            Err(error) => {
                if let Some(times) = self.garbage.allow() {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, times, "skipped what is not an envelope");
                }
                return;
            }
        };
        let place = publication.position();
        let again = self
            .last
            .as_ref()
            .is_some_and(|(target, last)| *last == place && *target == publication.target);
        if again {
            return;
        }
        self.last = Some((publication.target.clone(), place));
        self.node.clock().observe(place.timetoken);
        if id.node != self.node.id() {
            self.node.deliver(&publication);
        } else if self.publishing.came_back(id) {
            self.node.deliver(&publication);
            self.publishing.delivered(id, place);
        }
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
