//! kn-sock from raw sockets: what a bad, slow or vanishing client does to itself and to others.

use std::{
    io::{ErrorKind, Write},
    net::Shutdown,
};

use serde_json::json;

use crate::support::{LineSocket, SOON, Server, ServerOptions, eventually};

#[test]
fn bad_lines_are_ignored_and_the_connection_lives() {
    let server = Server::start(&[]);
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
        r#"{"action":"publish","topic":"t","message":"\ud800"}"#,
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
fn white_space_and_more_fields_are_no_mistake() {
    let server = Server::start(&[]);
    let mut client = LineSocket::open(server.address);
    client.write(
        " \r\n\n\t { \"topic\" : \"t\" , \"action\" : \"subscribe\" , \"more\" : [1] } \r\n",
    );
    client.write("{\"action\":\"publish\",\"topic\":\"t\",\"message\":\"caf\u{e9}\"}\r\n");
    client.expect("t", "café");
}

#[test]
fn a_line_may_come_in_pieces_and_counts_when_it_is_whole() {
    let server = Server::start(&[]);
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
    let server = Server::start(&[]);
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let mut client = LineSocket::open(server.address);
    client.publish("t", "last");
    client.tcp().shutdown(Shutdown::Write).unwrap();
    watcher.expect("t", "last");
    client.expect_close();
}

#[test]
fn a_line_without_end_is_cut_off_and_never_delivered() {
    let server = Server::start(&[]);
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
    let server = ServerOptions::new(&[])
        .config("[limits]\noutbound_bytes_max = 1048576\n")
        .start();
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
fn a_thousand_connect_at_once() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..1000)
        .map(|_| LineSocket::open(server.address))
        .collect();
    for client in &mut clients {
        client.subscribe("crowd");
    }
    for client in &mut clients {
        client.expect_silence();
    }
    clients[0].publish("crowd", "hello");
    for client in &mut clients {
        client.expect("crowd", "hello");
    }
}

#[test]
fn a_reset_takes_the_subscriber_away() {
    let server = Server::start(&["--debug"]);
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
fn an_idle_subscriber_of_a_shared_port_stays() {
    // Longer than the time in which HTTP clients and first bytes must come.
    let server = ServerOptions::new(&[])
        .config("[limits]\nheader_secs = 1\nkeep_alive_secs = 1\n")
        .start();
    let mut idle = LineSocket::subscribed(server.address, "t");
    // The clock of the test: a connection that says nothing is closed at the limit, three times over.
    for _ in 0..3 {
        LineSocket::open(server.address).expect_close();
    }
    LineSocket::open(server.address).publish("t", "still there?");
    idle.expect("t", "still there?");
}

#[test]
fn many_bad_lines_end_a_connection_and_nothing_else() {
    let server = Server::start(&[]);
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let mut client = LineSocket::subscribed(server.address, "t");
    client.write("{bad\n".repeat(100));
    client.expect_close();
    watcher.publish("t", "on");
    watcher.expect("t", "on");
}

#[test]
fn a_token_in_the_first_line_lets_in_where_it_is_asked_for() {
    let server = ServerOptions::new(&["--auth", "api-key"])
        .config("[api_key]\nkey_name = \"k\"\nkey_secret_value = \"s3cr3t &\"\n[apps.knsock]\nauthenticate = true\n")
        .env("POLYWIRE_LOG", "trace")
        .start();
    let mut ann = LineSocket::open(server.address);
    ann.write("\n{\"action\":\"auth\",");
    ann.write("\"token\":\"s3cr3t &\"}\n");
    ann.expect_silence();
    for first in [
        json!({"action": "auth", "token": "wrong"}),
        json!({"action": "auth", "token": 7}),
        json!({"action": "auth"}),
        json!({"action": "subscribe", "topic": "t"}),
        json!({"action": "publish", "topic": "t", "message": "s3cr3t &"}),
    ] {
        let mut refused = LineSocket::open(server.address);
        refused.send(&first);
        refused.expect_close();
    }
    ann.expect_silence();
    let log = eventually("a log", SOON, || Some(server.process.stderr()));
    assert!(!log.contains("s3cr3t"), "{log}");
}

#[test]
fn where_no_token_is_asked_for_one_does_no_harm() {
    let server = Server::start(&[]);
    let mut client = LineSocket::open(server.address);
    client.send(&json!({"action": "auth", "token": "whatever"}));
    client.expect_silence();
}
