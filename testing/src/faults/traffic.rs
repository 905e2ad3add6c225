//! What goes on while something breaks.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    clients::{Access, Publish, Subscribe, publishers, subscribers},
    watch::Watch,
};
use crate::{
    checker::{Answer, Recorder, What},
    dice::Dice,
    eventually,
};

/// Channels that everybody reads and writes.
const CHANNELS: [&str; 2] = ["faults", "others"];

/// Between two messages of a publisher; and up to as long again.
const PAUSE: Duration = Duration::from_millis(40);

/// Before a client connects again.
const RECONNECT: Duration = Duration::from_millis(200);

/// How long all subscribers may take to be subscribed.
const START: Duration = Duration::from_secs(30);

/// Publishers and subscribers of all protocols on every node.
#[derive(Debug)]
pub(super) struct Traffic {
    watches: Vec<Arc<Watch>>,
    subscribers: Vec<JoinHandle<()>>,
    publishers: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    /// How much longer messages are made than they need be.
    padding: Arc<AtomicUsize>,
}

impl Traffic {
    /// Begins when all subscribers are subscribed.
    pub(super) fn start(
        log: &Arc<Recorder>,
        nodes: &[SocketAddr],
        access: &Access,
        seed: u64,
    ) -> Self {
        let mut traffic = Self {
            watches: Vec::new(),
            subscribers: Vec::new(),
            publishers: Vec::new(),
            is_over: Arc::default(),
            padding: Arc::default(),
        };
        for (node, at) in nodes.iter().copied().enumerate() {
            for (sort, client) in subscribers(access) {
                let channels = match sort.names_channels {
                    true => &CHANNELS[..],
                    false => &CHANNELS[..1],
                };
                let number = traffic.watches.len();
                let watch = Watch::new(log.clone(), number, sort, (node, at), channels);
                let watch = Arc::new(watch);
                traffic.watches.push(watch.clone());
                traffic
                    .subscribers
                    .push(thread::spawn(move || subscribe(client, &watch)));
            }
        }
        for watch in &traffic.watches {
            let what = format!("{} is subscribed", watch.name());
            eventually(&what, START, || watch.is_joined().then_some(()));
        }
        for (node, at) in nodes.iter().copied().enumerate() {
            for client in publishers(node, at, access) {
                let number = traffic.publishers.len();
                let publisher = Publisher {
                    number,
                    client,
                    dice: Dice::new(seed ^ number as u64),
                    log: log.clone(),
                    is_over: traffic.is_over.clone(),
                    padding: traffic.padding.clone(),
                };
                traffic
                    .publishers
                    .push(thread::spawn(move || publisher.run()));
            }
        }
        traffic
    }

    /// Makes messages longer from now on by so many bytes.
    pub(super) fn pad(&self, bytes: usize) {
        self.padding.store(bytes, Ordering::Relaxed);
    }

    /// Has publishers end, each with the answer to its last message.
    pub(super) fn stop_publishing(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for publisher in self.publishers.drain(..) {
            publisher.join().expect("the publisher lives");
        }
    }

    /// Has subscribers leave.
    pub(super) fn stop(mut self) {
        self.stop_publishing();
        for watch in &self.watches {
            watch.leave();
        }
        for subscriber in self.subscribers {
            subscriber.join().expect("the subscriber lives");
        }
    }
}

fn subscribe(mut client: Box<dyn Subscribe>, watch: &Watch) {
    while !watch.is_over() {
        let Err(ended) = client.listen(watch);
        if !client.keeps() {
            watch.gap(&ended.to_string());
        }
        if !watch.is_over() {
            thread::park_timeout(RECONNECT);
        }
    }
}

struct Publisher {
    number: usize,
    client: Box<dyn Publish>,
    dice: Dice,
    log: Arc<Recorder>,
    is_over: Arc<AtomicBool>,
    padding: Arc<AtomicUsize>,
}

impl Publisher {
    fn run(mut self) {
        let mut count = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            count += 1;
            let channel = CHANNELS[self.dice.throw(CHANNELS.len())];
            let padding = "x".repeat(self.padding.load(Ordering::Relaxed));
            // As a JSON library writes it that sorts names.
            let payload = format!(
                r#"{{"by":{},"n":{count},"padding":"{padding}"}}"#,
                self.number
            );
            self.log.add(What::Sent {
                publisher: self.number,
                channel: channel.to_owned(),
                payload: payload.clone(),
            });
            let answered: io::Result<Answer> = self.client.publish(channel, &payload);
            let is_lost = answered.is_err();
            self.log.add(What::Answered {
                payload,
                answer: answered.unwrap_or(Answer::Unknown),
            });
            let jitter = PAUSE.mul_f64(self.dice.throw(1000) as f64 / 1000.0);
            thread::park_timeout(if is_lost { RECONNECT } else { PAUSE + jitter });
        }
    }
}
