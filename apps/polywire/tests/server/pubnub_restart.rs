//! PubNub's addresses where the program stops: what is held, and where a cursor goes on after a restart.

use serde_json::{Value, json};

use crate::support::{HttpConnection, Server, ServerOptions};

#[test]
fn a_poll_that_is_held_ends_when_the_server_stops() {
    let mut server = ServerOptions::new(&["--app", "pubnub"]).start();
    let mut poll = HttpConnection::open(server.address);
    poll.write(
        b"GET /v2/subscribe/demo/c/0?tt=17000000000000000&uuid=u HTTP/1.1\r\nHost: t\r\n\r\n",
    )
    .unwrap();
    // Its sign of life tells that it is there.
    crate::support::eventually("the poll is there", crate::support::SOON, || {
        let here = server.get("/v2/presence/sub-key/demo/channel/c").json();
        (here["occupancy"] == 1).then_some(())
    });
    server.process.signal("TERM");
    let answer = poll.answer(false);
    assert_eq!((answer.status, &answer.json()["m"]), (200, &json!([])));
    assert!(server.process.wait(crate::support::SOON).success());
}

#[test]
fn a_cursor_outlives_a_restart_where_messages_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--app",
        "pubnub",
        "--data-dir",
        folder.path().to_str().unwrap(),
    ];
    let config = "[apps.pubnub]\nhold_secs = 1\n";
    let server = ServerOptions::new(&args).config(config).start();
    let sent = |server: &Server, message: &str| {
        let sent = server
            .get(&format!("/publish/demo/demo/0/c/0/{message}"))
            .json();
        sent[2].as_str().unwrap().to_owned()
    };
    let cursor = sent(&server, "1");
    sent(&server, "2");
    server.process.signal("TERM");
    drop(server);

    let server = ServerOptions::new(&args).config(config).start();
    // A first cursor is behind all that was.
    let first = server.get("/v2/subscribe/demo/c/0").json();
    let first = first["t"]["t"].as_str().unwrap().to_owned();
    let poll = |cursor: &str| {
        let got = server
            .get(&format!("/v2/subscribe/demo/c/0?tt={cursor}"))
            .json();
        let got = got["m"].as_array().unwrap().iter().map(|m| m["d"].clone());
        got.collect::<Vec<_>>()
    };
    assert_eq!(poll(&first), Vec::<Value>::new());
    sent(&server, "3");
    assert_eq!(poll(&first), [3]);
    // An old one goes on where it was.
    assert_eq!(poll(&cursor), [2, 3]);
}

/// What a poller gets of whole numbers, until it is as many.
#[track_caller]
fn poll_numbers(server: &Server, names: &str, mut cursor: String, count: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let target = format!("/v2/subscribe/sub/{names}/0?tt={cursor}&tr=1");
        let answer = server.get(&target).json();
        cursor = answer["t"]["t"].as_str().unwrap().to_owned();
        let messages = answer["m"].as_array().unwrap();
        assert!(!messages.is_empty(), "only {} of {count}", seen.len());
        seen.extend(
            messages
                .iter()
                .map(|message| message["d"].as_u64().unwrap()),
        );
    }
    seen
}

#[test]
fn a_poller_gets_all_of_a_long_history_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        ServerOptions::new(&["--data-dir", folder.path().to_str().unwrap()])
            .config(
                "[apps.pubnub]\nhold_secs = 1\n[[apps.pubnub.key_sets]]\npublish_key = \"pub\"\n\
                 subscribe_key = \"sub\"\n",
            )
            .start()
    };
    let first = start();
    let cursor = first.get("/v2/subscribe/sub/a.1/0?tt=0").json();
    let cursor = cursor["t"]["t"].as_str().unwrap().to_owned();
    for number in 0..250 {
        let target = format!("/publish/pub/sub/0/a.{}/0/{number}", number % 3);
        assert_eq!(first.get(&target).status, 200);
    }
    drop(first);
    let server = start();
    let all: Vec<u64> = (0..250).collect();
    let names = "a.0,a.1,a.2";
    assert_eq!(poll_numbers(&server, names, cursor.clone(), 250), all);
    let third: Vec<u64> = (0..250).step_by(3).collect();
    assert_eq!(
        poll_numbers(&server, "a.0", cursor.clone(), third.len()),
        third
    );
    // By a wildcard too, though nobody has said the names of the channels.
    assert_eq!(poll_numbers(&server, "a.*", cursor, 250), all);
}
