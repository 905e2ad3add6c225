//! kn-sock from raw sockets: what a bad, slow or vanishing client does to itself and to others.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    io::{ErrorKind, Write},
    net::Shutdown,
    sync::Arc,
    time::{Duration, Instant},
};

use polywire_core::{Counter, Limits};
use polywire_knsock::KnSock;
use polywire_testing::{
    Nodes, SOON, Server,
    auth::{ApiKey, ApiKeySettings},
    peers::LineSocket,
};
use serde_json::json;

/// In memory, everybody may do everything.
fn server() -> Server {
    Server::of::<KnSock>("")
}

#[test]
fn bad_lines_are_ignored_and_the_connection_lives() {
    let server = server();
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let deep = "[".repeat(100_000);
    let nested = format!(r#"{{"action":"publish","topic":"t","message":{deep}}}"#);
    for line in [
        "",
        "  \r",
        "{",
        "hello",
        "[]",
        "5",
        "null",
        "\"text\"",
        "{}",
        r#"{"topic":"t","message":"x"}"#,
        r#"{"action":null,"topic":"t","message":"x"}"#,
        r#"{"action":["publish"],"topic":"t","message":"x"}"#,
        r#"{"action":"shout","topic":"t","message":"x"}"#,
        r#"{"action":"publish","message":"x"}"#,
        r#"{"action":"publish","topic":null,"message":"x"}"#,
        r#"{"action":"publish","topic":7,"message":"x"}"#,
        r#"{"action":"publish","topic":true,"message":"x"}"#,
        r#"{"action":"publish","topic":["t"],"message":"x"}"#,
        r#"{"action":"publish","topic":{"t":1},"message":"x"}"#,
        r#"{"action":"subscribe","topic":""}"#,
        r#"{"action":"publish","topic":"t","message":NaN}"#,
        r#"{"action":"publish","topic":"t","message":-Infinity}"#,
        r#"{"action":"publish","topic":"\ud800","message":"x"}"#,
        r#"{"action":"publish","topic":"t","message":1e999}"#,
        &deep,
        &nested,
    ] {
        let mut client = LineSocket::open(server.address);
        // A shared port tells kn-sock from others by its first line.
        client.expect_silence();
        client.write(format!("{line}\n"));
        client.expect_silence();
    }
    let mut client = LineSocket::open(server.address);
    client.expect_silence();
    client.write(b"{\"action\":\"publish\",\"topic\":\"t\",\"message\":\"\xff\"}\n");
    client.expect_silence();
    watcher.expect_silence();
}

#[test]
fn who_guesses_has_to_wait_and_who_is_known_has_not() {
    let policy = ApiKey::from(&ApiKeySettings::default());
    let builder = Server::compose::<KnSock>("authenticate = true").authentication(policy);
    let server = Server::start(builder);
    let open = |token: &str| {
        let mut client = LineSocket::open(server.address);
        client.write(format!("{}\n", json!({"action": "auth", "token": token})));
        client
    };
    let is_known = || {
        let mut client = open("secret");
        client.subscribe("t");
        client.publish("t", "x");
        client.expect("t", "x");
    };
    let not_judged = || {
        let counters = server.space().runtime().counters().all();
        let of = |counter: &&Arc<Counter>| counter.reason().contains("not judged");
        counters
            .iter()
            .find(of)
            .map_or(0, |counter| counter.count())
    };
    is_known();
    for guess in 0..10 {
        open(&format!("guess-{guess}")).expect_close();
    }
    assert_eq!(not_judged(), 0);
    open("another").expect_close();
    assert_eq!(not_judged(), 1);
    is_known();
}

#[test]
fn white_space_and_more_fields_are_no_mistake() {
    let server = server();
    let mut client = LineSocket::open(server.address);
    client.write(
        " \r\n\n\t { \"topic\" : \"t\" , \"action\" : \"subscribe\" , \"more\" : [1] } \r\n",
    );
    client.write("{\"action\":\"publish\",\"topic\":\"t\",\"message\":\"caf\u{e9}\"}\r\n");
    client.expect("t", "café");
}

#[test]
fn a_line_may_come_in_pieces_and_counts_when_it_is_whole() {
    let server = server();
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let mut client = LineSocket::open(server.address);
    for byte in br#"{"action":"publish","topic":"t","message":"slow"}"# {
        client.write([*byte]);
    }
    watcher.expect_silence();
    client.write("\n");
    watcher.expect("t", "slow");

    client.write(r#"{"action":"publish","topic":"t","message":"never ended"}"#);
    drop(client);
    watcher.expect_silence();
}

#[test]
fn whoever_stops_sending_leaves() {
    let server = server();
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let mut client = LineSocket::open(server.address);
    client.publish("t", "last");
    client.tcp().shutdown(Shutdown::Write).unwrap();
    watcher.expect("t", "last");
    client.expect_close();
}

#[test]
fn a_line_without_end_is_cut_off_and_never_delivered() {
    let server = server();
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let mut client = LineSocket::open(server.address);
    let head = r#"{"action":"publish","topic":"t","message":""#;
    client.write(head);
    let result = (0..64).try_for_each(|_| client.tcp().write_all(&vec![b'x'; 64 << 10]));
    let tail = result.and_then(|()| client.tcp().write_all(b"\"}\n"));
    if let Err(error) = tail {
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{error}"
        );
    }
    client.expect_close();
    watcher.expect_silence();
    // Long, but within the limit.
    let mut client = LineSocket::open(server.address);
    let text = "y".repeat(500_000);
    client.publish("t", text.as_str());
    watcher.expect("t", text.as_str());
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_and_others_go_on() {
    let limits = Limits {
        outbound_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let server = Server::start(Server::compose::<KnSock>("").limits(limits));
    let mut reader = LineSocket::subscribed(server.address, "flood");
    let slow = LineSocket::subscribed(server.address, "flood");
    let mut publisher = LineSocket::open(server.address);
    let text = "z".repeat(100_000);
    // More than socket buffers and the queue hold.
    for number in 0..300 {
        publisher.publish("flood", json!([number, text]));
        reader.expect("flood", json!([number, text]));
    }
    publisher.expect_silence();
    let mut slow = slow;
    let whole = (0..).take_while(|_| slow.is_line_next()).count();
    assert!(whole < 300, "all {whole} lines were kept for it");
}

#[test]
fn a_reset_takes_the_subscriber_away() {
    let server = server();
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let client = LineSocket::subscribed(server.address, "t");
    let handle = socket2::SockRef::from(client.tcp());
    handle.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    for number in 0..100 {
        watcher.publish("t", number);
        watcher.expect("t", number);
    }
}

#[test]
fn many_bad_lines_end_a_connection_and_nothing_else() {
    let server = server();
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let mut client = LineSocket::subscribed(server.address, "t");
    client.write("{bad\n".repeat(100));
    client.expect_close();
    watcher.publish("t", "on");
    watcher.expect("t", "on");
}

#[test]
fn where_no_token_is_asked_for_one_does_no_harm() {
    let server = server();
    let mut client = LineSocket::open(server.address);
    client.send(&json!({"action": "auth", "token": "whatever"}));
    client.expect_silence();
}

#[test]
fn a_line_that_dribbles_ends_its_connection_and_no_other() {
    let limits = Limits {
        body_secs: 1,
        ..Limits::default()
    };
    let server = Server::start(Server::compose::<KnSock>("").limits(limits));
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let slow = LineSocket::subscribed(server.address, "t");
    let mut slow = slow.tcp().try_clone().unwrap();
    slow.write_all(b"{\"action\":\"publish\",\"message\":\"")
        .unwrap();
    let began = Instant::now();
    // A closed socket refuses what is written soon after.
    while slow.write_all(b"x").is_ok() {
        assert!(began.elapsed() < SOON, "still open");
        watcher.publish("t", "lives");
        watcher.expect("t", "lives");
        std::thread::park_timeout(Duration::from_millis(100));
    }
    watcher.expect_silence();
}

#[test]
fn a_client_whose_messages_are_lost_is_disconnected_where_that_is_configured() {
    for (settings, closes) in [("close_on_gap = \"always\"", true), ("", false)] {
        let nodes = Nodes::default();
        let (here, there) = (
            nodes.start::<KnSock>(settings),
            nodes.start::<KnSock>(settings),
        );
        let mut ann = LineSocket::subscribed(here.address, "t");
        let mut bob = LineSocket::subscribed(here.address, "other");
        nodes.miss(&here, &there, "t");
        if closes {
            ann.expect_close();
        } else {
            there.publish_within("t", &json!(1));
            ann.expect("t", 1);
        }
        there.publish_within("other", &json!(2));
        bob.expect("other", 2);
    }
}
