//! Several nodes, which share the channels and who is on them.

use polywire_seth::Seth;
use polywire_testing::Nodes;
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
