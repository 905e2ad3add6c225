//! Retained messages: what is published and retained is one step for each topic, and large sets come at the client's pace.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use polywire_core::{
    AppRunner, Durability, Limits, PersistResult, PersistencePolicy, Publication,
    testkit::{AllowAll, Bus, LocalBackend},
};
use polywire_emitter::Emitter;
use tokio::time::{sleep, timeout};

use crate::{
    client::{Client, Hello, Lasting, SOON, V5, message, message_0, text},
    server_with, start,
};

/// A store that takes its time: what is published waits for it, and what is retained.
struct Slow;

#[async_trait]
impl PersistencePolicy for Slow {
    async fn persist(&self, _: &Arc<Publication>) -> PersistResult {
        sleep(Duration::from_millis(1)).await;
        Ok(Durability::Delivered)
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        sleep(Duration::from_millis(1)).await;
        batch.iter().map(|_| Ok(Durability::Delivered)).collect()
    }
}

const TOPICS: usize = 3;
const PUBLISHERS: u32 = 6;
const ROUNDS: u32 = 250;

/// What came for each topic, with the retain bit, in order.
type Seen = BTreeMap<String, Vec<(bool, String)>>;

/// Reads messages of QoS 0 until `wants` has enough.
async fn read(client: &mut Client, mut wants: impl FnMut(&Seen) -> bool) -> Seen {
    let mut seen = Seen::new();
    while wants(&seen) {
        let (first, body) = client.packet().await;
        assert_eq!(first & 0xf6, 0x30);
        let (topic, payload) = message_0(&body);
        seen.entry(topic)
            .or_default()
            .push((first & 1 == 1, payload));
    }
    seen
}

/// Messages that stand in a row.
fn count(seen: &Seen) -> usize {
    seen.values().map(Vec::len).sum()
}

/// Subscribers come and go; each gets what is retained, and then everything.
async fn come_and_go(server: SocketAddr, number: usize, is_over: Arc<AtomicBool>) -> Vec<Seen> {
    let mut all = Vec::new();
    for round in 0.. {
        let (mut client, _) =
            Client::connect(server, &format!("s{number}-{round}"), Lasting::No).await;
        let filter = match number % 2 {
            0 => "r/#".to_owned(),
            _ => format!("r/{}", round % TOPICS),
        };
        let mut body = vec![0, 1];
        body.extend(text(&filter));
        body.push(0);
        client.send(0x82, &body).await;
        assert_eq!(client.packet().await.0, 0x90);
        let was_over = is_over.load(Ordering::Acquire);
        let enough = 1 + (round * 7 + number) % 12;
        // The last one comes when nothing is published any more.
        let enough = match (was_over, number % 2) {
            (true, 0) => TOPICS,
            (true, _) => 1,
            _ => enough,
        };
        let reading = read(&mut client, |seen| count(seen) < enough);
        match timeout(SOON / 4, reading).await {
            Ok(seen) => all.push(seen),
            // It came after the last message.
            Err(_) => assert!(is_over.load(Ordering::Acquire), "nothing comes"),
        }
        if was_over {
            break;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_is_retained_and_what_is_published_is_one_row() {
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .persistence(Slow)
        .app(Emitter::default());
    let (server, _) = start(builder).await;
    let (mut witness, _) = Client::connect(server, "witness", Lasting::No).await;
    witness.subscribe("r/#", 0).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let subscribers: Vec<_> = (0..4)
        .map(|number| tokio::spawn(come_and_go(server, number, is_over.clone())))
        .collect();
    let all = (PUBLISHERS * ROUNDS) as usize;
    let watching = tokio::spawn(async move { read(&mut witness, |seen| count(seen) < all).await });
    let number = Arc::new(AtomicU32::new(0));
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|id| {
            let number = number.clone();
            tokio::spawn(async move {
                let (mut publisher, _) =
                    Client::connect(server, &format!("p{id}"), Lasting::No).await;
                for round in 0..ROUNDS {
                    let what = number.fetch_add(1, Ordering::Relaxed).to_string();
                    let topic = format!("r/{}", (id + round) as usize % TOPICS);
                    publisher.retain(&topic, &what).await;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    is_over.store(true, Ordering::Release);
    let published = watching.await.unwrap();
    let place = |topic: &String, what: &String| {
        let row = &published[topic];
        row.iter().position(|(_, other)| other == what).unwrap()
    };
    let mut joined = 0;
    for subscriber in subscribers {
        for seen in subscriber.await.unwrap() {
            for (topic, row) in seen {
                joined += usize::from(row[0].0);
                let places: Vec<_> = row.iter().map(|(_, what)| place(&topic, what)).collect();
                let expected: Vec<_> = (places[0]..).take(places.len()).collect();
                assert_eq!(places, expected, "of {topic}");
                let flags = row.iter().skip(1).filter(|(is_retained, _)| *is_retained);
                assert_eq!(flags.count(), 0, "only the first one was retained");
            }
        }
    }
    assert!(joined > 10, "{joined} got something retained");
    // The last one that was published is retained.
    let (mut last, _) = Client::connect(server, "last", Lasting::No).await;
    last.subscribe("r/#", 0).await;
    for (topic, row) in read(&mut last, |seen| count(seen) < TOPICS).await {
        assert_eq!(row[0].1, published[&topic].last().unwrap().1);
    }
}

/// A store that takes no time twice.
struct Fickle(AtomicU32);

#[async_trait]
impl PersistencePolicy for Fickle {
    async fn persist(&self, _: &Arc<Publication>) -> PersistResult {
        let turn = self.0.fetch_add(7, Ordering::Relaxed);
        sleep(Duration::from_millis(u64::from(turn % 5))).await;
        Ok(Durability::Delivered)
    }
}

/// On several nodes the last message that was published is the retained one, on all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn on_two_nodes_the_last_one_is_retained() {
    const MANY_TOPICS: usize = 60;
    let bus = Bus::default();
    let node = || {
        AppRunner::builder(bus.node())
            .authentication(AllowAll)
            .persistence(Fickle(AtomicU32::new(0)))
            .app(Emitter::default())
    };
    let (here, _) = start(node()).await;
    let (there, _) = start(node()).await;
    let (mut witness, _) = Client::connect(here, "witness", Lasting::No).await;
    witness.subscribe("r/#", 0).await;
    let publishers: Vec<_> = (0..4)
        .map(|id| {
            let server = if id % 2 == 0 { here } else { there };
            tokio::spawn(async move {
                let (mut publisher, _) =
                    Client::connect(server, &format!("p{id}"), Lasting::No).await;
                for topic in 0..MANY_TOPICS {
                    publisher
                        .retain(&format!("r/{topic}"), &id.to_string())
                        .await;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let published = read(&mut witness, |seen| count(seen) < 4 * MANY_TOPICS).await;
    let last = |row: &Vec<(bool, String)>| row.last().unwrap().1.clone();
    let expected: BTreeMap<_, _> = published.iter().map(|(t, row)| (t, last(row))).collect();
    for server in [here, there] {
        let is_last = async {
            loop {
                let (mut client, _) = Client::connect(server, "last", Lasting::No).await;
                client.subscribe("r/#", 0).await;
                let found = read(&mut client, |seen| count(seen) < MANY_TOPICS).await;
                if found
                    .iter()
                    .all(|(topic, row)| last(row) == expected[topic])
                {
                    break;
                }
            }
        };
        timeout(SOON, is_last).await.unwrap();
    }
}

const MANY: usize = 2500;

/// Topics with messages of some kilobytes: ten times as much as may wait for a client.
async fn retain_many(server: SocketAddr) {
    let (mut publisher, _) = Client::connect(server, "publisher", Lasting::No).await;
    let payload = "x".repeat(4000);
    for n in 0..MANY {
        publisher.retain(&format!("many/{n}"), &payload).await;
    }
}

fn small() -> Limits {
    Limits {
        outbound_bytes_max: 1 << 20,
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_all_that_is_retained_and_then_the_rest_in_order() {
    let server = server_with(small()).await;
    retain_many(server).await;
    for qos in [0, 1] {
        let (mut slow, _) = Client::connect(server, "slow", Lasting::No).await;
        let mut body = vec![0, 1];
        body.extend(text("many/#"));
        body.push(qos);
        slow.send(0x82, &body).await;
        assert_eq!(slow.packet().await.0, 0x90);
        // Nothing is read meanwhile.
        let (mut publisher, _) = Client::connect(server, "live", Lasting::No).await;
        for n in 0..100 {
            publisher
                .publish(1, false, 7, &format!("many/{}", n % 7), &n.to_string())
                .await;
            publisher.expect_ack(0x40, 7).await;
        }
        let (mut retained, mut live) = (BTreeSet::new(), Vec::new());
        while live.len() < 100 {
            let (first, body) = slow.packet().await;
            assert_eq!(first & 0xf6, 0x30 | qos << 1);
            let (topic, payload) = match qos {
                0 => message_0(&body),
                _ => {
                    let (topic, id, payload) = message(&body);
                    slow.send_ack(0x40, id).await;
                    (topic, payload)
                }
            };
            if first & 1 == 1 {
                assert!(live.is_empty(), "{topic} comes behind what is newer");
                assert_eq!(payload.len(), 4000);
                assert!(retained.insert(topic), "it comes once");
            } else {
                live.push(payload);
            }
        }
        assert_eq!(retained.len(), MANY);
        assert_eq!(live, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
        slow.ping().await;
    }
}

/// A client that loses its connection meanwhile gets the rest when it comes back to its session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_comes_over_the_next_connection() {
    let server = server_with(small()).await;
    retain_many(server).await;
    let (mut client, _) = Client::connect(server, "lasting", Lasting::Yes).await;
    let mut body = vec![0, 1];
    body.extend(text("many/#"));
    body.push(1);
    client.send(0x82, &body).await;
    let mut retained = BTreeSet::new();
    for round in 0.. {
        let enough = (round + 1) * 400;
        while retained.len() < enough.min(MANY) {
            let (first, body) = client.packet().await;
            if first & 0xf0 == 0x90 {
                continue;
            }
            assert_eq!(first & 0xf7, 0x33);
            let (topic, id, _) = message(&body);
            client.send_ack(0x40, id).await;
            retained.insert(topic);
        }
        if retained.len() == MANY {
            break;
        }
        drop(client);
        let (again, was_there) = Client::connect(server, "lasting", Lasting::Yes).await;
        assert!(was_there);
        client = again;
    }
    client.ping().await;
}

/// PUBLISH of 5.0 with the retain bit and a message expiry interval.
async fn retain_for(client: &mut Client, topic: &str, secs: u8) {
    let mut body = text(topic);
    body.extend([0, 9, 5, 2, 0, 0, 0, secs]);
    body.extend(b"soon over");
    client.send(0x33, &body).await;
    let (first, answer) = client.packet().await;
    assert_eq!((first, &answer[..2]), (0x40, &[0, 9][..]));
    assert!(answer.len() < 3 || answer[2] < 0x80, "{answer:?}");
}

async fn retained_count(client: &mut Client) -> String {
    client
        .subscribe("$SYS/broker/retained messages/count", 0)
        .await;
    let (_, body) = client.packet().await;
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn what_has_expired_leaves_and_0_is_for_who_is_there() {
    let server = server_with(Limits::default()).await;
    let hello = |id| Hello {
        level: V5,
        id,
        ..Hello::default()
    };
    let (mut client, _) = Client::enter(server, &hello("p")).await;
    let (mut there, _) = Client::enter(server, &hello("there")).await;
    there.subscribe("e/#", 1).await;
    let away = Hello {
        lasting: Lasting::Yes,
        ..hello("away")
    };
    let (mut gone, _) = Client::enter(server, &away).await;
    gone.subscribe("e/#", 1).await;
    gone.send(0xe0, &[]).await;
    gone.closed().await;
    client.retain("e/0", "before").await;
    retain_for(&mut client, "e/0", 0).await;
    for secs in [1, 100] {
        retain_for(&mut client, &format!("e/{secs}"), secs).await;
    }
    // The publisher's word reaches who is there, with what is left of it.
    let mut expiries = Vec::new();
    for _ in 0..4 {
        let (first, body) = there.packet().await;
        assert_eq!(first, 0x32);
        let id = 2 + usize::from(body[1]);
        let properties = &body[id + 2..];
        expiries.push(properties[..usize::from(properties[0]) + 1].to_vec());
        let id = u16::from_be_bytes([body[id], body[id + 1]]);
        there.send_ack(0x40, id).await;
    }
    assert_eq!(expiries[0], [0]);
    assert_eq!(expiries[1], [5, 2, 0, 0, 0, 0]);
    assert_eq!(expiries[2], [5, 2, 0, 0, 0, 1]);
    assert_eq!(expiries[3], [5, 2, 0, 0, 0, 100]);
    let (mut watcher, _) = Client::connect(server, "w", Lasting::No).await;
    let leaves = async {
        while !retained_count(&mut watcher).await.ends_with("count1") {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, leaves).await.unwrap();
    // Who was away got what waits, and nothing that was for who was there.
    let (mut back, _) = Client::enter(server, &away).await;
    let (_, body) = back.packet().await;
    assert!(body.starts_with(&text("e/0")) && body.ends_with(b"before"));
    let (_, body) = back.packet().await;
    assert!(body.starts_with(&text("e/100")), "{body:?}");
    back.ping().await;
}
