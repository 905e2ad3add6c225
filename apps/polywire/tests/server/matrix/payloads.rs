//! What each protocol gets of what each publishes.

use serde_json::{Value, json};

use super::{
    Protocol, messages,
    scene::{Client, Scene},
    table,
};

/// Something that is published.
struct Sample {
    /// What it is, as the table says it.
    name: &'static str,
    /// `json`, `text` or `bytes`.
    sort: &'static str,
    data: Value,
    by: &'static [Protocol],
    /// What the agent is asked for: `publish`, or something special.
    what: &'static str,
    /// Further options.
    more: Value,
}

use Protocol::{Emitter, KnSock, Mqtt, PubNub, WebPubSub};

const JSON: &[Protocol] = &[PubNub, WebPubSub, Mqtt, Emitter, KnSock];
const STRINGS: &[Protocol] = &[PubNub, WebPubSub, KnSock];
const BYTES: &[Protocol] = &[WebPubSub, Mqtt, Emitter];
const LONG: usize = 20 * 1024;

fn samples() -> Vec<Sample> {
    let sample = |name, sort, data, by| Sample {
        name,
        sort,
        data,
        by,
        what: "publish",
        more: json!({}),
    };
    let special = |name, by, what, data, more| Sample {
        what,
        more,
        ..sample(name, "json", data, by)
    };
    let long = "x".repeat(LONG);
    let looks = r#"{"a":1}"#;
    vec![
        sample(
            "a JSON object",
            "json",
            json!({"a": 1.5, "b": [true, null]}),
            Protocol::ALL,
        ),
        sample("a JSON array", "json", json!([1, "two"]), JSON),
        sample("a JSON number", "json", json!(42), JSON),
        sample("JSON `null`", "json", Value::Null, JSON),
        sample("a JSON string", "json", json!("café"), STRINGS),
        sample("a text", "text", json!("café"), BYTES),
        sample(
            "a JSON string that looks like JSON",
            "json",
            json!(looks),
            STRINGS,
        ),
        sample("a text that looks like JSON", "text", json!(looks), BYTES),
        sample("bytes that are no UTF-8", "bytes", json!("ff000a80"), BYTES),
        sample("an empty JSON string", "json", json!(""), STRINGS),
        sample("nothing", "text", json!(""), BYTES),
        sample("a JSON string of 20 KiB", "json", json!(long), STRINGS),
        sample("a text of 20 KiB", "text", json!(long), BYTES),
        special(
            "a message with a custom type",
            &[PubNub],
            "publish",
            json!("hi"),
            json!({"type": "greeting"}),
        ),
        special("a signal", &[PubNub], "signal", json!("hi"), json!({})),
        special("`fire`", &[PubNub], "fire", json!("hi"), json!({})),
        special(
            "a retained message",
            &[Mqtt],
            "publish",
            json!(42),
            json!({"retain": true}),
        ),
        Sample {
            sort: "text",
            ..special(
                "an empty retained message",
                &[Mqtt],
                "publish",
                json!(""),
                json!({"retain": true}),
            )
        },
    ]
}

/// What an SDK refuses to publish.
const REFUSED: &[(&str, &[&str])] = &[
    ("PubNub, Python", &["JSON `null`"]),
    (
        "PubNub, JavaScript",
        &["JSON `null`", "an empty JSON string"],
    ),
];

/// What an SDK does not hand on, as others of its protocol do.
const DROPPED: &[(&str, &str)] = &[("Azure Web PubSub, JavaScript", "JSON `null`")];

/// Of one sample by one publisher: what the subscribers of each protocol got.
#[derive(PartialEq, Eq)]
struct Row {
    name: &'static str,
    by: Vec<&'static str>,
    cells: Vec<String>,
}

/// The table, and what the SDKs themselves refuse.
pub(super) fn run(scene: &mut Scene) -> String {
    let (subscribers, publishers) = (scene.everywhere(), scene.one_each());
    scene.subscribe_all(&subscribers, "payloads");
    let mut rows = Vec::<Row>::new();
    let mut marker = 0;
    for sample in samples() {
        for publisher in &publishers {
            if !sample.by.contains(&publisher.protocol) {
                continue;
            }
            let sdk = scene.agents[publisher.agent].sdk.name();
            let is_refused = REFUSED
                .iter()
                .any(|(name, samples)| *name == sdk && samples.contains(&sample.name));
            let mut request =
                json!({"channel": "payloads", "sort": sample.sort, "data": sample.data});
            let more = sample.more.as_object().unwrap().clone();
            request.as_object_mut().unwrap().extend(more);
            let published = scene.try_ask(publisher, sample.what, &request);
            assert_eq!(
                published.is_err(),
                is_refused,
                "{sdk}: {}: {published:?}",
                sample.name
            );
            if is_refused {
                continue;
            }
            marker += 1;
            let end = json!({"channel": "payloads", "sort": "json", "data": {"marker": marker}});
            scene.ask(publisher, "publish", &end);
            let cells = received(scene, &subscribers, sample.name, marker);
            let by = publisher.protocol.name();
            let alike = rows
                .iter_mut()
                .find(|row| row.name == sample.name && row.cells == cells);
            match alike {
                Some(row) if row.by.contains(&by) => {}
                Some(row) => row.by.push(by),
                None => rows.push(Row {
                    name: sample.name,
                    by: vec![by],
                    cells,
                }),
            }
        }
    }
    scene.close_all(&subscribers);
    scene.close_all(&publishers);
    text(&rows)
}

/// What came before the marker, in one cell for each protocol.
fn received(scene: &mut Scene, subscribers: &[Client], name: &str, marker: u64) -> Vec<String> {
    let mut cells = vec![None::<String>; Protocol::ALL.len()];
    for subscriber in subscribers {
        let mut came = Vec::new();
        loop {
            let message = scene.told(subscriber, messages::message);
            if messages::json(&message) == json!({"marker": marker}) {
                break;
            }
            came.push(shown(subscriber.protocol, &message));
        }
        let came = if came.is_empty() {
            "–".to_owned()
        } else {
            came.join(", ")
        };
        let column = Protocol::ALL
            .iter()
            .position(|&protocol| protocol == subscriber.protocol)
            .unwrap();
        let sdk = scene.agents[subscriber.agent].sdk.name();
        if DROPPED.contains(&(&sdk, name)) {
            assert_eq!(came, "–", "{sdk}: {name}");
            continue;
        }
        let cell = cells[column].get_or_insert_with(|| came.clone());
        assert_eq!(*cell, came, "{sdk}: {name}");
    }
    cells.into_iter().map(Option::unwrap).collect()
}

/// A message as a cell shows it.
fn shown(protocol: Protocol, message: &Value) -> String {
    let data = &message["data"];
    let sort = message["sort"].as_str().unwrap_or("json");
    let text = match sort {
        "bytes" => {
            let bytes = messages::bytes(message);
            match String::from_utf8(bytes) {
                // White space between the tokens is the publisher's.
                Ok(text) => match serde_json::from_str::<Value>(&text) {
                    Ok(value @ (Value::Object(_) | Value::Array(_))) => value.to_string(),
                    _ => text,
                },
                Err(error) => {
                    let bytes = error.as_bytes().iter().map(|byte| format!("{byte:02x}"));
                    bytes.collect::<Vec<_>>().join(" ")
                }
            }
        }
        "text" => data.as_str().unwrap().to_owned(),
        _ => data.to_string(),
    };
    let text = text.replace(&"x".repeat(LONG), "xxx…");
    let prefix = match (protocol, sort) {
        _ if message["event"] == "signal" => "signal ",
        (PubNub, _) if message["type"].is_string() => "greeting ",
        (WebPubSub, "bytes") => "binary ",
        (WebPubSub, "json") => "json ",
        (WebPubSub, "text") => "text ",
        _ => "",
    };
    match text.as_str() {
        "" if prefix.is_empty() => "empty".to_owned(),
        "" => format!("`{}`, empty", prefix.trim()),
        text => format!("`{prefix}{text}`"),
    }
}

fn text(rows: &[Row]) -> String {
    let names = Protocol::ALL.iter().map(|protocol| protocol.name());
    let heads: Vec<_> = ["published", "by"].into_iter().chain(names).collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let by = if row.by.len() == Protocol::ALL.len() {
                "all".to_owned()
            } else {
                row.by.join(", ")
            };
            let mut cells = vec![row.name.to_owned(), by];
            cells.extend(row.cells.clone());
            cells
        })
        .collect();
    let mut text = table::text(&heads, &rows) + "\n";
    for (sdk, samples) in REFUSED {
        text += &format!(
            "- The SDK of {sdk}, does not publish: {}.\n",
            samples.join("; ")
        );
    }
    for (sdk, sample) in DROPPED {
        text += &format!("- The SDK of {sdk}, does not hand on: {sample}.\n");
    }
    text
}
