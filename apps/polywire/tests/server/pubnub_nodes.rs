//! PubNub's clients on several nodes with one Redis, asked about with a plain HTTP client.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Redis, Server, ServerOptions};

const KEYS: &str = "[apps.pubnub]\nhold_secs = 1\n[[apps.pubnub.key_sets]]\npublish_key = \"pub\"\nsubscribe_key = \"sub\"\n";

/// Longer than a node may be silent before its clients count as gone, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

fn two_nodes(redis: &Redis) -> [Server; 2] {
    let start = || {
        ServerOptions::new(&["--backend", &redis.url()])
            .config(KEYS)
            .start()
    };
    let nodes = [start(), start()];
    for node in &nodes {
        node.publish_when_ready("/api/channels/ready/", &json!({}));
    }
    nodes
}

fn heartbeat(node: &Server, client: &str) {
    let target =
        format!("/v2/presence/sub-key/sub/channel/room/heartbeat?uuid={client}&heartbeat=300");
    assert_eq!(node.get(&target).status, 200);
}

/// Asks again and again until the answer is the one.
#[track_caller]
fn expect_soon(node: &Server, target: &str, wanted: &Value, view: impl Fn(&Value) -> Value) {
    let began = Instant::now();
    loop {
        let seen = view(&node.get(target).json());
        if seen == *wanted {
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{target}: {seen} is not {wanted}"
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[track_caller]
fn expect_here(node: &Server, clients: &Value) {
    let target = "/v2/presence/sub-key/sub/channel/room";
    expect_soon(node, target, clients, |here| here["uuids"].clone());
}

#[test]
fn clients_of_a_node_that_dies_time_out_on_the_others() {
    let redis = Redis::start();
    let [dies, lives] = two_nodes(&redis);
    heartbeat(&dies, "ann");
    heartbeat(&dies, "bob");
    heartbeat(&lives, "bob");
    expect_here(&lives, &json!(["ann", "bob"]));
    let first = lives
        .get("/v2/subscribe/sub/room-pnpres/0?tt=0&uuid=eve")
        .json();
    let mut cursor = first["t"]["t"].as_str().unwrap().to_owned();
    dies.process.signal("KILL");
    let began = Instant::now();
    loop {
        let target = format!("/v2/subscribe/sub/room-pnpres/0?tt={cursor}&uuid=eve");
        let answer = lives.get(&target).json();
        cursor = answer["t"]["t"].as_str().unwrap().to_owned();
        // Joins that were told when the poller began may come first.
        let messages = answer["m"].as_array().unwrap();
        let timeout = messages
            .iter()
            .find(|message| message["d"]["action"] == "timeout");
        if let Some(timeout) = timeout {
            assert_eq!(
                (&timeout["d"]["uuid"], &timeout["d"]["occupancy"]),
                (&json!("ann"), &json!(1))
            );
            break;
        }
        assert!(began.elapsed() < PATIENCE, "nobody timed out");
    }
    expect_here(&lives, &json!(["bob"]));
}

#[test]
fn a_node_that_starts_later_or_was_cut_off_learns_who_is_there() {
    let mut redis = Redis::start();
    let [one, two] = two_nodes(&redis);
    heartbeat(&one, "ann");
    expect_here(&two, &json!(["ann"]));
    let three = ServerOptions::new(&["--backend", &redis.url()])
        .config(KEYS)
        .start();
    expect_here(&three, &json!(["ann"]));
    redis.stop();
    heartbeat(&two, "bob");
    expect_here(&two, &json!(["ann", "bob"]));
    redis.restart();
    expect_here(&one, &json!(["ann", "bob"]));
    expect_here(&three, &json!(["ann", "bob"]));
}

#[test]
fn channel_groups_are_those_of_all_nodes_and_outlive_them() {
    let redis = Redis::start();
    let args = ["--backend", &redis.url(), "--persistence", "redis"];
    let start = || {
        let node = ServerOptions::new(&args).config(KEYS).start();
        node.publish_when_ready("/api/channels/ready/", &json!({}));
        node
    };
    let target = "/v1/channel-registration/sub-key/sub/channel-group/g";
    let channels = |answer: &Value| answer["payload"]["channels"].clone();
    {
        let [one, two] = [start(), start()];
        assert_eq!(one.get(&format!("{target}?add=a,b")).status, 200);
        expect_soon(&two, target, &json!(["a", "b"]), channels);
        assert_eq!(two.get(&format!("{target}?add=c&remove=a")).status, 200);
        expect_soon(&one, target, &json!(["b", "c"]), channels);
        expect_soon(&start(), target, &json!(["b", "c"]), channels);
    }
    expect_soon(&start(), target, &json!(["b", "c"]), channels);
}

#[test]
fn a_node_that_starts_later_asks_the_others_where_nothing_is_kept() {
    let redis = Redis::start();
    let [one, two] = two_nodes(&redis);
    let target = "/v1/channel-registration/sub-key/sub/channel-group/g";
    let channels = |answer: &Value| answer["payload"]["channels"].clone();
    assert_eq!(one.get(&format!("{target}?add=a,b")).status, 200);
    expect_soon(&two, target, &json!(["a", "b"]), channels);
    drop(two);
    let three = ServerOptions::new(&["--backend", &redis.url()])
        .config(KEYS)
        .start();
    expect_soon(&three, target, &json!(["a", "b"]), channels);
}
