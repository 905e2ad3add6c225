//! Channel groups: what they hold, and what comes through them.

use polywire_pubnub::PubNub;
use polywire_testing::{SOON, Server, eventually, peers::HttpConnection};
use serde_json::{Value, json};

use crate::{error, expect, start};

const REGISTRY: &str = "/v1/channel-registration/sub-key/demo/channel-group";

fn listed(channels: &Value) -> Value {
    json!({"status": 200, "payload": {"channels": channels, "group": "g"},
        "service": "channel-registry", "error": false})
}

#[test]
fn presence_of_a_channel_comes_through_a_group() {
    let server = start();
    let group = format!("{REGISTRY}/g");
    let added = server.get(&format!("{group}?add=room,room-pnpres,hall-pnpres"));
    assert_eq!(added.status, 200);
    let all = json!(["room", "hall-pnpres", "room-pnpres"]);
    expect(&server, &group, 200, &listed(&all));
    let poll = |tt: &str| {
        let target = format!("/v2/subscribe/demo/,/0?channel-group=g&uuid=ann&tt={tt}");
        let got = server.get(&target).json();
        let messages = got["m"].as_array().unwrap().iter();
        let seen = messages.map(|m| (m["c"].clone(), m["b"].clone(), m["d"]["uuid"].clone()));
        let seen = seen.collect::<Vec<_>>();
        (seen, got["t"]["t"].as_str().unwrap().to_owned())
    };
    let (_, cursor) = poll("0");
    let (seen, cursor) = poll(&cursor);
    assert_eq!(seen, [(json!("room-pnpres"), json!("g"), json!("ann"))]);
    for channel in ["hall", "room"] {
        server.get(&format!(
            "/v2/presence/sub-key/demo/channel/{channel}/heartbeat?uuid=bob"
        ));
    }
    let (seen, cursor) = poll(&cursor);
    let of = |channel: &str| (json!(channel), json!("g"), json!("bob"));
    assert_eq!(seen, [of("hall-pnpres"), of("room-pnpres")]);
    // She is where the group has a channel, and nowhere by the name of presence.
    let at = server.get("/v2/presence/sub-key/demo/uuid/ann").json();
    assert_eq!(at["payload"]["channels"], json!(["room"]));
    // The channel itself stays when its presence is taken out.
    server.get(&format!("{group}?remove=room-pnpres"));
    let rest = json!(["room", "hall-pnpres"]);
    expect(&server, &group, 200, &listed(&rest));
    server.get("/v2/presence/sub-key/demo/channel/room/leave?uuid=bob");
    assert_eq!(poll(&cursor).0, []);
    assert_eq!(server.get(&format!("{group}/remove")).status, 200);
    expect(&server, &group, 200, &listed(&json!([])));
}

/// A poll that is held is woken by it.
#[test]
fn a_poll_that_waits_at_a_group_gets_presence_events() {
    let server = Server::of::<PubNub>("hold_secs = 100");
    server.get(&format!("{REGISTRY}/g?add=hall,room-pnpres"));
    let target = "/v2/subscribe/demo/,/0?channel-group=g&uuid=ann";
    let first = server.get(target).json();
    let cursor = first["t"]["t"].as_str().unwrap();
    let mut poll = HttpConnection::open(server.address);
    let state = "state=%7B%22g%22%3A%7B%22n%22%3A1%7D%7D";
    let request = format!("GET {target}&tt={cursor}&{state} HTTP/1.1\r\nHost: t\r\n\r\n");
    poll.write(request.as_bytes()).unwrap();
    eventually("the poll is there", SOON, || {
        let states = server.get("/v2/presence/sub-key/demo/channel/hall/uuid/ann");
        (states.json()["payload"] == json!({"n": 1})).then_some(())
    });
    server.get("/v2/presence/sub-key/demo/channel/room/heartbeat?uuid=bob");
    let got = poll.answer(false).json();
    assert_eq!(got["m"][0]["d"]["uuid"], "bob", "{got}");
}

#[test]
fn a_wildcard_is_in_no_group() {
    let server = start();
    let message =
        "A channel group holds no wildcards: add the channels, or subscribe to the wildcard.";
    let refused = error(400, "channel-registry", message);
    for name in ["a.*", "a.%2A", "b,a.b.*", "a.*-pnpres"] {
        expect(&server, &format!("{REGISTRY}/g?add={name}"), 400, &refused);
    }
    expect(&server, &format!("{REGISTRY}/g"), 200, &listed(&json!([])));
}
