//! One PubNub poller of many channels, with many publishers, on connections that break.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{HttpConnection, Redis, SOON, Server, ServerOptions};

const CHANNELS: usize = 50;

/// How long is published.
const PUBLISHING: Duration = Duration::from_secs(30);

/// Between two messages of a channel, at least.
const PACE: Duration = Duration::from_millis(12);

/// Messages of a channel, at most.
const MESSAGES_MAX: u64 = 2_500;

/// Keys of our own: with them a node keeps what is published from its start. Queues hold all of it, each message as less
/// than 1 KiB, so that no break of the poller is too long.
const KEYS: &str = "[apps.pubnub]\nhold_secs = 1\nqueue_bytes_per_channel = 2_560_000\nqueue_bytes_max = 128_000_000\n[[apps.pubnub.key_sets]]\npublish_key = \"pub\"\nsubscribe_key = \"sub\"\n";

/// Publishes numbers in order until it is told to stop; returns how many. Messages of every other channel are
/// stored, where there is a store, and those of the others may overtake them.
fn publish(address: SocketAddr, channel: usize, stop: &AtomicBool) -> u64 {
    let mut connection = HttpConnection::open(address);
    let mut number = 0;
    while number < MESSAGES_MAX && !stop.load(Ordering::Relaxed) {
        let target = format!(
            "/publish/pub/sub/0/c{channel}/0/{number}?uuid=p{channel}&store={}",
            channel % 2
        );
        let answer = connection.request("GET", &target, &[], None);
        assert_eq!(answer.status, 200, "{answer:?}");
        number += 1;
        thread::park_timeout(PACE);
    }
    number
}

/// A poll whose answer is read, or cut somewhere; then it is as if it had not been sent.
fn poll(address: SocketAddr, cursor: &str, cut: usize) -> Option<Value> {
    let channels: Vec<_> = (0..CHANNELS).map(|channel| format!("c{channel}")).collect();
    let target = format!(
        "/v2/subscribe/sub/{}/0?tt={cursor}&tr=1",
        channels.join(",")
    );
    match cut % 5 {
        // Read as it should be, and kept alive for nobody.
        0..=2 => {
            let answer = HttpConnection::open(address).request("GET", &target, &[], None);
            assert_eq!(answer.status, 200, "{answer:?}");
            Some(answer.json())
        }
        // The connection breaks before the answer, or in it.
        kind => {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            if kind == 4 {
                let mut some = [0; 300];
                let _ = stream.read(&mut some).unwrap();
            }
            None
        }
    }
}

/// Somebody who polls the addresses in turn, and sees every message exactly once and in order.
struct Poller<'a> {
    addresses: &'a [SocketAddr],
    cursor: String,
    polls: usize,
    next: BTreeMap<String, u64>,
}

impl<'a> Poller<'a> {
    fn new(addresses: &'a [SocketAddr]) -> Self {
        let first = poll(addresses[0], "0", 0).unwrap();
        assert_eq!(first["m"], Value::Array(Vec::new()));
        Self {
            addresses,
            cursor: cursor(&first),
            polls: 0,
            next: BTreeMap::new(),
        }
    }

    fn poll(&mut self) {
        let address = self.addresses[self.polls % self.addresses.len()];
        self.polls += 1;
        let Some(answer) = poll(address, &self.cursor, self.polls * 7 / 3) else {
            return;
        };
        for message in answer["m"].as_array().unwrap() {
            let channel = message["c"].as_str().unwrap();
            let expected = self.next.entry(channel.to_owned()).or_default();
            let number = message["d"].as_u64().unwrap();
            let cursor = &self.cursor;
            assert_eq!(number, *expected, "{channel} after {cursor}: {message}");
            *expected += 1;
        }
        self.cursor = cursor(&answer);
    }

    fn came(&self) -> u64 {
        self.next.values().sum()
    }
}

fn cursor(answer: &Value) -> String {
    answer["t"]["t"].as_str().unwrap().to_owned()
}

/// Publishes and polls at the same time, on all addresses in turn.
fn run(addresses: &[SocketAddr]) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut poller = Poller::new(addresses);
    let publishers: Vec<_> = (0..CHANNELS)
        .map(|channel| {
            let (stop, address) = (stop.clone(), addresses[channel % addresses.len()]);
            thread::spawn(move || publish(address, channel, &stop))
        })
        .collect();
    let end = Instant::now() + PUBLISHING;
    while Instant::now() < end {
        poller.poll();
    }
    stop.store(true, Ordering::Relaxed);
    let sent = publishers
        .into_iter()
        .map(|publisher| publisher.join().unwrap());
    let sent: u64 = sent.sum();
    // However far behind it is, it gets on.
    let (mut came, mut since) = (poller.came(), Instant::now());
    while came < sent {
        poller.poll();
        if poller.came() > came {
            (came, since) = (poller.came(), Instant::now());
        }
        assert!(since.elapsed() < SOON, "{came} of {sent} came");
    }
    // And nothing more.
    for _ in 0..10 {
        poller.poll();
    }
    assert_eq!(poller.came(), sent);
    assert!(sent > 1000, "only {sent} were sent");
}

fn start(args: &[&str]) -> Server {
    let mut all = vec!["--app", "pubnub"];
    all.extend(args);
    ServerOptions::new(&all).config(KEYS).start()
}

#[test]
fn every_message_comes_exactly_once_over_connections_that_break() {
    let server = start(&[]);
    run(&[server.address]);
}

/// Where each message is on disk before anybody gets it, those of one channel wait for those of others.
#[test]
fn messages_that_are_stored_first_come_exactly_once_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&["--data-dir", folder.path().to_str().unwrap()]);
    run(&[server.address]);
}

#[test]
fn polls_may_alternate_between_nodes() {
    let redis = Redis::start();
    let args = ["--backend", &redis.url()];
    let (one, two) = (start(&args), start(&args));
    run(&[one.address, two.address]);
}
