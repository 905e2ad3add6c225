//! The server: what Redis does for this backend, in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use polywire_core::{Clock, Timetoken};
use redis::Script;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::resp::Reply;

/// Timetokens in a microsecond.
const MICRO: u64 = 10;
const HOUR: u64 = 60 * WINDOW;
/// The minute that a window goes back.
const WINDOW: u64 = 60 * 1_000_000 * MICRO;

pub(super) struct Server {
    state: Mutex<State>,
    /// The time at which it all began, as a timetoken.
    begin: (Instant, u64),
    down: Notify,
    publish: String,
    missing: String,
    places: String,
}

#[derive(Default)]
struct State {
    is_down: bool,
    runs: u64,
    is_script_known: bool,
    data: Data,
    /// What it had at the last moment that it would find again.
    saved: Data,
    connections: BTreeMap<u64, Connected>,
    next_connection: u64,
    announced: Vec<Announcement>,
}

/// Everything that it has.
#[derive(Default, Clone)]
struct Data {
    timetoken: u64,
    generation: Option<Vec<u8>>,
    places: BTreeMap<Vec<u8>, Place>,
    streams: BTreeMap<Vec<u8>, Vec<(u64, Vec<u8>)>>,
    listed: Vec<(u64, Vec<u8>)>,
}

#[derive(Clone)]
struct Place {
    epoch: u64,
    run: Vec<u8>,
    seq: u64,
    previous: u64,
}

struct Connected {
    out: mpsc::UnboundedSender<Reply>,
    channels: BTreeSet<Vec<u8>>,
    globs: BTreeSet<Vec<u8>>,
}

/// A publication that was announced.
#[derive(Debug, Clone)]
pub(super) struct Announcement {
    pub(super) message: Vec<u8>,
    pub(super) at: Instant,
    pub(super) timetoken: Timetoken,
}

impl Server {
    pub(super) fn new() -> Arc<Self> {
        let hash = |source: &str| Script::new(source).get_hash().to_owned();
        Arc::new(Self {
            state: Mutex::default(),
            // Ahead of the clocks of the nodes, which go by the time of the machine: it alone says what is later.
            begin: (Instant::now(), Clock::default().tick().0 + HOUR),
            down: Notify::new(),
            publish: hash(include_str!("../publish.lua")),
            missing: hash(include_str!("../read_missing.lua")),
            places: hash(include_str!("../compare_places.lua")),
        })
    }

    /// All that was announced, in order.
    pub(super) fn announced(&self) -> Vec<Announcement> {
        self.state.lock().announced.clone()
    }

    pub(super) fn is_up(&self) -> bool {
        !self.state.lock().is_down
    }

    /// Waits until it goes down.
    pub(super) async fn downed(&self) {
        self.down.notified().await;
    }

    /// Writes down what it has.
    pub(super) fn save(&self) {
        let state = &mut *self.state.lock();
        state.saved = state.data.clone();
    }

    /// Goes down, and forgets what it has not written down.
    pub(super) fn kill(&self) {
        let state = &mut *self.state.lock();
        state.is_down = true;
        state.data = state.saved.clone();
        state.is_script_known = false;
        state.runs += 1;
        self.down.notify_waiters();
    }

    pub(super) fn start(&self) {
        self.state.lock().is_down = false;
    }

    /// Forgets everything, as by FLUSHALL.
    pub(super) fn empty(&self) {
        self.state.lock().data = Data::default();
    }

    pub(super) fn connected(&self, out: mpsc::UnboundedSender<Reply>) -> u64 {
        let mut state = self.state.lock();
        state.next_connection += 1;
        let id = state.next_connection;
        let connected = Connected {
            out,
            channels: BTreeSet::new(),
            globs: BTreeSet::new(),
        };
        state.connections.insert(id, connected);
        id
    }

    pub(super) fn disconnected(&self, id: u64) {
        self.state.lock().connections.remove(&id);
    }

    /// Does a command of a connection.
    pub(super) fn execute(&self, id: u64, command: &[Vec<u8>]) -> Vec<Reply> {
        let mut state = self.state.lock();
        let Some((name, arguments)) = command.split_first() else {
            return Vec::new();
        };
        let name = String::from_utf8_lossy(name).to_ascii_uppercase();
        match &*name {
            "SUBSCRIBE" | "PSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" => {
                state.subscribe(id, &name, arguments)
            }
            "PUBLISH" => {
                state.announce(&arguments[0], &arguments[1]);
                vec![Reply::Number(1)]
            }
            "HELLO" => vec![Reply::Array(vec!["server".into(), "redis".into()])],
            "INFO" => vec![format!("redis_mode:standalone\r\nrun_id:{}\r\n", state.runs).into()],
            "ROLE" => vec![Reply::Array(vec!["master".into()])],
            "SET" => {
                let generation = &mut state.data.generation;
                generation.get_or_insert_with(|| arguments[1].clone());
                vec![Reply::Ok]
            }
            "GET" if arguments[0].ends_with(b"generation") => {
                vec![
                    state
                        .data
                        .generation
                        .clone()
                        .map_or(Reply::Nil, Reply::Bulk),
                ]
            }
            "GET" => vec![match state.data.timetoken {
                0 => Reply::Nil,
                last => last.to_string().into(),
            }],
            "SCRIPT" => {
                state.is_script_known = true;
                vec![self.publish.as_str().into()]
            }
            "EVALSHA" => vec![self.run_script(&mut state, arguments)],
            "XRANGE" => vec![state.listed(&arguments[1])],
            "CLIENT" | "SELECT" => vec![Reply::Ok],
            other => panic!("the simulation does not know {other}"),
        }
    }

    fn now(&self) -> u64 {
        let (begin, at) = self.begin;
        at + u64::try_from(begin.elapsed().as_micros()).unwrap() * MICRO
    }

    fn run_script(&self, state: &mut State, arguments: &[Vec<u8>]) -> Reply {
        let hash = String::from_utf8_lossy(&arguments[0]).into_owned();
        let keys = usize::try_from(number(&arguments[1])).unwrap();
        let (keys, rest) = arguments[2..].split_at(keys);
        if hash == self.publish {
            if !state.is_script_known {
                return Reply::Error("NOSCRIPT No matching script.");
            }
            state.publish(keys, rest, self.now())
        } else if hash == self.missing {
            state.read_missing(keys, rest)
        } else if hash == self.places {
            state.compare_places(keys, rest)
        } else {
            panic!("the simulation does not know this script")
        }
    }
}

fn number(digits: &[u8]) -> u64 {
    std::str::from_utf8(digits).unwrap().parse().unwrap()
}

/// The id of an entry as a timetoken.
fn entry_time(id: &[u8]) -> u64 {
    let dash = id.iter().position(|byte| *byte == b'-').unwrap();
    number(&id[..dash]) * 10_000 + number(&id[dash + 1..])
}

/// True for a channel that a glob matches. Channels of the simulation have nothing to be escaped in them.
fn matches(glob: &[u8], channel: &[u8]) -> bool {
    match glob.iter().position(|byte| *byte == b'*') {
        None => glob == channel,
        Some(star) => channel.starts_with(&glob[..star]),
    }
}

impl State {
    fn subscribe(&mut self, id: u64, name: &str, arguments: &[Vec<u8>]) -> Vec<Reply> {
        let Some(connected) = self.connections.get_mut(&id) else {
            return Vec::new();
        };
        let mut replies = Vec::new();
        for argument in arguments {
            let set = if name.starts_with('P') {
                &mut connected.globs
            } else {
                &mut connected.channels
            };
            if name.contains("UNSUB") {
                set.remove(argument);
            } else {
                set.insert(argument.clone());
            }
            let count = connected.channels.len() + connected.globs.len();
            let sort = name.to_ascii_lowercase();
            replies.push(Reply::Push(vec![
                sort.into(),
                Reply::Bulk(argument.clone()),
                Reply::Number(count),
            ]));
        }
        replies
    }

    fn announce(&self, channel: &[u8], message: &[u8]) {
        for connected in self.connections.values() {
            let bulk = |bytes: &[u8]| Reply::Bulk(bytes.to_vec());
            if connected.channels.contains(channel) {
                let push = vec!["message".into(), bulk(channel), bulk(message)];
                // A connection that has just ended.
                let _ = connected.out.send(Reply::Push(push));
            }
            for glob in &connected.globs {
                if matches(glob, channel) {
                    let push = vec!["pmessage".into(), bulk(glob), bulk(channel), bulk(message)];
                    let _ = connected.out.send(Reply::Push(push));
                }
            }
        }
    }

    /// `publish.lua`
    fn publish(&mut self, keys: &[Vec<u8>], arguments: &[Vec<u8>], now: u64) -> Reply {
        let (floor, run) = (number(&arguments[0]), &arguments[1]);
        let mut last = self.data.timetoken.max(floor);
        let mut replies = Vec::new();
        for (keys, one) in keys[2..].chunks(2).zip(arguments[2..].chunks(6)) {
            let [channel, body, counts, _, window_max, _] = one else {
                panic!("six arguments of each publication");
            };
            last = now.max(last + 1);
            let place = self.data.places.get(&keys[0]);
            let previous = place.map_or(0, |place| place.previous);
            let (epoch, seq) = match place {
                Some(place) if place.run == *run => (place.epoch, place.seq),
                _ => (last, 0),
            };
            let seq = seq + number(counts);
            let line = format!("{epoch} {seq} {last} {previous}");
            let message = [b"pw2 ", line.as_bytes(), b"\n", body].concat();
            let window = self.data.streams.entry(keys[1].clone()).or_default();
            window.push((last, message.clone()));
            let max = usize::try_from(number(window_max)).unwrap();
            let surplus = window.len().saturating_sub(max);
            window.drain(..surplus);
            window.retain(|(at, _)| at + WINDOW > last);
            let place = Place {
                epoch,
                run: run.clone(),
                seq,
                previous: last,
            };
            self.data.places.insert(keys[0].clone(), place);
            if last - previous > WINDOW {
                self.data.listed.push((last, channel.clone()));
            }
            self.data.timetoken = last;
            self.announced.push(Announcement {
                message: message.clone(),
                at: Instant::now(),
                timetoken: Timetoken(last),
            });
            self.announce(channel, &message);
            replies.push(line.into());
        }
        Reply::Array(replies)
    }

    fn place(&self, key: &[u8]) -> [Reply; 3] {
        match self.data.places.get(key) {
            Some(place) => [
                place.epoch.to_string().into(),
                Reply::Bulk(place.run.clone()),
                place.previous.to_string().into(),
            ],
            None => ["".into(), "".into(), "".into()],
        }
    }

    /// `read_missing.lua`, which reads so little at once here that there is more.
    fn read_missing(&self, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Reply {
        let first = entry_time(&arguments[0]);
        let window = self.data.streams.get(&keys[1]);
        let after: Vec<_> = window
            .into_iter()
            .flatten()
            .filter(|(at, _)| *at >= first)
            .collect();
        let entries = after.iter().take(3);
        let entries = entries.map(|(_, message)| Reply::Bulk(message.clone()));
        let mut reply = self.place(&keys[0]).to_vec();
        reply.push(Reply::Array(entries.collect()));
        reply.push(Reply::Number(usize::from(after.len() > 3)));
        Reply::Array(reply)
    }

    /// `compare_places.lua`
    fn compare_places(&self, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> Reply {
        let (run, known) = arguments.split_first().unwrap();
        let mut reply = Vec::new();
        for (at, (key, known)) in keys.iter().zip(known).enumerate() {
            let place = self.data.places.get(key);
            let last = place.map_or(0, |place| place.previous);
            let is_other_run = place.is_some_and(|place| !run.is_empty() && place.run != *run);
            if last != number(known) || is_other_run {
                reply.push(Reply::Number(at + 1));
                reply.extend(self.place(key));
            }
        }
        Reply::Array(reply)
    }

    fn listed(&self, first: &[u8]) -> Reply {
        let first = entry_time(first);
        let listed = self.data.listed.iter().filter(|(at, _)| *at >= first);
        let entries = listed.map(|(at, channel)| {
            let id = format!("{}-{}", at / 10_000, at % 10_000);
            let fields = vec!["c".into(), Reply::Bulk(channel.clone())];
            Reply::Array(vec![id.into(), Reply::Array(fields)])
        });
        Reply::Array(entries.collect())
    }
}
