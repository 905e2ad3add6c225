//! Two tabs of one user: told apart by `instanceid`, the user leaves with the last one.

use polywire_testing::{Nodes, SOON, Server, eventually, peers::HttpConnection};
use serde_json::json;

use crate::start;

fn here(server: &Server) -> serde_json::Value {
    server.get("/v2/presence/sub-key/demo/channel/c").json()["uuids"].clone()
}

fn leave(server: &Server, instance: &str) {
    leave_as(server, "ann", instance);
}

fn leave_as(server: &Server, user: &str, instance: &str) {
    let target = format!("/v2/presence/sub-key/demo/channel/c/leave?uuid={user}{instance}");
    assert_eq!(server.get(&target).status, 200);
}

#[test]
fn a_user_leaves_with_the_last_tab() {
    let server = Server::of::<polywire_pubnub::PubNub>("hold_secs = 100");
    let target = "/v2/subscribe/demo/c/0?uuid=ann&instanceid=one";
    let first = server.get(target).json();
    let cursor = first["t"]["t"].as_str().unwrap();
    let mut poll = HttpConnection::open(server.address);
    let state = "state=%7B%22c%22%3A%7B%22n%22%3A1%7D%7D";
    let request = format!("GET {target}&tt={cursor}&{state} HTTP/1.1\r\nHost: t\r\n\r\n");
    poll.write(request.as_bytes()).unwrap();
    eventually("the poll is there", SOON, || {
        let states = server.get("/v2/presence/sub-key/demo/channel/c/uuid/ann");
        (states.json()["payload"] == json!({"n": 1})).then_some(())
    });
    let other = "/v2/presence/sub-key/demo/channel/c/heartbeat?uuid=ann&instanceid=two";
    server.get(other);
    leave(&server, "&instanceid=two");
    assert_eq!(
        here(&server),
        json!(["ann"]),
        "the poll of the other is held"
    );
    leave(&server, "");
    assert_eq!(here(&server), json!(["ann"]));
    leave(&server, "&instanceid=one");
    assert_eq!(here(&server), json!([]));
}

#[test]
fn without_ids_a_leave_is_the_users() {
    let server = start();
    server.get("/v2/subscribe/demo/c/0?uuid=ann");
    assert_eq!(here(&server), json!(["ann"]));
    leave(&server, "");
    assert_eq!(here(&server), json!([]));
}

#[test]
fn a_user_leaves_with_the_last_tab_whatever_nodes_these_ask() {
    let nodes = Nodes::default();
    let nodes = [(); 2].map(|()| nodes.start::<polywire_pubnub::PubNub>(""));
    let alone = json!([]);
    let everywhere = |who: &serde_json::Value| {
        for node in &nodes {
            eventually("all nodes know", SOON, || {
                (here(node) == *who).then_some(())
            });
        }
    };
    // Each has begun, and knows the other.
    for node in &nodes {
        node.get("/v2/subscribe/demo/c/0?uuid=bob");
        everywhere(&json!(["bob"]));
        leave_as(node, "bob", "");
        everywhere(&alone);
    }
    for (node, tab) in nodes.iter().zip(["one", "two"]) {
        let tab = format!("uuid=ann&instanceid={tab}");
        node.get(&format!(
            "/v2/presence/sub-key/demo/channel/c/heartbeat?{tab}"
        ));
        everywhere(&json!(["ann"]));
    }
    leave(&nodes[0], "&instanceid=one");
    // What was told before this is known.
    nodes[0].get("/v2/subscribe/demo/c/0?uuid=bob");
    everywhere(&json!(["ann", "bob"]));
    leave_as(&nodes[0], "bob", "");
    leave(&nodes[1], "&instanceid=two");
    everywhere(&alone);
}
