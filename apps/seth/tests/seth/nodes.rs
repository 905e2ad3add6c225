//! Several nodes, which share the channels and who is on them.

use polywire_seth::Seth;
use polywire_testing::{Nodes, SOON};
use serde_json::{Value, json};

#[test]
fn messages_and_notices_reach_the_members_on_other_nodes() {
    let nodes = Nodes::default();
    let (here, there) = (nodes.start::<Seth>(""), nodes.start::<Seth>(""));
    let mut ann = here.client("ann");
    ann.join("news");
    let mut bob = there.client("bob");
    ann.expect_notice("connect", "bob", "User: bob connected.");
    bob.join("news");
    ann.expect_notice("subscribe", "bob", "User: bob subscribed to news");

    there.publish("/api/channels/news/", &json!({"n": 1}));
    ann.expect_message(&json!({"n": 1}), &Value::Null);
    bob.expect_message(&json!({"n": 1}), &Value::Null);

    there.publish("/api/users/ann/", &json!({"n": 2}));
    ann.expect(&json!({"message": {"n": 2}, "target_id": "ann", "sender_id": null}));
    bob.expect_silence();
}

#[test]
fn a_user_on_two_nodes_comes_once_and_goes_once() {
    let nodes = Nodes::default();
    let (here, there) = (nodes.start::<Seth>(""), nodes.start::<Seth>(""));
    let mut watcher = here.client("watcher");
    watcher.join("news");
    let mut first = here.client("ann");
    first.join("news");
    watcher.expect_notice("connect", "ann", "User: ann connected.");
    watcher.expect_notice("subscribe", "ann", "User: ann subscribed to news");
    let mut second = there.client("ann");
    second.join("news");
    first.close();
    // What comes next is what was told next.
    let mut bob = here.client("bob");
    bob.join("news");
    watcher.expect_notice("connect", "bob", "User: bob connected.");
    watcher.expect_notice("subscribe", "bob", "User: bob subscribed to news");
    second.close();
    let mut told = [watcher.receive(), watcher.receive()];
    told.sort_by_key(Value::to_string);
    let gone =
        |kind, body| json!({"message": {"type": kind, "subscriber_id": "ann", "body": body}});
    assert_eq!(
        told,
        [
            gone("disconnect", "User: ann disconnected."),
            gone("unsubscribe", "User: ann unsubscribed from news"),
        ]
    );
    watcher.expect_silence();
}

#[test]
fn a_client_whose_messages_are_lost_is_disconnected_where_that_is_configured() {
    for (settings, closes) in [
        ("close_on_gap = \"always\"", true),
        // Nothing is kept here.
        ("close_on_gap = \"kept\"", false),
        ("close_on_gap = \"never\"", false),
    ] {
        let nodes = Nodes::default();
        let (here, there) = (nodes.start::<Seth>(settings), nodes.start::<Seth>(settings));
        let (mut ann, mut bob) = (here.client("ann"), here.client("bob"));
        ann.join("news");
        bob.join("other");
        nodes.miss(&here, &there, "news");
        if closes {
            let (code, reason) = ann.expect_close(SOON);
            assert_eq!(code, 4009, "{reason}");
        } else {
            there.publish("/api/channels/news/", &json!({"n": 1}));
            ann.expect_message(&json!({"n": 1}), &Value::Null);
        }
        there.publish("/api/channels/other/", &json!({"n": 2}));
        loop {
            let next = bob.receive();
            if next["message"] == json!({"n": 2}) {
                break;
            }
        }
    }
}
