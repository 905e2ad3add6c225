//! Who is told of comings and goings: every protocol comes and goes, and every protocol that tells of presence watches, on
//! every node.

use serde_json::{Value, json};

use super::{
    Protocol,
    agents::Language,
    scene::{Client, Scene},
    table,
};
use crate::support::Gate;

const ROOM: &str = "presence/room";

/// Times that a test can wait for.
const SETTINGS: &str =
    "[apps.webpubsub]\nrecovery_secs = 1\n[apps.pubnub]\npresence_timeout_secs = 3\n";

/// Protocols that tell of presence.
const WATCHING: &[Protocol] = &[Protocol::PubNub, Protocol::Emitter, Protocol::Seth];

/// Protocols whose clients say, or prove, who they are.
const NAMED: &[Protocol] = &[
    Protocol::PubNub,
    Protocol::WebPubSub,
    Protocol::Mqtt,
    Protocol::Seth,
];

/// Those who watch, and one whose coming shows that all that was told before has come.
struct Room {
    watchers: Vec<Client>,
    fence: Client,
    fence_id: String,
    rows: Vec<Vec<String>>,
}

impl Room {
    fn new(scene: &mut Scene, nodes: usize) -> Self {
        let mut watchers = Vec::new();
        for agent in 0..scene.agents.len() {
            let protocol = scene.agents[agent].sdk.protocol;
            if !WATCHING.contains(&protocol) {
                continue;
            }
            for node in 0..nodes {
                // On Seth-Pusher's side one without an id.
                let more = match protocol {
                    Protocol::Seth => json!({"user": null}),
                    _ => json!({}),
                };
                let watcher = scene.open(agent, node, &more);
                // Seth-Pusher's own do not ask.
                let subscription = json!({"channel": ROOM, "presence": true});
                scene.ask(&watcher, "subscribe", &subscription);
                watchers.push(watcher);
            }
        }
        let agent = scene.agent_of(Protocol::Seth, Language::JavaScript);
        let fence = scene.open(agent, 0, &json!({"user": "fence"}));
        let mut room = Self {
            watchers,
            fence,
            fence_id: "fence".to_owned(),
            rows: Vec::new(),
        };
        join(scene, &room.fence);
        room.told(scene, &room.fence_id.clone(), true);
        room.rows.clear();
        room
    }

    /// What each protocol tells of somebody now: something, or nothing.
    fn told(&mut self, scene: &mut Scene, id: &str, is_something: bool) -> Vec<String> {
        let mut first = Vec::new();
        for watcher in &self.watchers {
            let told = is_something.then(|| scene.told(watcher, |told| about(told, id)));
            first.push(told);
        }
        if id != self.fence_id {
            self.pass_fence(scene);
        }
        let mut cells = vec![None::<String>; WATCHING.len()];
        for (watcher, first) in self.watchers.iter().zip(first) {
            let mut came: Vec<_> = first.into_iter().collect();
            came.extend(scene.pending(watcher, |told| about(told, id)));
            let came = if came.is_empty() {
                "–".to_owned()
            } else {
                format!("`{}`", came.join("`, `"))
            };
            let column = WATCHING
                .iter()
                .position(|&protocol| protocol == watcher.protocol)
                .unwrap();
            let cell = cells[column].get_or_insert_with(|| came.clone());
            let name = scene.agents[watcher.agent].sdk.name();
            assert_eq!(*cell, came, "{name}, {}: of {id}", watcher.name);
        }
        let mut cells: Vec<_> = cells.into_iter().map(Option::unwrap).collect();
        cells.push(self.who(scene, id));
        cells
    }

    /// Notices of a channel are told in order: what came before the fence's own is all.
    fn pass_fence(&mut self, scene: &mut Scene) {
        let channel = json!({"channel": ROOM});
        scene.ask(&self.fence, "leave", &channel);
        scene.ask(&self.fence, "subscribe", &channel);
        for watcher in &self.watchers {
            for _ in ["leave", "join"] {
                scene.told(watcher, |told| about(told, &self.fence_id));
            }
        }
    }

    /// Whether somebody is there, which all that can be asked agree on.
    fn who(&self, scene: &mut Scene, id: &str) -> String {
        let mut answers = Vec::new();
        for watcher in &self.watchers {
            if watcher.protocol == Protocol::Seth {
                continue;
            }
            let who = scene.ask(watcher, "who", &json!({"channel": ROOM}));
            let is_there = who.as_array().unwrap().iter().any(|one| is(one, id));
            answers.push(is_there);
        }
        assert!(
            answers.iter().all(|&answer| answer == answers[0]),
            "{id}: {answers:?}"
        );
        if answers[0] { "yes" } else { "–" }.to_owned()
    }

    fn row(&mut self, scene: &mut Scene, by: &str, what: &str, id: &str, is_something: bool) {
        let cells = self.told(scene, id, is_something);
        let mut row = vec![by.to_owned(), what.to_owned()];
        row.extend(cells);
        match self.rows.iter().find(|other| other[..2] == row[..2]) {
            Some(other) => assert_eq!(*other, row),
            None => self.rows.push(row),
        }
    }
}

fn is(one: &Value, id: &str) -> bool {
    one == id || one["id"] == id
}

/// What was told of somebody, in the word of the protocol.
fn about(told: &Value, id: &str) -> Option<String> {
    let is_about = told["event"] == "presence" && is(&told["user"], id);
    is_about.then(|| told["action"].as_str().unwrap().to_owned())
}

fn join(scene: &mut Scene, client: &Client) {
    scene.ask(client, "subscribe", &json!({"channel": ROOM}));
}

/// A client of this id in the room, and the id by which others know it.
fn come(scene: &mut Scene, agent: usize, node: usize, id: &str) -> (Client, String) {
    let client = scene.open(agent, node, &json!({"user": id, "once": true}));
    let own = scene.id_of(&client);
    join(scene, &client);
    (client, own.unwrap_or_else(|| id.to_owned()))
}

pub(super) fn run(scene: &mut Scene) -> String {
    scene.start_anew(SETTINGS);
    let nodes = scene.servers().len();
    let mut room = Room::new(scene, nodes);
    for &protocol in Protocol::ALL {
        for agent in 0..scene.agents.len() {
            let sdk = scene.agents[agent].sdk;
            // PubNub's SDK for Python does not tell tabs apart, and does not say that it goes.
            let is_mute = protocol == Protocol::PubNub && sdk.language() == Language::Python;
            if sdk.protocol == protocol && !is_mute {
                comes_and_goes(scene, &mut room, protocol, agent);
            }
        }
        vanishes(scene, &mut room, protocol);
    }
    for &first in NAMED {
        for &second in NAMED {
            if first != second {
                by_two_protocols(scene, &mut room, first, second);
            }
        }
    }
    let watchers = std::mem::take(&mut room.watchers);
    scene.close_all(&watchers);
    text("does what", &room.rows)
}

fn comes_and_goes(scene: &mut Scene, room: &mut Room, protocol: Protocol, agent: usize) {
    let by = protocol.name();
    let other = scene.servers().len() - 1;
    let id = format!("{agent}-comes");
    let is_told = protocol != Protocol::KnSock;
    // Every connection of Emitter is somebody.
    let is_new = protocol == Protocol::Emitter;
    let (one, one_id) = come(scene, agent, 0, &id);
    room.row(scene, by, "comes", &one_id, is_told);
    if protocol == Protocol::Mqtt {
        // A second connection of a client id ends the first.
        scene.close_all(&[one]);
        room.row(scene, by, "goes", &one_id, true);
        return;
    }
    let (two, two_id) = come(scene, agent, other, &id);
    room.row(
        scene,
        by,
        "comes by a second connection too",
        &two_id,
        is_new,
    );
    scene.close_all(&[one]);
    room.row(
        scene,
        by,
        "goes, and stays by the other connection",
        &one_id,
        is_new,
    );
    scene.close_all(&[two]);
    room.row(scene, by, "goes", &two_id, is_told);
}

fn vanishes(scene: &mut Scene, room: &mut Room, protocol: Protocol) {
    // PubNub's SDK for JavaScript asks to be missed after 300 seconds only.
    let agent = scene.agent_of(protocol, Language::Python);
    let gate = Gate::start(scene.server(scene.servers().len() - 1).address);
    let id = format!("{agent}-vanishes");
    let options = json!({"user": id, "address": gate.address.to_string(), "once": true});
    let client = scene.open_at(agent, &options);
    let own = scene.id_of(&client).unwrap_or(id);
    join(scene, &client);
    let is_told = protocol != Protocol::KnSock;
    room.told(scene, &own, is_told);
    gate.shut();
    room.row(scene, protocol.name(), "vanishes", &own, is_told);
    scene.abandon(&client);
}

fn by_two_protocols(scene: &mut Scene, room: &mut Room, first: Protocol, second: Protocol) {
    let last = scene.servers().len() - 1;
    let agents = [first, second].map(|protocol| scene.agent_of(protocol, Language::JavaScript));
    let id = format!("{}-and-{}", agents[0], agents[1]);
    let (one, _) = come(scene, agents[0], 0, &id);
    room.told(scene, &id, true);
    let (two, _) = come(scene, agents[1], last, &id);
    let by = first.name();
    room.row(scene, by, "comes by another protocol too", &id, false);
    scene.close_all(&[one]);
    // Azure's ids are proven. Who merely says the same is not counted as it.
    let is_counted = first != Protocol::WebPubSub;
    let what = "goes, and stays by the other protocol";
    room.row(scene, by, what, &id, !is_counted);
    scene.close_all(&[two]);
    room.told(scene, &id, is_counted);
}

fn text(what: &str, rows: &[Vec<String>]) -> String {
    let names = WATCHING.iter().map(|protocol| protocol.name());
    let heads = ["a client of", what].into_iter().chain(names);
    let heads: Vec<_> = heads.chain(["is there then"]).collect();
    table::text(&heads, rows)
}

/// What is told, on the other node, of those who were on a node that is killed.
pub(super) fn killed(scene: &mut Scene) -> String {
    scene.start_anew(SETTINGS);
    let mut room = Room::new(scene, 1);
    let mut lost = Vec::new();
    for &protocol in Protocol::ALL {
        let agent = scene.agent_of(protocol, Language::JavaScript);
        let (client, id) = come(scene, agent, 1, &format!("{agent}-dies"));
        let is_told = protocol != Protocol::KnSock;
        room.told(scene, &id, is_told);
        lost.push((protocol, client, id, is_told, "is on it"));
        // A client id of MQTT is on one node only.
        if NAMED.contains(&protocol) && protocol != Protocol::Mqtt {
            let id = format!("{agent}-lives");
            come(scene, agent, 0, &id);
            room.told(scene, &id, true);
            let (client, _) = come(scene, agent, 1, &id);
            room.told(scene, &id, false);
            lost.push((protocol, client, id, false, "is on the other node too"));
        }
    }
    scene.server(1).process.signal("KILL");
    for (protocol, client, id, is_told, what) in lost {
        room.row(scene, protocol.name(), what, &id, is_told);
        scene.abandon(&client);
    }
    text("when a node is killed", &room.rows)
}
