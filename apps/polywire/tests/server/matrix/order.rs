//! One order: what many publish at once reaches everybody in one and the same order.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{messages, scene::Scene};

/// Of each of the ten publishers, two for most protocols.
const EACH: usize = 100;

pub(super) fn run(scene: &mut Scene) {
    let (subscribers, publishers) = (scene.everywhere(), scene.one_each());
    scene.subscribe_all(&subscribers, "order");
    let asked: Vec<_> = publishers
        .iter()
        .map(|publisher| {
            let more = json!({"channel": "order", "by": publisher.name, "first": 0, "count": EACH});
            (publisher, more)
        })
        .collect();
    scene.ask_all("flood", &asked);
    let total = EACH * publishers.len();
    let mut first: Option<(String, Vec<Value>)> = None;
    for subscriber in &subscribers {
        let came = messages::take(scene, subscriber, total);
        let name = scene.agents[subscriber.agent].sdk.name();
        assert_eq!(
            came.iter()
                .map(Value::to_string)
                .collect::<HashSet<_>>()
                .len(),
            total,
            "{name}: once"
        );
        for publisher in &publishers {
            let own = came
                .iter()
                .filter(|message| message["by"] == publisher.name);
            let numbers: Vec<_> = own.map(|message| message["n"].as_u64().unwrap()).collect();
            assert!(
                numbers.is_sorted(),
                "{name}: {}: {numbers:?}",
                publisher.name
            );
        }
        match &first {
            None => first = Some((name, came)),
            Some((other, expected)) => {
                let differ = came.iter().zip(expected).position(|(a, b)| a != b);
                assert_eq!(differ, None, "{name} and {other} differ there");
            }
        }
    }
    scene.close_all(&subscribers);
    scene.close_all(&publishers);
}
