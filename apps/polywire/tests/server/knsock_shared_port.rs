//! kn-sock from raw sockets, on the port that all protocols share and by the configuration of the program.

use serde_json::json;

use crate::support::{LineSocket, SOON, Server, ServerOptions, eventually};

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
fn an_idle_subscriber_of_a_shared_port_stays() {
    // Longer than the time in which HTTP clients and first bytes must come.
    let server = ServerOptions::new(&[])
        .config("[limits]\nheader_secs = 1\nkeep_alive_secs = 1\n")
        .start();
    let mut idle = LineSocket::subscribed(server.address, "t");
    let mut silent = LineSocket::open(server.address);
    // The clock of the test: a connection that says nothing that is known is closed at the limit, three times over.
    for _ in 0..3 {
        let mut unknown = LineSocket::open(server.address);
        unknown.write("~");
        unknown.expect_close();
    }
    silent.publish("t", "still there?");
    idle.expect("t", "still there?");
}

#[test]
fn of_too_many_silent_connections_the_oldest_is_closed() {
    let server = ServerOptions::new(&[])
        .config("[limits]\nheader_secs = 1\nsilent_connections_per_address_max = 2\n")
        .start();
    let mut subscriber = LineSocket::subscribed(server.address, "t");
    let mut silent: Vec<_> = (0..3).map(|_| LineSocket::open(server.address)).collect();
    // They are accepted in order, and served at once: which of them comes to be the oldest is not sure.
    let is_open = |client: &LineSocket| {
        let mut byte = [0];
        client.tcp().set_nonblocking(true).unwrap();
        let peeked = client.tcp().peek(&mut byte);
        client.tcp().set_nonblocking(false).unwrap();
        peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    eventually("one is closed", SOON, || {
        silent.iter().any(|client| !is_open(client)).then_some(())
    });
    silent.retain(is_open);
    assert_eq!(silent.len(), 2);
    for client in &mut silent {
        client.publish("t", "late");
        subscriber.expect("t", "late");
    }
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
