//! Publications on their way through Redis.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use polywire_core::{Draft, LocalNode, LogLimiter, Position, Target, Timetoken};
use redis::{Pipeline, RedisError, Value};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    envelope::{self, Announced, Placed, PublishId},
    gap_repair::{Deliver, Heads},
    script::{Common, Keep, PublishScript, Run, placed},
    subscriptions::Subscriptions,
    unusable,
};

/// Publications and bytes that one pipeline carries at most; a single larger publication goes alone.
pub(super) const BATCH_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Publications of unknown fate that are remembered: more than can be under way in any one outage.
const ABANDONED_MAX: usize = 64 * 1024;
/// How long they are remembered.
const ABANDONED_FOR: Duration = Duration::from_secs(60 * 60);
/// How much longer a publication may take to come back, where what is missing is read: then its publisher is answered,
/// and it is repaired later.
const LATE_MAX: Duration = Duration::from_secs(4);

/// What became of a publication.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It has its place, and the local members have it.
    Placed(Position),
    /// It has no place, or none that is known; if it comes back after all, it is not delivered here.
    Unplaced(Option<Arc<RedisError>>),
}

/// A publication that is to be placed.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: PublishId,
    pub(super) target: Target,
    /// The key of the place.
    pub(super) place: String,
    /// The key of the window.
    pub(super) window: String,
    /// The Redis channel.
    pub(super) channel: String,
    /// The envelope without the place.
    pub(super) body: Bytes,
    /// It gets a number of its own.
    pub(super) counts: bool,
    pub(super) keep: Option<Keep>,
    /// It itself, where its publisher does not listen: local members are to get it though other nodes may not.
    pub(super) unheard: Option<Draft>,
    pub(super) since: Instant,
    pub(super) answer: oneshot::Sender<Outcome>,
    /// The request's part of the bytes that may wait.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// A publication that was sent.
#[derive(Debug)]
struct Flight {
    request: Request,
    /// Surely comes back, because this connection is subscribed to its channel.
    echoes: bool,
    /// Came back and was delivered.
    echoed: Option<Position>,
    /// Redis answered.
    placed: Option<Placed>,
    tries: u32,
}

/// Publications on their way: waiting, sent, placed and not yet come back, and of unknown fate. One batch is
/// under way at a time; what comes meanwhile makes the next one.
pub(super) struct Publishing {
    script: PublishScript,
    timetoken: String,
    listed: String,
    server_run: String,
    /// Not sent, in order.
    queue: VecDeque<(Request, u32)>,
    /// Sent, in order.
    batch: Vec<u64>,
    /// The batch begins with the command that loads the script.
    loads: bool,
    script_known: bool,
    flights: HashMap<u64, Flight>,
    /// Placed and not yet come back, in the order of Redis.
    awaited: VecDeque<u64>,
    abandoned: HashSet<PublishId>,
    abandoned_order: VecDeque<(Instant, PublishId)>,
    /// To be delivered here, from memory, though nobody listens to what became of it.
    unheard: Vec<Draft>,
    refusals: LogLimiter,
}

impl Publishing {
    /// With the keys of the last timetoken and of the list of channels that were silent.
    pub(super) fn new(timetoken: String, listed: String) -> Self {
        Self {
            script: PublishScript::new(),
            timetoken,
            listed,
            server_run: String::new(),
            queue: VecDeque::new(),
            batch: Vec::new(),
            loads: false,
            script_known: false,
            flights: HashMap::new(),
            awaited: VecDeque::new(),
            abandoned: HashSet::new(),
            abandoned_order: VecDeque::new(),
            unheard: Vec::new(),
            refusals: LogLimiter::default(),
        }
    }

    /// Begins on a new connection, to a server with this id of its run.
    pub(super) fn begin(&mut self, server_run: String) {
        self.server_run = server_run;
        self.script_known = false;
    }

    /// True when no more should be put into the queue.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= BATCH_MAX
    }

    pub(super) fn push(&mut self, request: Request) {
        self.queue.push_back((request, 0));
    }

    /// Makes the next batch; `None` when nothing waits. Who waited longer than `patience` is answered
    /// instead, so that a slow server delays nobody for long.
    pub(super) fn next_batch(
        &mut self,
        subscriptions: &Subscriptions,
        floor: Timetoken,
        patience: Duration,
    ) -> Option<Pipeline> {
        let mut bytes = 0;
        while let Some((request, _)) = self.queue.front() {
            let full =
                self.batch.len() >= BATCH_MAX || bytes + request.body.len() > BATCH_BYTES_MAX;
            if full && !self.batch.is_empty() {
                break;
            }
            let Some((request, tries)) = self.queue.pop_front() else {
                break;
            };
            if request.answer.is_closed() && request.unheard.is_none() {
                // Its publisher went away before it was sent.
                continue;
            }
            if request.since.elapsed() > patience {
                self.refuse(request, None);
                continue;
            }
            bytes += request.body.len();
            let number = request.id.number;
            let flight = Flight {
                echoes: subscriptions.echoes(&request.channel),
                request,
                echoed: None,
                placed: None,
                tries: tries + 1,
            };
            self.batch.push(number);
            self.flights.insert(number, flight);
        }
        (!self.batch.is_empty()).then(|| self.commands(floor))
    }

    /// The commands that publish the batch.
    fn commands(&mut self, floor: Timetoken) -> Pipeline {
        let mut pipeline = Pipeline::new();
        self.loads = !self.script_known;
        if self.loads {
            self.script.load(&mut pipeline);
        }
        let sent = self.batch.iter();
        let sent = sent.filter_map(|number| Some(&self.flights.get(number)?.request));
        let runs: Vec<_> = sent
            .map(|request| Run {
                place: &request.place,
                window: &request.window,
                channel: &request.channel,
                body: &request.body,
                counts: request.counts,
                keep: request.keep.as_ref(),
            })
            .collect();
        let common = Common {
            timetoken: &self.timetoken,
            listed: &self.listed,
            floor,
            server_run: &self.server_run,
        };
        self.script.run(&mut pipeline, &common, &runs);
        pipeline
    }

    /// Takes the replies to the batch. Returns why the server cannot be used, where one says so.
    pub(super) fn replied(
        &mut self,
        node: &LocalNode,
        replies: Vec<Value>,
    ) -> Option<&'static str> {
        let mut replies = replies.into_iter();
        if self.loads {
            self.script_known = matches!(replies.next(), Some(Value::BulkString(_)));
        }
        let reply = replies.next().unwrap_or(Value::Nil);
        let (mut each, refused) = match reply.extract_error() {
            Ok(Value::Array(each)) => (each.into_iter(), None),
            Ok(_) => (Vec::new().into_iter(), None),
            // Nothing of the batch took place.
            Err(error) => (Vec::new().into_iter(), Some(Arc::new(error))),
        };
        let is_unknown = refused
            .as_deref()
            .is_some_and(|error| error.code() == Some("NOSCRIPT"));
        let (mut again, mut why) = (Vec::new(), None);
        for number in std::mem::take(&mut self.batch) {
            let reply = each.next().unwrap_or(Value::Nil);
            if let Some(place) = placed(&reply) {
                self.placed(node, number, place);
            } else if let Some(flight) = self.flights.remove(&number) {
                if is_unknown && flight.tries < 3 {
                    self.script_known = false;
                    again.push((flight.request, flight.tries));
                    continue;
                }
                // An error means that it did not get as far as the last step, the announcement: the publication did not
                // take place.
                let error = match reply.extract_error() {
                    Err(error) => Some(Arc::new(error)),
                    Ok(_) => refused.clone(),
                };
                why = why.or(error.as_deref().and_then(unusable::by_error));
                if let Some(times) = self.refusals.allow() {
                    tracing::warn!(?error, times, "Redis refused publications");
                }
                self.refuse(flight.request, error);
            }
        }
        for request in again.into_iter().rev() {
            self.queue.push_front(request);
        }
        why
    }

    /// Tells a publisher that its publication has no place, or none that is known: it delivers it here, from memory. False
    /// when nobody does.
    pub(super) fn refuse(&mut self, mut request: Request, cause: Option<Arc<RedisError>>) -> bool {
        let unheard = request.unheard.take();
        let is_heard = answer(request, Outcome::Unplaced(cause));
        match unheard {
            Some(draft) if !is_heard => {
                self.unheard.push(draft);
                true
            }
            _ => is_heard,
        }
    }

    /// What is to be delivered here though nobody listens to what became of it.
    pub(super) fn take_unheard(&mut self) -> Vec<Draft> {
        std::mem::take(&mut self.unheard)
    }

    fn placed(&mut self, node: &LocalNode, number: u64, placed: Placed) {
        let place = placed.position;
        node.clock().observe(place.timetoken);
        let Some(flight) = self.flights.get_mut(&number) else {
            return;
        };
        if flight.echoes && flight.echoed.is_none() {
            flight.placed = Some(placed);
            self.awaited.push_back(number);
        } else if let Some(flight) = self.flights.remove(&number) {
            answer(flight.request, Outcome::Placed(place));
        }
    }

    /// A publication of this node came back. False when it must not be delivered, because its publisher
    /// was told that it is lost and local members have it already.
    pub(super) fn came_back(&self, id: PublishId) -> bool {
        !self.abandoned.contains(&id)
    }

    /// A publication of this node that came back was delivered.
    pub(super) fn delivered(&mut self, id: PublishId, place: Position) {
        let Some(flight) = self.flights.get_mut(&id.number) else {
            return;
        };
        flight.echoed = Some(place);
        if flight.placed.is_some()
            && let Some(flight) = self.flights.remove(&id.number)
        {
            answer(flight.request, Outcome::Placed(place));
        }
        self.forget_answered();
    }

    /// Looks at those whose publication has its place but did not come back in time. Where somebody here is subscribed
    /// still, it is missing; else nobody waits for it.
    pub(super) fn tidy(&mut self, heads: &mut Heads, patience: Duration) {
        let mut late = Vec::new();
        for number in &self.awaited {
            let Some(flight) = self.flights.get(number) else {
                continue;
            };
            let waited = flight.request.since.elapsed();
            if waited < patience {
                break;
            }
            let Some(placed) = flight.placed else {
                continue;
            };
            let target = &flight.request.target;
            let is_here = heads.has(target, placed.position.timetoken);
            if is_here || waited > patience.saturating_add(LATE_MAX) || !heads.is_overdue(target) {
                late.push((*number, placed.position));
            }
        }
        for (number, place) in late {
            if let Some(flight) = self.flights.remove(&number) {
                answer(flight.request, Outcome::Placed(place));
            }
        }
        self.forget_answered();
        self.forget_abandoned();
    }

    /// Takes what was answered from the start of those that are awaited.
    fn forget_answered(&mut self) {
        while let Some(number) = self.awaited.front()
            && !self.flights.contains_key(number)
        {
            self.awaited.pop_front();
        }
    }

    fn forget_abandoned(&mut self) {
        while self.abandoned_order.len() > ABANDONED_MAX
            || self
                .abandoned_order
                .front()
                .is_some_and(|(since, _)| since.elapsed() > ABANDONED_FOR)
        {
            if let Some((_, id)) = self.abandoned_order.pop_front() {
                self.abandoned.remove(&id);
            }
        }
    }

    /// The connection is lost. What has its place and is the next of its channel is delivered here, if that was still to
    /// come; the rest has an unknown fate.
    pub(super) fn lost(
        &mut self,
        heads: &mut Heads,
        cause: Option<&Arc<RedisError>>,
        to: &mut impl Deliver,
    ) {
        let awaited = std::mem::take(&mut self.awaited);
        for number in awaited.into_iter().chain(std::mem::take(&mut self.batch)) {
            let Some(flight) = self.flights.remove(&number) else {
                continue;
            };
            let id = flight.request.id;
            if let Some(place) = flight.echoed {
                answer(flight.request, Outcome::Placed(place));
                continue;
            }
            let announced = flight.placed.and_then(|placed| {
                let (_, draft) = envelope::decode_body(flight.request.body.clone()).ok()?;
                Some(Announced {
                    id,
                    publication: draft.at(placed.position),
                    previous: placed.previous,
                })
            });
            match announced {
                Some(announced) if heads.follows(&announced) => {
                    to.deliver(id, &announced.publication);
                    let place = announced.publication.position();
                    answer(flight.request, Outcome::Placed(place));
                }
                // Something before it is missing here, or it has no place that is known.
                _ => {
                    if self.refuse(flight.request, cause.cloned()) {
                        self.abandoned.insert(id);
                        self.abandoned_order.push_back((Instant::now(), id));
                    }
                }
            }
        }
        for (request, _) in std::mem::take(&mut self.queue) {
            self.refuse(request, cause.cloned());
        }
        self.flights.clear();
        self.forget_abandoned();
    }
}

/// Tells the publisher; false when it went away.
fn answer(request: Request, outcome: Outcome) -> bool {
    request.answer.send(outcome).is_ok()
}

#[cfg(test)]
mod tests {
    use polywire_core::{
        Channel, Epoch, Interest, LocalNode, Payload, Seq, Target,
        testkit::{LocalBackend, Recorder, RecordingPolicy, TestNode},
    };
    use tokio::sync::Semaphore;

    use super::*;
    use crate::redis::{
        changes::Changes, delivery::Delivery, names::Names, subscriptions::Confirmed,
    };

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A node with one member on one channel, subscribed to in Redis.
    struct Bench {
        node: LocalNode,
        member: Arc<Recorder>,
        target: Target,
        subscriptions: Subscriptions,
        heads: Heads,
        publishing: Publishing,
        number: u64,
    }

    impl Bench {
        async fn new() -> Self {
            let test_node = TestNode::ready(LocalBackend::default()).await;
            let (member, room) = (test_node.connection(), Channel::new("room").unwrap());
            test_node.join(&room, &member).await;
            let policy = Arc::new(RecordingPolicy::default());
            let node = LocalNode::new(test_node.hub().clone(), policy);
            let mut subscriptions = Subscriptions::default();
            subscriptions.begin(vec![Interest::Channel(room.clone())]);
            let names = Names::new("");
            let mut heads = Heads::default();
            let round = subscriptions.next_round(&node, &names, &Changes::default(), &mut heads);
            let round = round.expect("there is something to subscribe to");
            subscriptions.confirmed(Confirmed::new(round), &mut heads);
            Self {
                node,
                member,
                target: room.into(),
                subscriptions,
                heads,
                publishing: Publishing::new("t".into(), "l".into()),
                number: 0,
            }
        }

        fn id(&self, number: u64) -> PublishId {
            PublishId {
                node: self.node.id(),
                number,
            }
        }

        fn request(&mut self, text: &'static str) -> oneshot::Receiver<Outcome> {
            self.number += 1;
            let id = self.id(self.number);
            let draft = Draft::new(self.target.clone(), Payload::text(text));
            let (answer, told) = oneshot::channel();
            let permits = Arc::new(Semaphore::new(1));
            self.publishing.push(Request {
                id,
                target: self.target.clone(),
                place: "place".into(),
                window: "window".into(),
                channel: Names::new("").channel(&self.target),
                body: envelope::encode(id, &draft).unwrap(),
                counts: true,
                keep: None,
                unheard: None,
                since: Instant::now(),
                answer,
                _permit: permits.try_acquire_owned().unwrap(),
            });
            told
        }

        /// Sends what waits; returns how many commands that took.
        fn send(&mut self) -> usize {
            let floor = Timetoken(1);
            let batch = self
                .publishing
                .next_batch(&self.subscriptions, floor, PATIENCE);
            batch.map_or(0, |batch| batch.len())
        }

        /// Answers a batch of which the first reply is for the loading of the script.
        fn reply(&mut self, places: impl IntoIterator<Item = u64>) {
            let loaded = Value::BulkString(b"hash".to_vec());
            let places = places.into_iter().map(|n| {
                let previous = if n > 1 { 100 + n - 1 } else { 0 };
                Value::BulkString(format!("7 {n} {} {previous}", 100 + n).into_bytes())
            });
            let replies = vec![loaded, Value::Array(places.collect())];
            self.publishing.replied(&self.node, replies);
        }

        /// A publication came back.
        fn come_back(&mut self, number: u64) {
            let draft = Draft::new(self.target.clone(), Payload::text("came back"));
            let announced = Announced {
                id: self.id(number),
                publication: draft.at(place(number)),
                previous: Some(Timetoken(if number > 1 { 100 + number - 1 } else { 0 })),
            };
            let gaps = &mut LogLimiter::default();
            let mut to = Delivery::new(&self.node, &mut self.publishing, gaps);
            self.heads.take(announced, || true, &mut to);
        }

        fn tidy(&mut self, patience: Duration) {
            self.publishing.tidy(&mut self.heads, patience);
        }

        fn lose(&mut self) {
            self.publishing.lost(&mut self.heads, None, &mut &self.node);
        }
    }

    fn place(seq: u64) -> Position {
        Position {
            epoch: Epoch(7),
            seq: Seq(seq),
            timetoken: Timetoken(100 + seq),
        }
    }

    fn placed(told: &mut oneshot::Receiver<Outcome>) -> Position {
        match told.try_recv() {
            Ok(Outcome::Placed(place)) => place,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_publisher_hears_when_its_publication_has_come_back() {
        let mut bench = Bench::new().await;
        let (mut first, mut second) = (bench.request("a"), bench.request("b"));
        assert_eq!(bench.send(), 2, "the script is loaded first");
        // Either may be first: the message or the reply.
        bench.come_back(1);
        assert!(first.try_recv().is_err());
        bench.reply([1, 2]);
        assert_eq!(placed(&mut first), place(1));
        assert!(second.try_recv().is_err());
        bench.come_back(2);
        assert_eq!(placed(&mut second), place(2));
        assert!(bench.publishing.flights.is_empty() && bench.publishing.awaited.is_empty());
    }

    #[tokio::test]
    async fn what_has_its_place_is_delivered_though_the_connection_is_lost() {
        let mut bench = Bench::new().await;
        let mut told = [bench.request("a"), bench.request("b"), bench.request("c")];
        bench.send();
        bench.reply([1, 2, 3]);
        bench.come_back(1);
        bench.lose();
        for (told, seq) in told.iter_mut().zip(1..) {
            assert_eq!(placed(told), place(seq));
        }
        assert_eq!(bench.member.texts(), ["came back", "b", "c"]);
        assert!(bench.publishing.came_back(bench.id(2)));
    }

    #[tokio::test]
    async fn what_was_not_answered_is_not_delivered_again_when_it_comes_back() {
        let mut bench = Bench::new().await;
        let mut told = bench.request("a");
        drop(bench.request("publisher went away before it was sent"));
        let gone = bench.request("publisher went away afterwards");
        assert_eq!(bench.send(), 2);
        drop(gone);
        let mut waiting = bench.request("not sent");
        bench.lose();
        for told in [&mut told, &mut waiting] {
            assert!(matches!(told.try_recv(), Ok(Outcome::Unplaced(None))));
        }
        assert!(!bench.publishing.came_back(bench.id(1)));
        assert!(
            bench.publishing.came_back(bench.id(3)),
            "nobody here was served from memory"
        );
        assert!(bench.publishing.came_back(bench.id(4)), "it never went out");
        assert!(bench.publishing.flights.is_empty());
    }

    #[tokio::test]
    async fn a_script_that_the_server_forgot_is_loaded_again() {
        let mut bench = Bench::new().await;
        let mut told = bench.request("a");
        bench.send();
        let forgot = redis::parse_redis_value(b"-NOSCRIPT No matching script.\r\n").unwrap();
        let loaded = Value::BulkString(b"hash".to_vec());
        bench.publishing.replied(&bench.node, vec![loaded, forgot]);
        assert!(told.try_recv().is_err());
        assert_eq!(bench.send(), 2, "loaded and run again");
        bench.reply([1]);
        bench.come_back(1);
        assert_eq!(placed(&mut told), place(1));
    }

    /// What is before it is missing: it must not be delivered, and the read that is to come delivers both.
    #[tokio::test]
    async fn what_has_its_place_behind_a_hole_is_not_delivered_when_the_connection_is_lost() {
        let mut bench = Bench::new().await;
        let mut told = bench.request("a");
        bench.send();
        bench.reply([2]);
        bench.lose();
        assert!(matches!(told.try_recv(), Ok(Outcome::Unplaced(None))));
        assert!(bench.member.texts().is_empty());
        assert!(!bench.publishing.came_back(bench.id(1)));
    }

    #[tokio::test]
    async fn what_does_not_come_back_is_read_and_its_publisher_waits() {
        let mut bench = Bench::new().await;
        let mut told = bench.request("a");
        bench.send();
        bench.reply([1]);
        bench.tidy(PATIENCE);
        assert_eq!(bench.heads.next_unread(), None);
        bench.tidy(Duration::ZERO);
        let _ = told.try_recv().expect_err("its publisher waits");
        let unread = bench.heads.next_unread();
        assert_eq!(unread, Some((bench.target.clone(), Timetoken(0))));
    }

    #[tokio::test]
    async fn nobody_waits_for_what_nobody_here_is_subscribed_to_any_more() {
        let mut bench = Bench::new().await;
        let mut told = bench.request("a");
        bench.send();
        bench.reply([1]);
        bench.heads.unsubscribed(&bench.target);
        bench.tidy(PATIENCE);
        assert!(told.try_recv().is_err());
        bench.tidy(Duration::ZERO);
        assert_eq!(placed(&mut told), place(1));
    }
}
