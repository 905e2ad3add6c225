//! The first version of subscribe, and JSONP: what small devices, old SDKs and scripts speak.

use polywire_pubnub::PubNub;
use polywire_testing::{
    Server,
    persistence::{HistorySettings, MemoryHistory},
};
use serde_json::{Value, json};

use crate::{check, error, expect, start};

/// A poll of the first version: its answer.
#[track_caller]
fn poll(server: &Server, names: &str, cursor: &str, query: &str) -> Value {
    let answer = server.get(&format!("/subscribe/demo/{names}/0/{cursor}?{query}"));
    check(&answer);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The cursor of a handshake, which has nothing else.
#[track_caller]
fn handshake(server: &Server, names: &str, query: &str) -> String {
    let first = poll(server, names, "0", query);
    assert_eq!(first[0], json!([]));
    let cursor = first[1].as_str().unwrap().to_owned();
    assert!(cursor.len() == 17 && cursor.bytes().all(|b| b.is_ascii_digit()));
    cursor
}

/// Publishes; the timetoken.
#[track_caller]
fn publish(server: &Server, channel: &str, message: &str) -> Value {
    let sent = server.get(&format!("/publish/demo/demo/0/{channel}/0/{message}"));
    assert_eq!(sent.status, 200, "{}", sent.text());
    sent.json()[2].clone()
}

#[test]
fn one_channel_has_its_messages_and_a_cursor() {
    let server = start();
    let cursor = handshake(&server, "c", "");
    publish(&server, "c", "%7B%22n%22%3A1%7D");
    let last = publish(&server, "c", "%22two%22");
    let got = poll(&server, "c", &cursor, "");
    assert_eq!(got, json!([[{"n": 1}, "two"], last]));
    // The next poll goes on there, and is held.
    let got = poll(&server, "c", last.as_str().unwrap(), "");
    assert_eq!((got.as_array().unwrap().len(), &got[0]), (2, &json!([])));
}

#[test]
fn several_channels_have_a_name_for_each_message() {
    let server = start();
    for list in ["a,b", "a%2Cb"] {
        let cursor = handshake(&server, list, "");
        publish(&server, "b", "1");
        publish(&server, "a", "2");
        let last = publish(&server, "b", "3");
        let got = poll(&server, list, &cursor, "");
        assert_eq!(got, json!([[1, 2, 3], last, "b,a,b"]));
    }
}

#[test]
fn groups_and_wildcards_have_what_was_subscribed_and_the_channel() {
    let server = start();
    let registry = "/v1/channel-registration/sub-key/demo/channel-group/g";
    assert_eq!(server.get(&format!("{registry}?add=one,two")).status, 200);
    let groups = "channel-group=g";
    let cursor = handshake(&server, ",", groups);
    let last = publish(&server, "two", "1");
    let got = poll(&server, ",", &cursor, groups);
    assert_eq!(got, json!([[1], last, "g", "two"]));
    let cursor = handshake(&server, "plain,w.*", groups);
    for channel in ["plain", "one"] {
        publish(&server, channel, "2");
    }
    let last = publish(&server, "w.x", "3");
    let got = poll(&server, "plain,w.*", &cursor, groups);
    assert_eq!(
        got,
        json!([[2, 2, 3], last, "plain,g,w.*", "plain,one,w.x"])
    );
}

#[test]
fn presence_events_come_by_the_name_of_presence() {
    let server = start();
    let cursor = handshake(&server, "c,c-pnpres", "uuid=ann&heartbeat=60");
    let got = poll(&server, "c,c-pnpres", &cursor, "uuid=ann");
    assert_eq!(
        (&got[0][0]["action"], &got[2]),
        (&json!("join"), &json!("c-pnpres"))
    );
    let here = server.get("/v2/presence/sub-key/demo/channel/c").json();
    assert_eq!(here["uuids"], json!(["ann"]));
}

/// Nothing would tell it from a message.
#[test]
fn message_actions_are_left_out() {
    let kept = HistorySettings::default();
    let history = MemoryHistory::new(kept.rules().unwrap(), kept.memory_bytes_max);
    let server = Server::start(Server::compose::<PubNub>("hold_secs = 1").persistence(history));
    let cursor = handshake(&server, "c", "");
    let message = publish(&server, "c", "1");
    let message = message.as_str().unwrap();
    let action = format!("/v1/message-actions/demo/channel/c/message/{message}?uuid=u");
    let body = json!({"type": "reaction", "value": "smile"}).to_string();
    assert_eq!(server.post(&action, body).status, 200);
    let got = poll(&server, "c", &cursor, "");
    assert_eq!(got[0], json!([1]));
    let got = poll(&server, "c", got[1].as_str().unwrap(), "");
    assert_eq!(got[0], json!([]));
    let counters = server.space().runtime().counters().all();
    let mut reasons = counters.iter().map(|counter| counter.reason());
    assert!(reasons.any(|reason| reason.contains("message action left out")));
}

#[test]
fn errors_are_those_of_the_second_version() {
    let server = start();
    let key = error(400, "Access Manager", "Invalid Subscribe Key");
    expect(&server, "/subscribe/x/c/0/0", 400, &key);
    let bad = |message| error(400, "Subscribe", message);
    for (rest, message) in [
        ("c/0/soon", "Invalid Timetoken"),
        ("%FF/0/0", "A channel name is not valid UTF-8."),
        (",/0/0", "Name at least one channel or channel group."),
    ] {
        expect(
            &server,
            &format!("/subscribe/demo/{rest}"),
            400,
            &bad(message),
        );
    }
    let missing =
        json!({"status": 404, "error": true, "message": "Not Found", "service": "Balancer"});
    for short in ["/subscribe/demo/c/0", "/subscribe/demo/c/0/0/0"] {
        expect(&server, short, 404, &missing);
    }
}

/// What a script of any site may read.
fn open() -> Server {
    Server::of::<PubNub>("hold_secs = 1\nallowed_origins = [\"*\"]")
}

#[track_caller]
fn called(server: &Server, target: &str, status: u16) -> Value {
    let answer = server.get(target);
    check(&answer);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    let body = text
        .strip_prefix("my.cb_1(")
        .and_then(|rest| rest.strip_suffix(')'));
    serde_json::from_str(body.unwrap_or_else(|| panic!("{text}"))).unwrap()
}

#[test]
fn a_callback_is_called_with_the_answer() {
    let server = open();
    let time = called(&server, "/time/my.cb_1", 200);
    assert!(time[0].is_u64());
    let first = called(&server, "/subscribe/demo/c/my.cb_1/0", 200);
    let sent = called(&server, "/publish/demo/demo/0/c/my.cb_1/%22hi%22", 200);
    assert_eq!((&sent[0], &sent[1]), (&json!(1), &json!("Sent")));
    let cursor = first[1].as_str().unwrap();
    let got = called(&server, &format!("/subscribe/demo/c/my.cb_1/{cursor}"), 200);
    assert_eq!(got, json!([["hi"], sent[2]]));
    let second = format!("/v2/subscribe/demo/c/my.cb_1?tt={cursor}");
    assert_eq!(called(&server, &second, 200)["m"][0]["d"], "hi");
    called(&server, "/signal/demo/demo/0/c/my.cb_1/1", 200);
    let wrong = called(&server, "/publish/x/demo/0/c/my.cb_1/1", 400);
    assert_eq!(wrong[1], "Invalid Key");
}

#[test]
fn a_callback_is_a_name_of_a_function() {
    let server = open();
    let invalid =
        "Invalid callback: use 0, or the name of a function in letters, digits, _, $ and dots.";
    let invalid = error(400, "Balancer", invalid);
    for name in ["alert(1)", "a%28", "1a", "-", &"x".repeat(200)] {
        expect(&server, &format!("/time/{name}"), 400, &invalid);
    }
}

/// A browser loads scripts of every site without saying which page asks.
#[test]
fn pages_that_may_not_use_the_app_get_no_script() {
    let server = start();
    for target in [
        "/time/cb",
        "/subscribe/demo/c/cb/0",
        "/v2/subscribe/demo/c/cb",
        "/publish/demo/demo/0/c/cb/1",
    ] {
        let answer = server.get(target);
        check(&answer);
        assert_eq!(answer.status, 403, "{target}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("allowed_origins"), "{message}");
    }
}
