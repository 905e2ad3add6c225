//! What is written by one protocol and read again by another.

use serde_json::{Value, json};

use super::{
    Protocol,
    agents::Language,
    messages,
    scene::{Client, Scene},
    table,
    writers::{self, DELETED, EMPTIED, Writer},
};

/// Whoever reads what was published before it came.
const READERS: &[&str] = &[
    "PubNub, history",
    "Emitter, `last`",
    "history API",
    "MQTT, at SUBSCRIBE",
];

pub(super) fn run(scene: &mut Scene) -> String {
    let everywhere = scene.everywhere();
    let publishers = scene.one_each();
    let rows: Vec<_> = writers::of_history()
        .iter()
        .enumerate()
        .map(|(number, writer)| row(scene, &everywhere, &publishers, number, writer))
        .collect();
    scene.close_all(&everywhere);
    scene.close_all(&publishers);
    let heads: Vec<_> = ["published by"].iter().chain(READERS).copied().collect();
    table::text(&heads, &rows)
}

/// What the readers of each sort find of what every SDK of a protocol wrote.
fn row(
    scene: &mut Scene,
    readers: &[Client],
    publishers: &[Client],
    number: usize,
    writer: &Writer,
) -> Vec<String> {
    let mut row: Option<Vec<String>> = None;
    let own = publishers
        .iter()
        .filter(|publisher| publisher.protocol == writer.protocol);
    for publisher in own {
        let channel = format!("history/{number}/{}", publisher.name);
        let data = json!({"a": 1});
        let watcher = readers
            .iter()
            .find(|reader| reader.protocol == Protocol::KnSock)
            .unwrap();
        scene.ask(watcher, "subscribe", &json!({"channel": channel}));
        scene.ask(publisher, writer.what, &writer.request(&channel, &data));
        if writer.what != "fire" {
            // QoS 0 has no answer; what is kept is kept before anybody gets it.
            messages::take(scene, watcher, 1);
        }
        if writer.name == EMPTIED {
            let empty = json!({"channel": channel, "sort": "text", "data": "", "retain": true});
            scene.ask(publisher, "publish", &empty);
        }
        if writer.name == DELETED {
            delete(scene, &channel);
        }
        let cells: Vec<_> = READERS
            .iter()
            .map(|reader| cell(scene, readers, reader, &channel, &data))
            .collect();
        let sdk = scene.agents[publisher.agent].sdk.name();
        let row = row.get_or_insert_with(|| cells.clone());
        assert_eq!(*row, cells, "{}: {sdk}", writer.name);
    }
    let mut cells = vec![writer.name.to_owned()];
    cells.extend(row.unwrap());
    cells
}

fn delete(scene: &mut Scene, channel: &str) {
    let agent = scene.agent_of(Protocol::PubNub, Language::JavaScript);
    let admin = scene.open(agent, 0, &json!({"secret": super::scene::SECRET}));
    scene.ask(&admin, "delete", &json!({"channel": channel}));
    scene.close_all(&[admin]);
}

/// What all readers of a sort find, which is the same.
fn cell(
    scene: &mut Scene,
    readers: &[Client],
    reader: &str,
    channel: &str,
    data: &Value,
) -> String {
    let protocol = match reader {
        "PubNub, history" => Some(Protocol::PubNub),
        "Emitter, `last`" => Some(Protocol::Emitter),
        "MQTT, at SUBSCRIBE" => Some(Protocol::Mqtt),
        _ => None,
    };
    let mut found = Vec::new();
    for client in readers {
        match protocol {
            Some(protocol) if client.protocol == protocol => {
                found.push(read(scene, client, channel));
            }
            _ => {}
        }
    }
    if protocol.is_none() {
        for node in scene.servers() {
            let target = format!(
                "/history/v1/channels/{}?last=10",
                channel.replace('/', "%2F")
            );
            let answer = node.get(&target);
            assert_eq!(answer.status, 200, "{answer:?}");
            let lines = answer.text().lines();
            let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["data"].clone();
            found.push(lines.map(line).collect());
        }
    }
    for other in &found {
        assert_eq!(*other, found[0], "{reader}: {channel}");
    }
    match found[0].as_slice() {
        [] => "–".to_owned(),
        [one] if one == data => "yes".to_owned(),
        all => format!("`{}`", json!(all)),
    }
}

fn read(scene: &mut Scene, client: &Client, channel: &str) -> Vec<Value> {
    if client.protocol == Protocol::PubNub {
        let found = scene.ask(client, "history", &json!({"channel": channel}));
        return found.as_array().unwrap().clone();
    }
    scene.ask(
        client,
        "subscribe",
        &json!({"channel": channel, "last": 10}),
    );
    // What was kept comes before anything later.
    let own = format!("history/end/{}", client.name);
    scene.ask(client, "subscribe", &json!({"channel": own, "last": 0}));
    let end = json!({"end": channel});
    scene.ask(
        client,
        "publish",
        &json!({"channel": own, "sort": "json", "data": end}),
    );
    let mut found = Vec::new();
    loop {
        let data = messages::take(scene, client, 1).remove(0);
        if data == end {
            break;
        }
        found.push(data);
    }
    scene.ask(client, "leave", &json!({"channel": channel}));
    scene.ask(client, "leave", &json!({"channel": own}));
    found
}
