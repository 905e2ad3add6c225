//! Publications on their way through Redis.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use polywire_core::{LocalNode, LogLimiter, Position, Timetoken};
use redis::{Pipeline, RedisError, Value};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    envelope::{self, PublishId},
    script::{Keep, PlaceScript, Run, position},
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
    /// The key of the place.
    pub(super) place: String,
    /// The Redis channel.
    pub(super) channel: String,
    /// The envelope without the place.
    pub(super) body: Bytes,
    /// It gets a number of its own.
    pub(super) counts: bool,
    pub(super) keep: Option<Keep>,
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
    placed: Option<Position>,
    tries: u32,
}

/// Publications on their way: waiting, sent, placed and not yet come back, and of unknown fate. One batch is
/// under way at a time; what comes meanwhile makes the next one.
pub(super) struct Publishing {
    script: PlaceScript,
    timetoken: String,
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
    refusals: LogLimiter,
}

impl Publishing {
    pub(super) fn new(timetoken: String) -> Self {
        Self {
            script: PlaceScript::new(),
            timetoken,
            server_run: String::new(),
            queue: VecDeque::new(),
            batch: Vec::new(),
            loads: false,
            script_known: false,
            flights: HashMap::new(),
            awaited: VecDeque::new(),
            abandoned: HashSet::new(),
            abandoned_order: VecDeque::new(),
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
        let mut pipeline = Pipeline::new();
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
            if request.answer.is_closed() {
                // Its publisher went away before it was sent.
                continue;
            }
            if request.since.elapsed() > patience {
                answer(request, Outcome::Unplaced(None));
                continue;
            }
            if self.batch.is_empty() {
                self.loads = !self.script_known;
                if self.loads {
                    self.script.load(&mut pipeline);
                }
            }
            bytes += request.body.len();
            let run = Run {
                place: &request.place,
                timetoken: &self.timetoken,
                channel: &request.channel,
                body: &request.body,
                floor,
                server_run: &self.server_run,
                counts: request.counts,
                keep: request.keep.as_ref(),
            };
            self.script.run(&mut pipeline, &run);
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
        (!self.batch.is_empty()).then_some(pipeline)
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
        let (mut again, mut why) = (Vec::new(), None);
        for number in std::mem::take(&mut self.batch) {
            let reply = replies.next().unwrap_or(Value::Nil);
            if let Some(place) = position(&reply) {
                self.placed(node, number, place);
            } else if let Some(flight) = self.flights.remove(&number) {
                // An error of the script means that it did not get as far as its last step, the
                // announcement: the publication did not take place.
                match reply.extract_error() {
                    Err(error) if error.code() == Some("NOSCRIPT") && flight.tries < 3 => {
                        self.script_known = false;
                        again.push((flight.request, flight.tries));
                    }
                    other => {
                        let error = other.err().map(Arc::new);
                        why = why.or(error.as_deref().and_then(unusable::by_error));
                        if let Some(times) = self.refusals.allow() {
                            tracing::warn!(?error, times, "Redis refused publications");
                        }
                        answer(flight.request, Outcome::Unplaced(error));
                    }
                }
            }
        }
        for request in again.into_iter().rev() {
            self.queue.push_front(request);
        }
        why
    }

    fn placed(&mut self, node: &LocalNode, number: u64, place: Position) {
        node.clock().observe(place.timetoken);
        let Some(flight) = self.flights.get_mut(&number) else {
            return;
        };
        if flight.echoes && flight.echoed.is_none() {
            flight.placed = Some(place);
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
        while let Some(number) = self.awaited.front()
            && !self.flights.contains_key(number)
        {
            self.awaited.pop_front();
        }
    }

    /// Answers those whose publication has its place but did not come back in time: nobody here is
    /// subscribed any more.
    pub(super) fn tidy(&mut self, patience: Duration) {
        while let Some(number) = self.awaited.front() {
            let flight = self.flights.get(number);
            if flight.is_some_and(|flight| flight.request.since.elapsed() < patience) {
                break;
            }
            if let Some(flight) = self.flights.remove(number)
                && let Some(place) = flight.placed
            {
                answer(flight.request, Outcome::Placed(place));
            }
            self.awaited.pop_front();
        }
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

    /// The connection is lost. What has its place is delivered here, in order, if that was still to come;
    /// the rest has an unknown fate.
    pub(super) fn lost(&mut self, node: &LocalNode, cause: Option<&Arc<RedisError>>) {
        for number in std::mem::take(&mut self.awaited) {
            let Some(flight) = self.flights.remove(&number) else {
                continue;
            };
            let Some(place) = flight.placed else { continue };
            if let Ok((_, draft)) = envelope::decode_body(flight.request.body.clone()) {
                node.deliver(&draft.at(place));
            }
            answer(flight.request, Outcome::Placed(place));
        }
        for number in std::mem::take(&mut self.batch) {
            let Some(flight) = self.flights.remove(&number) else {
                continue;
            };
            let id = flight.request.id;
            if let Some(place) = flight.echoed {
                answer(flight.request, Outcome::Placed(place));
            } else if answer(flight.request, Outcome::Unplaced(cause.cloned())) {
                self.abandoned.insert(id);
                self.abandoned_order.push_back((Instant::now(), id));
            }
        }
        for (request, _) in std::mem::take(&mut self.queue) {
            answer(request, Outcome::Unplaced(cause.cloned()));
        }
        self.flights.clear();
        self.tidy(Duration::ZERO);
    }
}

/// Tells the publisher; false when it went away.
pub(super) fn answer(request: Request, outcome: Outcome) -> bool {
    request.answer.send(outcome).is_ok()
}

#[cfg(test)]
mod tests {
    use polywire_core::{
        Channel, Draft, Epoch, Interest, LocalNode, Payload, Seq, Target,
        testkit::{LocalBackend, Recorder, RecordingPolicy, TestNode},
    };
    use tokio::sync::Semaphore;

    use super::*;
    use crate::redis::{changes::Changes, names::Names};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A node with one member on one channel, subscribed to in Redis.
    struct Bench {
        node: LocalNode,
        member: Arc<Recorder>,
        target: Target,
        subscriptions: Subscriptions,
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
            let round = subscriptions.next_round(&node, &names, &Changes::default());
            subscriptions.confirmed(round.expect("there is something to subscribe to"));
            Self {
                node,
                member,
                target: room.into(),
                subscriptions,
                publishing: Publishing::new("t".into()),
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
                place: "place".into(),
                channel: Names::new("").channel(&self.target),
                body: envelope::encode(id, &draft).unwrap(),
                counts: true,
                keep: None,
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
            let digits = |n: u64| Value::BulkString(n.to_string().into_bytes());
            let places = places.into_iter().map(|n| {
                let seq = Value::Int(n.try_into().unwrap());
                Value::Array(vec![digits(7), seq, digits(100 + n)])
            });
            let replies = [loaded].into_iter().chain(places).collect();
            self.publishing.replied(&self.node, replies);
        }

        fn lose(&mut self) {
            self.publishing.lost(&self.node, None);
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
        assert_eq!(bench.send(), 3, "the script is loaded first");
        // Either may be first: the message or the reply.
        bench.publishing.delivered(bench.id(1), place(1));
        assert!(first.try_recv().is_err());
        bench.reply([1, 2]);
        assert_eq!(placed(&mut first), place(1));
        assert!(second.try_recv().is_err());
        bench.publishing.delivered(bench.id(2), place(2));
        assert_eq!(placed(&mut second), place(2));
        assert!(bench.publishing.flights.is_empty() && bench.publishing.awaited.is_empty());
    }

    #[tokio::test]
    async fn what_has_its_place_is_delivered_though_the_connection_is_lost() {
        let mut bench = Bench::new().await;
        let mut told = [bench.request("a"), bench.request("b"), bench.request("c")];
        bench.send();
        bench.reply([1, 2, 3]);
        bench.publishing.delivered(bench.id(1), place(1));
        bench.lose();
        for (told, seq) in told.iter_mut().zip(1..) {
            assert_eq!(placed(told), place(seq));
        }
        // The first was delivered when it came back, which is not part of this test.
        assert_eq!(bench.member.texts(), ["b", "c"]);
        assert!(bench.publishing.came_back(bench.id(2)));
    }

    #[tokio::test]
    async fn what_was_not_answered_is_not_delivered_again_when_it_comes_back() {
        let mut bench = Bench::new().await;
        let mut told = bench.request("a");
        drop(bench.request("publisher went away before it was sent"));
        let gone = bench.request("publisher went away afterwards");
        assert_eq!(bench.send(), 3);
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
        bench.publishing.delivered(bench.id(1), place(1));
        assert_eq!(placed(&mut told), place(1));
    }

    #[tokio::test]
    async fn nobody_waits_forever_for_what_does_not_come_back() {
        let mut bench = Bench::new().await;
        let mut told = bench.request("a");
        bench.send();
        bench.reply([1]);
        bench.publishing.tidy(PATIENCE);
        assert!(told.try_recv().is_err());
        bench.publishing.tidy(Duration::ZERO);
        assert_eq!(placed(&mut told), place(1));
    }
}
