//! The laws of a backend, on one node.

use std::{collections::HashSet, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use super::{Recorder, TestNode, sample_drafts, until, within};
use crate::{
    Channel, ClientId, Draft, Epoch, Interest, Pattern, Payload, Placed, Position, PubSubBackend,
    Publication, Query, Retention, Span, Target,
};

/// How many publishers work at once, and how much each publishes.
const PUBLISHERS: usize = 8;
const EACH: usize = 50;

/// Checks the laws of [`PubSubBackend`] on one node; waits until the backend is ready first.
///
/// It uses channels and clients whose names begin with `testkit-`.
///
/// # Panics
/// When a law is broken.
pub async fn backend_laws<B: PubSubBackend>(make: impl Fn() -> B) {
    let node = Arc::new(TestNode::ready(make()).await);
    one_order_for_all(&node).await;
    timetokens_rise_over_channels(&node).await;
    everything_arrives_as_it_was(&node).await;
    what_is_only_placed_arrives_in_order(&node).await;
    the_excepted_connection_gets_nothing(&node).await;
    private_messages_reach_every_connection(&node).await;
    a_connection_gets_a_publication_once(&node).await;
    members_come_and_go_while_others_stay(&node).await;
    dropped_futures_do_no_harm(&node).await;
    what_is_to_be_stored_is_stored_once(&node).await;
    node.stop().await;
}

pub(super) fn channel(name: &str) -> Channel {
    Channel::new(&format!("testkit-{name}")).expect("not empty")
}

pub(super) fn client(name: &str) -> ClientId {
    ClientId::new(&format!("testkit-{name}")).expect("not empty")
}

/// Positions of one channel: one epoch, dense, and timetokens that rise.
pub(super) fn assert_continuous(positions: &[Position]) {
    for pair in positions.windows(2) {
        let [before, after] = pair else { continue };
        assert_eq!(before.epoch, after.epoch, "the epoch changed without need");
        assert_eq!(
            before.seq.0 + 1,
            after.seq.0,
            "the numbers of a channel must be dense"
        );
        assert!(
            before.timetoken < after.timetoken,
            "timetokens must rise: {before:?} {after:?}"
        );
    }
    assert!(
        positions.first().is_none_or(|p| p.epoch != Epoch(0)),
        "an epoch is never 0"
    );
}

/// What is to be stored counts; what is not carries the number of the last that is.
pub(super) fn assert_counted(seen: &[Publication]) {
    let mut counted = Vec::new();
    for publication in seen {
        let position = publication.position();
        if publication.retention.store {
            counted.push(position);
        } else if let Some(last) = counted.last() {
            assert_eq!(
                (position.epoch, position.seq),
                (last.epoch, last.seq),
                "what is not to be stored does not count"
            );
        }
    }
    assert_continuous(&counted);
}

/// What one publisher sent arrived in the order in which it was sent.
pub(super) fn assert_order_of_each(texts: &[String], publishers: &[String]) {
    for publisher in publishers {
        let expected: Vec<_> = (0..EACH).map(|n| format!("{publisher}:{n}")).collect();
        let own: Vec<_> = texts
            .iter()
            .filter(|text| text.rsplit_once(':').is_some_and(|(p, _)| p == publisher))
            .cloned()
            .collect();
        assert_eq!(
            own, expected,
            "publications of one publisher arrive once and in order"
        );
    }
}

/// Publishes from many tasks at once, each one after another; returns the places that were given.
pub(super) async fn publish_at_once(
    node: &Arc<TestNode>,
    room: &Channel,
    names: &[String],
) -> Vec<Position> {
    let tasks: Vec<_> = names
        .iter()
        .cloned()
        .map(|name| {
            let (node, room) = (node.clone(), room.clone());
            tokio::spawn(async move {
                let mut positions = Vec::new();
                for n in 0..EACH {
                    positions.push(node.say(&room, &format!("{name}:{n}")).await);
                }
                positions
            })
        })
        .collect();
    let mut positions = Vec::new();
    for task in tasks {
        positions.extend(
            within("publish", task)
                .await
                .expect("publish does not panic"),
        );
    }
    positions
}

pub(super) fn publishers(node: &str) -> Vec<String> {
    (0..PUBLISHERS).map(|n| format!("{node}{n}")).collect()
}

async fn one_order_for_all(node: &Arc<TestNode>) {
    let room = channel("order");
    let (first, second, wild) = (node.connection(), node.connection(), node.connection());
    node.join(&room, &first).await;
    node.join(&room, &second).await;
    let pattern = Pattern::mqtt("+").expect("a pattern");
    let wild_joined = node.join(&pattern, &wild).await;

    let names = publishers("p");
    let mut given = publish_at_once(node, &room, &names).await;
    let total = PUBLISHERS * EACH;
    let seen = first.wait_for(total).await;
    second.wait_for(total).await;
    wild.wait_for(total).await;
    assert_eq!(seen, second.publications(), "all subscribers see one order");
    assert_eq!(
        seen,
        wild.publications(),
        "wildcard subscribers see the same order"
    );
    assert_order_of_each(&first.texts(), &names);
    let positions = first.positions();
    assert_continuous(&positions);
    given.sort_by_key(|position| position.seq);
    assert_eq!(
        given, positions,
        "publish returns the place that subscribers see"
    );
    node.leave(&wild_joined);
}

async fn timetokens_rise_over_channels(node: &TestNode) {
    let rooms = [channel("time-a"), channel("time-b"), channel("time-c")];
    let connection = node.connection();
    node.join(&rooms[0], &connection).await;
    let mut last = crate::Timetoken(0);
    for n in 0..30 {
        let position = node.say(&rooms[n % 3], "tick").await;
        assert!(
            position.timetoken > last,
            "what is published later has a later timetoken, whatever the channel"
        );
        last = position.timetoken;
    }
}

async fn everything_arrives_as_it_was(node: &TestNode) {
    for target in [
        Target::from(channel("fields/\u{e9} *?[x]")),
        Target::from(client("fields")),
    ] {
        let connection = node.connection();
        node.join(Interest::from(target.clone()), &connection).await;
        let drafts = sample_drafts(&target);
        for draft in &drafts {
            node.publish(draft.clone()).await;
        }
        let seen = connection.wait_for(drafts.len()).await;
        assert_same(&drafts, &seen);
        assert_counted(&seen);
    }
}

pub(super) fn assert_same(drafts: &[Draft], seen: &[Publication]) {
    assert_eq!(drafts.len(), seen.len(), "each publication arrives once");
    for (draft, publication) in drafts.iter().zip(seen) {
        assert_eq!(draft, &**publication, "a publication arrives as it was");
        // Ids are equal when their texts are; how they are written must survive too.
        let written = |draft: &Draft| draft.publisher.as_ref().map(ClientId::is_numeric);
        assert_eq!(
            written(draft),
            written(publication),
            "a number stays a number"
        );
    }
}

async fn what_is_only_placed_arrives_in_order(node: &TestNode) {
    let room = channel("placed");
    let mut placed_later = Vec::new();
    let connection = node.connection();
    node.join(&room, &connection).await;
    let texts: Vec<_> = (0..EACH).map(|n| n.to_string()).collect();
    for (n, text) in texts.iter().enumerate() {
        if n % 5 == 4 {
            node.say(&room, text).await;
            continue;
        }
        let draft = Draft::new(room.clone(), Payload::text(text.clone()));
        let placed = within("place", node.backend().place(draft)).await;
        // Of every other one nobody hears what becomes of it.
        match placed.expect("a backend that is ready publishes") {
            Placed::Pending(outcome) if n % 2 == 0 => placed_later.push(outcome),
            _ => {}
        }
    }
    let seen = connection.wait_for(EACH).await;
    assert_counted(&seen);
    assert_eq!(connection.texts(), texts, "what follows gets a later place");
    for outcome in placed_later {
        let receipt = within("outcome", outcome).await;
        receipt.expect("what was delivered was published");
    }
}

async fn the_excepted_connection_gets_nothing(node: &TestNode) {
    let room = channel("except");
    let (publisher, other) = (node.connection(), node.connection());
    node.join(&room, &publisher).await;
    node.join(&room, &other).await;
    let draft = Draft::new(room.clone(), Payload::text("to others"));
    node.publish(draft.except(TestNode::id_of(&publisher)))
        .await;
    node.say(&room, "to all").await;
    other.wait_for(2).await;
    publisher.wait_for(1).await;
    assert_eq!(other.texts(), ["to others", "to all"]);
    assert_eq!(
        publisher.texts(),
        ["to all"],
        "the excepted connection gets nothing"
    );
}

async fn private_messages_reach_every_connection(node: &TestNode) {
    let (ann, bob) = (client("ann"), client("bob"));
    let connections = [node.connection(), node.connection()];
    let other = node.connection();
    for connection in &connections {
        node.join(&ann, connection).await;
    }
    node.join(&bob, &other).await;
    node.publish(Draft::new(ann, Payload::text("for ann")))
        .await;
    node.publish(Draft::new(bob, Payload::text("for bob")))
        .await;
    other.wait_for(1).await;
    for connection in &connections {
        connection.wait_for(1).await;
        assert_eq!(
            connection.texts(),
            ["for ann"],
            "every connection of a client gets its private messages once"
        );
    }
    assert_eq!(other.texts(), ["for bob"]);
}

async fn a_connection_gets_a_publication_once(node: &TestNode) {
    let room = channel("wild/x/y");
    let both = node.connection();
    let wild = node.connection();
    let patterns = ["testkit-wild/#", "testkit-wild/+/y", "+/x/y"]
        .map(|filter| Pattern::mqtt(filter).expect("a pattern"));
    let mut joined = vec![node.join(&room, &both).await];
    for pattern in &patterns {
        joined.push(node.join(pattern, &both).await);
        joined.push(node.join(pattern, &wild).await);
    }
    node.say(&room, "one").await;
    node.say(&channel("wild/z"), "two").await;
    node.say(&channel("wilder/x"), "not this").await;
    node.say(&room, "three").await;
    for connection in [&both, &wild] {
        connection.wait_for(3).await;
        assert_eq!(
            connection.texts(),
            ["one", "two", "three"],
            "a connection gets each publication that one of its patterns matches, once"
        );
    }
    joined.iter().for_each(|joined| node.leave(joined));
    node.say(&room, "after").await;
    settle(node).await;
    assert_eq!(both.len(), 3, "who has left gets nothing");
}

/// Waits until what was published before is surely delivered.
async fn settle(node: &TestNode) {
    let room = channel("settle");
    let connection = node.connection();
    let joined = node.join(&room, &connection).await;
    node.say(&room, "settled").await;
    connection.wait_for(1).await;
    node.leave(&joined);
}

async fn members_come_and_go_while_others_stay(node: &Arc<TestNode>) {
    let room = channel("churn");
    let stays = node.connection();
    node.join(&room, &stays).await;
    let names = publishers("c");
    let publishing = {
        let (node, room, names) = (node.clone(), room.clone(), names.clone());
        tokio::spawn(async move { publish_at_once(&node, &room, &names).await })
    };
    while !publishing.is_finished() {
        let comes_and_goes = node.connection();
        let joined = node.join(&room, &comes_and_goes).await;
        tokio::task::yield_now().await;
        node.leave(&joined);
        assert_continuous(&comes_and_goes.positions());
    }
    within("publish", publishing)
        .await
        .expect("publish does not panic");
    stays.wait_for(PUBLISHERS * EACH).await;
    assert_order_of_each(&stays.texts(), &names);
    assert_continuous(&stays.positions());

    // The same with nobody who stays: each subscriber gets what is published while it is there.
    let lonely = channel("lonely");
    for round in 0..20 {
        let connection = node.connection();
        let joined = node.join(&lonely, &connection).await;
        node.say(&lonely, &round.to_string()).await;
        connection.wait_for(1).await;
        assert_eq!(connection.texts(), [round.to_string()]);
        node.leave(&joined);
    }
}

async fn dropped_futures_do_no_harm(node: &TestNode) {
    let room = channel("dropped");
    let (first, second) = (node.connection(), node.connection());
    node.join(&room, &first).await;
    node.join(&room, &second).await;
    for n in 0..50u64 {
        let draft = Draft::new(room.clone(), Payload::text(n.to_string()));
        let publishing = node.backend().publish(draft);
        if n % 2 == 0 {
            poll_once(publishing).await;
        } else {
            let _ = tokio::time::timeout(Duration::from_micros(n * 20), publishing).await;
        }
        let interest = Interest::Channel(channel("dropped-subscribe"));
        poll_once(node.backend().subscribe(&interest)).await;
        node.backend().unsubscribe(&interest);
    }
    let last = node.say(&room, "last").await;
    let done = |recorder: &Recorder| recorder.positions().last() == Some(&last);
    until("the last publication arrives", || {
        done(&first) && done(&second)
    })
    .await;
    assert_eq!(
        first.publications(),
        second.publications(),
        "a publication whose future was dropped reaches everybody or nobody"
    );
    let texts = first.texts();
    let distinct: HashSet<_> = texts.iter().collect();
    assert_eq!(
        distinct.len(),
        texts.len(),
        "a publication whose future was dropped arrives at most once"
    );
    assert_continuous(&first.positions());
}

async fn poll_once<F: Future>(future: F) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

async fn what_is_to_be_stored_is_stored_once(node: &TestNode) {
    // Somebody listens on one channel, nobody on the other: both are stored.
    let rooms = [channel("stored-heard"), channel("stored-unheard")];
    let connection = node.connection();
    node.join(&rooms[0], &connection).await;
    for room in &rooms {
        let kept = node.say(room, "kept").await;
        let draft = Draft::new(room.clone(), Payload::text("not kept"));
        node.publish(draft.retention(Retention::NONE)).await;
        let kept_too = node.say(room, "kept too").await;
        let target = Target::Channel(room.clone());
        let stored: Vec<_> = match node.backend().history() {
            Some(history) => {
                let query = Query::new(Span::ALL, 10);
                let page = history.read(&target, &query).await;
                let page = page.expect("what the backend keeps can be read");
                let entries = page.entries.iter();
                entries.map(|entry| entry.publication.position()).collect()
            }
            None => node
                .stored()
                .publications()
                .iter()
                .filter(|publication| publication.target == target)
                .map(Publication::position)
                .collect(),
        };
        assert_eq!(
            stored,
            [kept, kept_too],
            "what is to be stored is stored once, before publish returns"
        );
    }
}
