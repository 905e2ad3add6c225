//! The laws of a backend, on two nodes.

use std::sync::Arc;

use super::{
    TestNode,
    backend::{
        assert_continuous, assert_order_of_each, assert_same, channel, client, publish_at_once,
        publishers,
    },
    sample_drafts, until, within,
};
use crate::{Draft, Interest, Pattern, Payload, PubSubBackend, Target};

/// Checks the laws of [`PubSubBackend`] on two nodes: `make` is called twice, and what it makes must reach
/// each other. Run [`backend_laws`](super::backend_laws) too.
///
/// It uses channels and clients whose names begin with `testkit-`.
///
/// # Panics
/// When a law is broken.
pub async fn backend_laws_of_nodes<B: PubSubBackend>(make: impl Fn() -> B) {
    let nodes = [
        Arc::new(TestNode::ready(make()).await),
        Arc::new(TestNode::ready(make()).await),
    ];
    one_order_on_all_nodes(&nodes).await;
    everything_arrives_as_it_was(&nodes).await;
    a_subscription_holds_when_subscribe_returns(&nodes).await;
    clients_patterns_and_exceptions_span_nodes(&nodes).await;
    only_the_publishing_node_stores(&nodes).await;
    for node in &nodes {
        node.stop().await;
    }
}

async fn one_order_on_all_nodes([a, b]: &[Arc<TestNode>; 2]) {
    let room = channel("nodes-order");
    let (on_a, on_b) = (a.connection(), b.connection());
    a.join(&room, &on_a).await;
    b.join(&room, &on_b).await;
    let (from_a, from_b) = (publishers("a"), publishers("b"));
    let publishing = {
        let (a, room, from_a) = (a.clone(), room.clone(), from_a.clone());
        tokio::spawn(async move { publish_at_once(&a, &room, &from_a).await })
    };
    let mut given = publish_at_once(b, &room, &from_b).await;
    given.extend(
        within("publish", publishing)
            .await
            .expect("publish does not panic"),
    );
    let seen = on_a.wait_for(given.len()).await;
    on_b.wait_for(given.len()).await;
    assert_eq!(
        seen,
        on_b.publications(),
        "all nodes see one order and the same places"
    );
    assert_continuous(&on_a.positions());
    assert_order_of_each(&on_a.texts(), &from_a);
    assert_order_of_each(&on_a.texts(), &from_b);
    given.sort_by_key(|position| position.seq);
    assert_eq!(given, on_a.positions());
}

async fn everything_arrives_as_it_was([a, b]: &[Arc<TestNode>; 2]) {
    for target in [
        Target::from(channel("nodes-fields/\u{e9} *?[x]")),
        Target::from(client("nodes-fields")),
    ] {
        let connection = b.connection();
        b.join(Interest::from(target.clone()), &connection).await;
        let drafts = sample_drafts(&target);
        for draft in &drafts {
            a.publish(draft.clone()).await;
        }
        let seen = connection.wait_for(drafts.len()).await;
        assert_same(&drafts, &seen);
    }
}

async fn a_subscription_holds_when_subscribe_returns([a, b]: &[Arc<TestNode>; 2]) {
    for n in 0..40 {
        let room = channel(&format!("nodes-fresh-{n}"));
        let connection = b.connection();
        let joined = b.join(&room, &connection).await;
        a.say(&room, "first").await;
        connection.wait_for(1).await;
        b.leave(&joined);
        // Again at once: leaving and coming back must not lose the subscription.
        connection.clear();
        let joined = b.join(&room, &connection).await;
        a.say(&room, "second").await;
        connection.wait_for(1).await;
        assert_eq!(connection.texts(), ["second"]);
        b.leave(&joined);
    }
}

async fn clients_patterns_and_exceptions_span_nodes([a, b]: &[Arc<TestNode>; 2]) {
    let ann = client("nodes-ann");
    let (on_a, on_b) = (a.connection(), b.connection());
    a.join(&ann, &on_a).await;
    b.join(&ann, &on_b).await;
    a.publish(Draft::new(ann, Payload::text("private"))).await;
    for connection in [&on_a, &on_b] {
        connection.wait_for(1).await;
        assert_eq!(connection.texts(), ["private"]);
    }

    let room = channel("nodes-wild/x");
    let (wild, both) = (b.connection(), b.connection());
    let pattern = Pattern::mqtt("testkit-nodes-wild/+").expect("a pattern");
    b.join(&pattern, &wild).await;
    b.join(&pattern, &both).await;
    b.join(&room, &both).await;
    a.say(&room, "one").await;
    a.say(&room, "two").await;
    for connection in [&wild, &both] {
        connection.wait_for(2).await;
        assert_eq!(
            connection.texts(),
            ["one", "two"],
            "each connection gets a publication once"
        );
    }

    let draft = Draft::new(room.clone(), Payload::text("not to one"));
    a.publish(draft.except(TestNode::id_of(&both))).await;
    a.say(&room, "three").await;
    wild.wait_for(4).await;
    both.wait_for(3).await;
    assert_eq!(
        both.texts(),
        ["one", "two", "three"],
        "an exception holds on other nodes too"
    );
}

async fn only_the_publishing_node_stores([a, b]: &[Arc<TestNode>; 2]) {
    if a.backend().history().is_some() {
        // It stores what it publishes itself.
        return;
    }
    let room = channel("nodes-stored");
    let connection = b.connection();
    b.join(&room, &connection).await;
    let position = a.say(&room, "kept").await;
    connection.wait_for(1).await;
    let stored = |node: &TestNode| {
        let all = node.stored().publications();
        let of_room = all
            .iter()
            .filter(|publication| publication.target == Target::Channel(room.clone()));
        of_room
            .map(|publication| publication.position())
            .collect::<Vec<_>>()
    };
    until("the publication is stored", || stored(a) == [position]).await;
    assert!(
        stored(b).is_empty(),
        "only the node where it was published stores a publication"
    );
}
