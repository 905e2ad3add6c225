//! Questions between nodes: who is asked, who answers, and what becomes of nodes that are late or gone.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use polywire_core::{
    AppRunner, Asked, ClusterHandler, ClusterService, NodeId, Space, Unanswered,
    testkit::{AllowAll, Bus},
};
use tokio::time::{Instant, sleep};

/// Doubles what it is asked, after a while.
#[derive(Default)]
struct Doubles {
    takes: Duration,
    asked: Mutex<Vec<(u64, Asked)>>,
}

#[async_trait]
impl ClusterHandler for Doubles {
    type Question = u64;
    type Answer = u64;

    async fn answer(&self, question: u64, asked: Asked) -> u64 {
        sleep(self.takes).await;
        self.asked.lock().push((question, asked));
        question * 2
    }
}

struct Node {
    space: Arc<Space>,
    handler: Arc<Doubles>,
    service: ClusterService<Doubles>,
}

impl Node {
    /// A node that takes so many seconds for an answer, and waits for one minute.
    async fn start(bus: &Bus, takes: u64) -> Self {
        let builder = AppRunner::builder(bus.node()).authentication(AllowAll);
        let server = builder.build().await.unwrap();
        let space = server.space().clone();
        tokio::spawn(server.run(std::future::pending()));
        let handler = Arc::new(Doubles {
            takes: Duration::from_secs(takes),
            ..Doubles::default()
        });
        let cluster = space.cluster("test").patience(Duration::from_secs(60));
        let service = cluster.serve(handler.clone()).await;
        Self {
            space,
            handler,
            service,
        }
    }

    fn id(&self) -> NodeId {
        self.space.hub().node()
    }

    async fn ask_all(&self, question: u64) -> Result<BTreeMap<NodeId, u64>, Unanswered> {
        self.service.ask(self.service.others(), question).await
    }
}

/// Nodes that know each other.
async fn nodes<const N: usize>(bus: &Bus, takes: [u64; N]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for takes in takes {
        nodes.push(Node::start(bus, takes).await);
    }
    for node in &nodes {
        let mut changes = node.space.nodes().watch();
        while node.service.others().len() < N - 1 {
            changes.changed().await.unwrap();
        }
    }
    nodes
}

#[tokio::test(start_paused = true)]
async fn everybody_who_is_asked_answers_and_nobody_else() {
    let bus = Bus::default();
    let nodes = nodes(&bus, [0, 0, 0]).await;
    let [a, b, c] = [&nodes[0], &nodes[1], &nodes[2]];
    let all = a.ask_all(21).await.unwrap();
    assert_eq!(all, [(b.id(), 42), (c.id(), 42)].into());
    let one = a.service.ask([c.id()].into(), 4).await.unwrap();
    assert_eq!(one, [(c.id(), 8)].into());
    let asked = b.handler.asked.lock().clone();
    assert_eq!(asked.len(), 1, "it was asked once: {asked:?}");
    assert_eq!(asked[0].1.from, a.id());
    let itself = a.service.ask([a.id()].into(), 5).await.unwrap();
    assert_eq!(itself, BTreeMap::new(), "a node does not ask itself");
    assert!(a.handler.asked.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_late_is_waited_for_and_not_for_ever() {
    let bus = Bus::default();
    let nodes = nodes(&bus, [0, 30, 90]).await;
    let began = Instant::now();
    let slow = nodes[0].service.ask([nodes[1].id()].into(), 1).await;
    assert_eq!(slow.unwrap(), [(nodes[1].id(), 2)].into());
    assert!(began.elapsed() >= Duration::from_secs(30));
    let began = Instant::now();
    assert_eq!(nodes[0].ask_all(1).await, Err(Unanswered::Late));
    assert!((60..63).contains(&began.elapsed().as_secs()));
    // Its answer comes when nobody waits any more, and is not taken for that of another question.
    let next = nodes[0].service.ask([nodes[1].id()].into(), 10).await;
    assert_eq!(next.unwrap(), [(nodes[1].id(), 20)].into());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_drops_out_of_the_wait() {
    let bus = Bus::default();
    let nodes = nodes(&bus, [0, 0, 30]).await;
    let (asker, gone) = (&nodes[0], nodes[2].id());
    let (asked, ()) = tokio::join!(asker.ask_all(3), async {
        sleep(Duration::from_secs(1)).await;
        bus.cut(gone);
    });
    assert_eq!(asked.unwrap(), [(nodes[1].id(), 6)].into());
    assert!(!asker.space.nodes().is_there(gone));
    let never_there = asker.service.ask([gone, NodeId(7)].into(), 3).await;
    assert_eq!(never_there.unwrap(), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn two_that_ask_at_once_get_the_answers_to_their_own_questions() {
    let bus = Bus::default();
    let nodes = nodes(&bus, [1, 1, 1]).await;
    let (a, b) = (&nodes[0], &nodes[1]);
    for n in 1..20 {
        let (of_a, of_b) = tokio::join!(a.ask_all(n), b.ask_all(100 * n));
        let values = |answers: BTreeMap<NodeId, u64>| BTreeSet::from_iter(answers.into_values());
        assert_eq!(values(of_a.unwrap()), [2 * n].into());
        assert_eq!(values(of_b.unwrap()), [200 * n].into());
    }
}

#[tokio::test(start_paused = true)]
async fn one_answer_can_be_enough() {
    let bus = Bus::default();
    let nodes = nodes(&bus, [0, 2, 40]).await;
    let began = Instant::now();
    let others = nodes[0].service.others();
    let first = nodes[0]
        .service
        .ask_until(others, 8, |answer| *answer == 16);
    assert_eq!(first.await.unwrap(), [(nodes[1].id(), 16)].into());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_reach_the_others_is_told_at_once() {
    let bus = Bus::default();
    let nodes = nodes(&bus, [0, 0]).await;
    bus.cut(nodes[0].id());
    let others = [nodes[1].id()];
    let began = Instant::now();
    let asked = nodes[0].service.ask(others.into(), 1).await;
    assert_eq!(asked, Err(Unanswered::Unreachable));
    assert!(began.elapsed() < Duration::from_secs(1));
    bus.mend(nodes[0].id());
    assert!(nodes[0].service.ask(others.into(), 1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_told_reaches_all_others() {
    let bus = Bus::default();
    let nodes = nodes(&bus, [0, 0, 0]).await;
    nodes[0].service.tell(7).await.unwrap();
    for node in &nodes[1..] {
        while node.handler.asked.lock().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(node.handler.asked.lock()[0].0, 7);
    }
    assert!(nodes[0].handler.asked.lock().is_empty());
}
