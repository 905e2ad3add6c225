//! Storing before delivery: nobody gets a publication that is to be stored before it is.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use polywire_core::{
    BackendError, Channel, ClientId, ConnectionId, Draft, Durability, Hub, Interest, LocalNode,
    Payload, PersistResult, PersistenceError, PersistencePolicy, Position, PubSubBackend,
    Publication, Receipt, Retention, Seq,
    delivery::{Fanout, Flush, Flusher, Receiver},
    testkit::{LocalBackend, Recorder, until, within},
};
use tokio::sync::Semaphore;

/// Stores when it is let.
struct Gate {
    open: Semaphore,
    batches: Mutex<Vec<Vec<String>>>,
    calls: AtomicUsize,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            open: Semaphore::new(0),
            batches: Mutex::default(),
            calls: AtomicUsize::new(0),
        }
    }
}

fn text(publication: &Publication) -> String {
    match &publication.payload {
        Payload::Text(text) => text.value().to_string(),
        other => panic!("{other:?}"),
    }
}

#[async_trait]
impl PersistencePolicy for Gate {
    async fn persist(&self, _: &Arc<Publication>) -> PersistResult {
        panic!("batches are wanted")
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        let texts: Vec<_> = batch.iter().map(|p| text(p)).collect();
        assert!(!texts.contains(&"panic".to_owned()), "as the test wants");
        self.batches.lock().unwrap().push(texts.clone());
        let full = |text: &String| text.starts_with("full");
        texts
            .iter()
            .map(|text| match full(text) {
                true => Err(PersistenceError::Full),
                false => Ok(Durability::Synced),
            })
            .collect()
    }
}

struct Node {
    backend: LocalBackend,
    hub: Arc<Hub>,
    gate: Arc<Gate>,
}

impl Node {
    async fn new() -> Arc<Self> {
        let hub = Arc::new(Hub::new(Flusher::new(1)));
        let gate = Arc::new(Gate::default());
        let backend = LocalBackend::default();
        let local = LocalNode::new(hub.clone(), gate.clone());
        backend.start(local).await.unwrap();
        Arc::new(Self { backend, hub, gate })
    }

    fn member(&self, channel: &str) -> Arc<Recorder> {
        let recorder = Recorder::new(self.hub.node());
        let channel = Channel::new(channel).unwrap();
        self.hub.join(&Interest::Channel(channel), recorder.clone());
        recorder
    }

    async fn say(&self, channel: &str, text: &str) -> Result<Receipt, BackendError> {
        let channel = Channel::new(channel).unwrap();
        let draft = Draft::new(channel, Payload::text(text.to_owned()));
        within("publish", self.backend.publish(draft)).await
    }

    /// Begins to say something; returns when it stands in line.
    async fn begin(
        self: &Arc<Self>,
        channel: &'static str,
        text: &'static str,
    ) -> tokio::task::JoinHandle<Result<Receipt, BackendError>> {
        let node = self.clone();
        let saying = tokio::spawn(async move { node.say(channel, text).await });
        // On one thread: the others run until they wait.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        saying
    }

    async fn calls(&self, count: usize) {
        until("the policy is called", || {
            self.gate.calls.load(Ordering::SeqCst) == count
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_gets_it_before_it_is_stored_and_what_comes_later_waits() {
    let node = Node::new().await;
    let (member, other) = (node.member("room"), node.member("other"));
    let first = node.begin("room", "first").await;
    node.calls(1).await;
    let fleeting = |channel: &str, text: &'static str| {
        let draft = Draft::new(Channel::new(channel).unwrap(), Payload::text(text));
        node.backend.publish(draft.retention(Retention::NONE))
    };
    let behind = fleeting("room", "behind").await.unwrap();
    assert_eq!(behind.durability, Durability::Delivered);
    assert_eq!(
        behind.position.seq,
        Seq(1),
        "what is not stored does not count"
    );
    fleeting("other", "at once").await.unwrap();
    other.wait_for(1).await;
    assert_eq!(
        member.len(),
        0,
        "one order, and nothing before it is stored"
    );
    node.gate.open.add_permits(1);
    let receipt = within("publish", first).await.unwrap().unwrap();
    assert_eq!(receipt.durability, Durability::Synced);
    assert_eq!(receipt.position.seq, Seq(1));
    assert_eq!(member.texts(), ["first", "behind"]);
}

#[tokio::test]
async fn what_comes_in_meanwhile_makes_the_next_batch() {
    let node = Node::new().await;
    let member = node.member("room");
    let first = node.begin("room", "0").await;
    node.calls(1).await;
    let mut others = Vec::new();
    for text in ["1", "2", "3"] {
        others.push(node.begin("room", text).await);
    }
    let elsewhere = node.begin("elsewhere", "4").await;
    node.gate.open.add_permits(2);
    for saying in [first, elsewhere].into_iter().chain(others) {
        within("publish", saying).await.unwrap().unwrap();
    }
    let batches = node.gate.batches.lock().unwrap().clone();
    assert_eq!(batches, [vec!["0"], vec!["1", "2", "3", "4"]]);
    assert_eq!(member.texts(), ["0", "1", "2", "3"]);
}

/// A member that asks for a flush with each delivery, and has whoever may be flushed by then flushed.
struct Impatient {
    connection: ConnectionId,
    flusher: Arc<Flusher>,
    flushes: Arc<Flushes>,
    /// How often it was flushed before each delivery.
    before: Mutex<Vec<usize>>,
}

#[derive(Default)]
struct Flushes(AtomicUsize);

impl Flush for Flushes {
    fn flush(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Receiver for Impatient {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        self.flusher.flush_now();
        let flushes = self.flushes.0.load(Ordering::SeqCst);
        self.before.lock().unwrap().push(flushes);
        fanout.flush_later(self.flushes.clone());
    }
}

impl Node {
    fn impatient(&self, channel: &str) -> Arc<Impatient> {
        let member = Arc::new(Impatient {
            connection: ConnectionId::next(self.hub.node()),
            flusher: self.hub.flusher().clone(),
            flushes: Arc::default(),
            before: Mutex::default(),
        });
        let channel = Channel::new(channel).unwrap();
        self.hub.join(&Interest::Channel(channel), member.clone());
        member
    }
}

#[tokio::test]
async fn what_was_stored_together_leaves_together() {
    let node = Node::new().await;
    let member = node.impatient("room");
    let first = node.begin("room", "0").await;
    node.calls(1).await;
    let mut sayings = vec![first];
    for text in ["1", "2", "3"] {
        sayings.push(node.begin("room", text).await);
    }
    node.gate.open.add_permits(2);
    for saying in sayings {
        within("publish", saying).await.unwrap().unwrap();
    }
    let before = member.before.lock().unwrap().clone();
    assert_eq!(before, [0, 1, 1, 1], "the second batch leaves as one");
}

#[tokio::test]
async fn what_a_backend_delivers_together_leaves_together() {
    let hub = Arc::new(Hub::new(Flusher::new(1)));
    let local = LocalNode::new(hub.clone(), Arc::new(Gate::default()));
    let (gate, backend) = (Arc::new(Gate::default()), LocalBackend::default());
    let member = Node { backend, hub, gate }.impatient("room");
    let draft = || Draft::new(Channel::new("room").unwrap(), Payload::text("x"));
    let deliver = || local.deliver(&draft().at(Position::default()));
    local.together(|| (0..3).for_each(|_| deliver()));
    deliver();
    assert_eq!(*member.before.lock().unwrap(), [0, 0, 0, 3]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_and_the_rest_goes_on() {
    let node = Node::new().await;
    let member = node.member("room");
    let first = node.begin("room", "0").await;
    node.calls(1).await;
    let mut sayings = vec![first];
    for text in ["1", "full 2", "3"] {
        sayings.push(node.begin("room", text).await);
    }
    node.gate.open.add_permits(2);
    let mut outcomes = Vec::new();
    for saying in sayings {
        outcomes.push(within("publish", saying).await.unwrap());
    }
    assert!(matches!(
        outcomes.remove(2),
        Err(BackendError::NotStored(PersistenceError::Full))
    ));
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(member.texts(), ["0", "1", "3"]);
}

#[tokio::test]
async fn what_is_refused_leaves_no_hole_in_the_numbers() {
    let node = Node::new().await;
    node.gate.open.add_permits(10);
    let mut numbers = Vec::new();
    for text in ["1", "full", "2", "full", "full", "3"] {
        if let Ok(receipt) = node.say("room", text).await {
            numbers.push(receipt.position.seq.0);
        }
        // Somebody who stays keeps the channel's place.
        if numbers.len() == 1 {
            node.member("room");
        }
    }
    assert_eq!(numbers[1..], [numbers[1], numbers[1] + 1]);
    assert!(numbers[1] <= 2, "{numbers:?}");
}

#[tokio::test]
async fn a_policy_that_panics_spoils_its_batch_and_nothing_else() {
    let node = Node::new().await;
    let member = node.member("room");
    node.gate.open.add_permits(2);
    let spoilt = node.say("room", "panic").await;
    assert!(matches!(
        spoilt,
        Err(BackendError::NotStored(PersistenceError::Closed))
    ));
    node.say("room", "after").await.unwrap();
    assert_eq!(member.texts(), ["after"]);
}

#[tokio::test]
async fn a_publisher_that_goes_away_holds_nobody_up() {
    let node = Node::new().await;
    let member = node.member("room");
    let gone = node.begin("room", "gone").await;
    node.calls(1).await;
    gone.abort();
    let stays = node.begin("room", "stays").await;
    node.gate.open.add_permits(2);
    within("publish", stays).await.unwrap().unwrap();
    assert_eq!(member.texts(), ["gone", "stays"], "stored, so delivered");
}

#[tokio::test]
async fn room_in_line_is_bounded_and_is_given_back() {
    let node = Node::new().await;
    let large = "x".repeat(8 << 20);
    let mut sayings = Vec::new();
    for n in 0..20 {
        let (node, text) = (node.clone(), format!("{n}{large}"));
        sayings.push(tokio::spawn(async move { node.say("room", &text).await }));
    }
    node.calls(1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    node.gate.open.add_permits(100);
    for saying in sayings {
        within("publish", saying).await.unwrap().unwrap();
    }
    let batches = node.gate.batches.lock().unwrap();
    let mut sizes = HashMap::new();
    for batch in batches.iter() {
        assert!(batch.len() <= 8, "64 MiB wait at most: {}", batch.len());
        *sizes.entry(batch.len()).or_insert(0) += 1;
    }
    assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 20, "{sizes:?}");
}
