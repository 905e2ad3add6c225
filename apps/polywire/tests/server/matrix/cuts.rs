//! What those who can come back get of what was published while they were cut off.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
};

use serde_json::{Value, json};

use super::{
    Protocol, messages,
    scene::{Client, Scene},
    table,
    writers::{self, Writer},
};
use crate::support::{Gate, SOON};

/// Messages of each SDK by each way to publish: before the cut, while it lasts, and after it.
const PHASES: [usize; 3] = [2, 15, 2];

/// Who comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Returning {
    PubNub,
    WebPubSub,
    Session,
    History,
}

impl Returning {
    const ALL: &[Self] = &[Self::PubNub, Self::WebPubSub, Self::Session, Self::History];

    fn name(self) -> &'static str {
        match self {
            Self::PubNub => "PubNub poller",
            Self::WebPubSub => "Azure, reliable",
            Self::Session => "MQTT session, QoS 1",
            Self::History => "history API, followed",
        }
    }

    /// Why it does not get what was published this way while it was cut off.
    fn reason(self, writer: &str) -> Option<&'static str> {
        match (self, writer) {
            (Self::History | Self::Session, "PubNub, a signal") => Some("signals are not kept"),
            (Self::History | Self::Session, "Emitter") => Some("without `ttl` nothing is kept"),
            (Self::Session, "MQTT, QoS 0") => Some("it is of QoS 0"),
            _ => None,
        }
    }
}

/// They come back where they were.
pub(super) fn run(scene: &mut Scene) -> String {
    let server = scene.server(0).address;
    cut(scene, "cuts", server)
}

/// They come back on another node.
pub(super) fn elsewhere(scene: &mut Scene) -> String {
    let server = scene.server(1).address;
    cut(scene, "cuts/elsewhere", server)
}

fn cut(scene: &mut Scene, channel: &str, back: SocketAddr) -> String {
    let server = scene.server(0).address;
    let gate = Gate::start(server);
    let publishers = scene.one_each();
    let mut returning = Vec::new();
    for agent in 0..scene.agents.len() {
        let (sort, options) = match scene.agents[agent].sdk.protocol {
            // With its event engine the SDK for Python keeps the cursor of before, and takes the answer by which it comes
            // back twice.
            Protocol::PubNub => (Returning::PubNub, vec![json!({"mode": "classic"})]),
            Protocol::WebPubSub => (Returning::WebPubSub, vec![json!({})]),
            Protocol::Mqtt => {
                let session = |version| json!({"keeps": true, "version": version});
                (Returning::Session, vec![session(4), session(5)])
            }
            _ => continue,
        };
        for mut options in options {
            options["address"] = json!(gate.address.to_string());
            let client = scene.open_at(agent, &options);
            if sort == Returning::Session {
                scene.told(&client, connected);
            }
            scene.ask(&client, "subscribe", &json!({"channel": channel, "qos": 1}));
            returning.push((sort, client, Came::default()));
        }
    }
    // It is not cut off: everybody has its order.
    let steady = scene
        .one_each()
        .into_iter()
        .find(|client| client.protocol == Protocol::KnSock)
        .unwrap();
    scene.ask(&steady, "subscribe", &json!({"channel": channel}));
    let mut followed = Followed::start(&gate, channel);

    let mut first = 0;
    for (phase, count) in PHASES.into_iter().enumerate() {
        match phase {
            0 => {}
            1 => {
                let count = count_of(&publishers) * first;
                for (_, client, came) in &mut returning {
                    came.take(scene, client, |came| came.0.len() == count);
                }
                gate.shut();
            }
            _ => {
                gate.open_to(back);
                followed.come_back(&gate);
                // QoS 0 is for who is there.
                for (sort, client, _) in &returning {
                    if *sort == Returning::Session {
                        scene.told(client, connected);
                    }
                }
            }
        }
        publish(scene, channel, &publishers, first, count);
        first += count;
    }
    end(scene, channel, &publishers);

    let mut order = Came::default();
    order.take(scene, &steady, Came::is_all);
    let order = order.in_order();
    assert_eq!(
        order.len(),
        count_of(&publishers) * first,
        "nobody cut it off"
    );
    let mut cells = HashMap::new();
    for (sort, client, came) in &mut returning {
        came.take(scene, client, Came::is_all);
        let name = scene.agents[client.agent].sdk.name();
        let came = std::mem::take(came).in_order();
        judge(&mut cells, *sort, &name, &order, &came);
    }
    judge(
        &mut cells,
        Returning::History,
        "followed",
        &order,
        &followed.until_end(),
    );
    let clients: Vec<_> = returning.into_iter().map(|(_, client, _)| client).collect();
    scene.close_all(&clients);
    scene.close_all(&publishers);
    scene.close_all(&[steady]);
    text(&cells)
}

fn connected(told: &Value) -> Option<()> {
    (told["event"] == "connected").then_some(())
}

fn authors<'c>(
    publishers: &'c [Client],
    writer: &Writer,
) -> impl Iterator<Item = &'c Client> + use<'c> {
    let protocol = writer.protocol;
    publishers
        .iter()
        .filter(move |publisher| publisher.protocol == protocol)
}

/// How many messages all publish in one turn.
fn count_of(publishers: &[Client]) -> usize {
    let ways = writers::all();
    ways.iter()
        .map(|way| authors(publishers, way).count())
        .sum()
}

/// All publish at once, each by all its ways.
fn publish(scene: &mut Scene, channel: &str, publishers: &[Client], first: usize, count: usize) {
    for n in first..first + count {
        for writer in writers::all() {
            let data = json!({"by": writer.name, "n": n});
            let request = writer.request(channel, &data);
            let asked: Vec<_> = authors(publishers, &writer)
                .map(|publisher| (publisher, with_author(&request, publisher)))
                .collect();
            scene.ask_all(writer.what, &asked);
        }
    }
}

/// The same request, which says by whom its message is.
fn with_author(request: &Value, publisher: &Client) -> Value {
    let mut request = request.clone();
    request["data"]["of"] = json!(publisher.agent);
    request
}

/// Says everybody that nothing more comes, in the way that reaches everybody.
fn end(scene: &mut Scene, channel: &str, publishers: &[Client]) {
    let publisher = publishers
        .iter()
        .find(|publisher| publisher.protocol == Protocol::Mqtt)
        .unwrap();
    let request = json!({"channel": channel, "sort": "json", "data": {"end": true}, "qos": 1});
    scene.ask(publisher, "publish", &request);
}

/// What came, with the numbers that Azure's subprotocol gives.
#[derive(Default)]
struct Came(Vec<(Option<u64>, Value)>);

impl Came {
    fn take(&mut self, scene: &mut Scene, client: &Client, is_enough: impl Fn(&Self) -> bool) {
        while !is_enough(self) {
            let message = scene.told(client, messages::message);
            let data = messages::json(&message);
            // At QoS 1 what was under way when the connection was cut comes again, and says so.
            let is_again = message["again"] == true;
            if !is_again || self.0.iter().all(|(_, other)| *other != data) {
                self.0.push((message["sequence"].as_u64(), data));
            }
        }
    }

    /// The last one has come, and where there are numbers all before it.
    fn is_all(&self) -> bool {
        let last = self.0.iter().find(|(_, data)| data["end"] == true);
        last.is_some_and(|(number, _)| number.is_none_or(|last| last == self.0.len() as u64))
    }

    /// All but the last one. Callbacks of Azure's SDK for Python run side by side.
    fn in_order(mut self) -> Vec<Value> {
        self.0.sort_by_key(|(number, _)| *number);
        self.0.pop();
        self.0.into_iter().map(|(_, data)| data).collect()
    }
}

/// Everything of each way came once and in order, or, for a reason, what was published during the cut did not.
fn judge(
    cells: &mut HashMap<(Returning, &'static str), String>,
    sort: Returning,
    name: &str,
    order: &[Value],
    came: &[Value],
) {
    let numbers = PHASES[0]..PHASES[0] + PHASES[1];
    let is_away = |message: &Value| {
        let n = usize::try_from(message["n"].as_u64().unwrap()).unwrap();
        numbers.contains(&n)
    };
    let mut expected = Vec::new();
    for message in order {
        let by = message["by"].as_str().unwrap();
        if sort.reason(by).is_none() || !is_away(message) {
            expected.push(message.clone());
        }
    }
    if came != expected {
        let missing: Vec<_> = expected.iter().filter(|one| !came.contains(one)).collect();
        let more: Vec<_> = came.iter().filter(|one| !expected.contains(one)).collect();
        panic!(
            "{sort:?}: {name}: {} of {} came; not: {missing:?}; unexpected: {more:?}",
            came.len(),
            expected.len()
        );
    }
    for writer in writers::all() {
        let cell = match sort.reason(writer.name) {
            None => "all".to_owned(),
            Some(reason) => format!("not what was published meanwhile: {reason}"),
        };
        cells.insert((sort, writer.name), cell);
    }
}

/// The history API, followed over one connection after the other.
struct Followed {
    channel: String,
    lines: Receiver<Value>,
    came: Vec<Value>,
    cursor: u64,
}

impl Followed {
    fn start(gate: &Gate, channel: &str) -> Self {
        Self {
            lines: follow(gate, channel, "last=0"),
            channel: channel.to_owned(),
            came: Vec::new(),
            cursor: 0,
        }
    }

    /// Goes on behind the last message that came before the cut.
    fn come_back(&mut self, gate: &Gate) {
        while let Ok(line) = self.lines.recv_timeout(SOON) {
            self.take(&line);
        }
        self.lines = follow(gate, &self.channel, &format!("since={}", self.cursor + 1));
    }

    fn take(&mut self, line: &Value) {
        let timetoken = line["timetoken"].as_str();
        let timetoken = timetoken.unwrap_or_else(|| panic!("{line}"));
        self.cursor = timetoken.parse().unwrap();
        self.came.push(line["data"].clone());
    }

    fn until_end(mut self) -> Vec<Value> {
        while self.came.last().is_none_or(|data| data["end"] != true) {
            let line = self.lines.recv_timeout(SOON);
            let line = line.unwrap_or_else(|error| panic!("{error}; {} came", self.came.len()));
            self.take(&line);
        }
        self.came.pop();
        self.came
    }
}

/// The lines of an answer that goes on, until its connection ends.
fn follow(gate: &Gate, channel: &str, query: &str) -> Receiver<Value> {
    let mut stream = TcpStream::connect(gate.address).unwrap();
    let channel = channel.replace('/', "%2F");
    let target = format!("/history/v1/channels/{channel}?follow=true&{query}");
    let request = format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        lines.read_line(&mut line).unwrap();
    }
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            // Nobody listens any more when the test has failed.
            let _ = sender.send(serde_json::from_str(&line).unwrap());
        }
    });
    receiver
}

fn text(cells: &HashMap<(Returning, &'static str), String>) -> String {
    let heads = Returning::ALL.iter().map(|returning| returning.name());
    let heads: Vec<_> = ["published by"].into_iter().chain(heads).collect();
    let rows: Vec<_> = writers::all()
        .iter()
        .map(|writer| {
            let cells = Returning::ALL
                .iter()
                .map(|&returning| &cells[&(returning, writer.name)]);
            let name = writer.name.to_owned();
            [name].into_iter().chain(cells.cloned()).collect()
        })
        .collect();
    table::text(&heads, &rows)
}
