//! Lists in one part of a path whose commas are encoded, as some SDKs and programs send them.

use polywire_pubnub::PubNub;
use polywire_testing::{
    Server,
    persistence::{HistorySettings, MemoryHistory},
};
use serde_json::{Value, json};

use crate::{error, expect, expect_problem, start};

/// Where the cursor of an answer stands.
fn cursor(answer: &Value) -> String {
    answer["t"]["t"].as_str().unwrap().to_owned()
}

fn names(answer: &Value) -> Vec<&str> {
    let messages = answer["m"].as_array().unwrap().iter();
    messages.map(|m| m["c"].as_str().unwrap()).collect()
}

#[test]
fn a_poll_of_a_list_gets_the_messages_of_each() {
    let server = start();
    for (list, groups) in [
        ("a%2Cb%2ca-pnpres", ""),
        ("a,b%2Ca-pnpres", ""),
        ("%2C", "g%2Cg-pnpres"),
        (",", "g,g-pnpres"),
    ] {
        let group = "/v1/channel-registration/sub-key/demo/channel-group/g?add=a%2Cb";
        assert_eq!(server.get(group).status, 200);
        let target = |tt: &str| {
            format!("/v2/subscribe/demo/{list}/0?channel-group={groups}&uuid=u{list}&tt={tt}")
        };
        let first = cursor(&server.get(&target("0")).json());
        let join = server.get(&target(&first)).json();
        assert_eq!(names(&join)[0], "a-pnpres", "{list}: {join}");
        for channel in ["a", "b"] {
            let publish = format!("/publish/demo/demo/0/{channel}/0/1");
            assert_eq!(server.get(&publish).status, 200);
        }
        let got = server.get(&target(&cursor(&join))).json();
        let got = names(&got).into_iter().filter(|name| *name != "b-pnpres");
        assert_eq!(got.collect::<Vec<_>>(), ["a", "b"], "{list}");
        // One that leaves by such a list is gone.
        let leave = format!(
            "/v2/presence/sub-key/demo/channel/{list}/leave?channel-group={groups}&uuid=u{list}"
        );
        assert_eq!(server.get(&leave).status, 200);
        let here = server.get("/v2/presence/sub-key/demo/channel/a%2Cb").json();
        assert_eq!(here["payload"]["total_occupancy"], 0, "{list}");
    }
}

#[test]
fn presence_of_a_list_is_that_of_each() {
    let server = start();
    let presence = "/v2/presence/sub-key/demo/channel/a%2Cb";
    server.get(&format!("{presence}/heartbeat?uuid=u"));
    server.get(&format!(
        "{presence}/uuid/u/data?state=%7B%22n%22%3A1%7D&uuid=u"
    ));
    let one = json!({"uuids": ["u"], "occupancy": 1});
    let here = server.get(presence).json();
    assert_eq!(here["payload"]["channels"], json!({"a": one, "b": one}));
    let states = server.get(&format!("{presence}/uuid/u")).json();
    let states = &states["payload"]["channels"];
    assert_eq!(*states, json!({"a": {"n": 1}, "b": {"n": 1}}));
    server.get(&format!("{presence}/leave?uuid=u"));
    assert_eq!(server.get(presence).json()["payload"]["total_channels"], 0);
}

#[test]
fn history_of_a_list_is_that_of_each() {
    let kept = HistorySettings::default();
    let history = MemoryHistory::new(kept.rules().unwrap(), kept.memory_bytes_max);
    let server = Server::start(Server::compose::<PubNub>("").persistence(history));
    for channel in ["a", "b"] {
        server.get(&format!("/publish/demo/demo/0/{channel}/0/%22{channel}%22"));
    }
    let got = server.get("/v3/history/sub-key/demo/channel/a%2Cb").json();
    for channel in ["a", "b"] {
        assert_eq!(got["channels"][channel][0]["message"], channel, "{got}");
    }
    let counts = "/v3/history/sub-key/demo/message-counts/a%2Cb?timetoken=1";
    assert_eq!(
        server.get(counts).json()["channels"],
        json!({"a": 1, "b": 1})
    );
    let several = error(
        400,
        "History",
        "Name one channel here; no name has a comma.",
    );
    let one = "/v2/history/sub-key/demo/channel/a%2Cb";
    expect(&server, one, 400, &several);
    let actions = "/v1/message-actions/demo/channel/a%2Cb";
    expect(&server, actions, 400, &several);
}

/// Nobody could subscribe to it.
#[test]
fn no_name_has_a_comma() {
    let server = start();
    let publish = server.get("/publish/demo/demo/0/a%2Cb/0/1");
    expect_problem(&publish, 400, "Invalid Channel");
    let group = "/v1/channel-registration/sub-key/demo/channel-group/g%2Ch";
    let invalid = error(400, "channel-registry", "Invalid Channel Group");
    expect(&server, group, 400, &invalid);
}
