//! Wildcards in the syntax of each protocol that has them, with what every protocol publishes.

use serde_json::json;

use super::{Protocol, messages, scene::Scene, table};

const CHANNELS: &[&str] = &["w", "w.a", "w.a.b", "w/a", "w/a/b"];
/// Every pattern matches one of them.
const ENDS: &[&str] = &["w.end", "w/end"];
const PATTERNS: &[(Protocol, &str)] = &[
    (Protocol::PubNub, "w.*"),
    (Protocol::Mqtt, "w/+"),
    (Protocol::Mqtt, "w/#"),
    (Protocol::Emitter, "w/"),
    (Protocol::Emitter, "w/+/"),
];

pub(super) fn run(scene: &mut Scene) -> String {
    let publishers = scene.one_each();
    let mut subscribers = Vec::new();
    for &(protocol, pattern) in PATTERNS {
        for agent in 0..scene.agents.len() {
            if scene.agents[agent].sdk.protocol != protocol {
                continue;
            }
            for node in 0..scene.servers().len() {
                let client = scene.open(agent, node, &json!({}));
                scene.ask(&client, "subscribe", &json!({"channel": pattern}));
                subscribers.push((client, protocol, pattern));
            }
        }
    }
    for channel in CHANNELS {
        for publisher in &publishers {
            publish(scene, publisher, channel);
        }
    }
    for channel in ENDS {
        publish(scene, &publishers[0], channel);
    }
    let mut rows = Vec::<Vec<String>>::new();
    for (client, protocol, pattern) in &subscribers {
        let mut came = Vec::new();
        loop {
            let data = messages::take(scene, client, 1).remove(0);
            let channel = data["on"].as_str().unwrap().to_owned();
            if ENDS.contains(&channel.as_str()) {
                break;
            }
            came.push((channel, data["by"].as_str().unwrap().to_owned()));
        }
        let mut row = vec![protocol.name().to_owned(), format!("`{pattern}`")];
        for channel in CHANNELS {
            let of = came.iter().filter(|(on, _)| on == channel);
            let by: Vec<_> = of.map(|(_, by)| by.clone()).collect();
            let all: Vec<_> = publishers.iter().map(|one| one.name.clone()).collect();
            assert!(by.is_empty() || by == all, "{pattern}: {channel}: {by:?}");
            row.push(if by.is_empty() { "–" } else { "yes" }.to_owned());
        }
        match rows.iter().find(|other| other[..2] == row[..2]) {
            Some(other) => assert_eq!(*other, row),
            None => rows.push(row),
        }
    }
    let clients: Vec<_> = subscribers.into_iter().map(|(client, ..)| client).collect();
    scene.close_all(&clients);
    scene.close_all(&publishers);
    let channels: Vec<_> = CHANNELS
        .iter()
        .map(|channel| format!("`{channel}`"))
        .collect();
    let heads = ["subscribed by", "to"].into_iter();
    let heads: Vec<_> = heads.chain(channels.iter().map(String::as_str)).collect();
    table::text(&heads, &rows)
}

fn publish(scene: &mut Scene, publisher: &super::scene::Client, channel: &str) {
    let data = json!({"on": channel, "by": publisher.name});
    let request = json!({"channel": channel, "sort": "json", "data": data});
    scene.ask(publisher, "publish", &request);
}
