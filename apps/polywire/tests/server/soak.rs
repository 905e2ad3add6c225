//! Clients that come and go leave nothing behind.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use serde_json::json;
use socket2::SockRef;
use tungstenite::Message;

use crate::support::{SOON, Server, WebSocketClient, eventually, eventually_equal};

const MIB: u64 = 1 << 20;

/// Clients that are there at the same time.
const AT_ONCE: usize = 8;

/// Ends a connection at once, so that its port is free again: 100,000 in TIME_WAIT would be more than
/// there are.
fn reset(stream: &TcpStream) {
    SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

/// Connects over kn-sock, subscribes, and goes when a message proves the subscription.
fn come_and_go(address: SocketAddr, topic: &str) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    reset(&stream);
    let lines = format!(
        "{{\"action\":\"subscribe\",\"topic\":\"{topic}\"}}\n\
         {{\"action\":\"publish\",\"topic\":\"{topic}\",\"message\":1}}\n"
    );
    (&stream).write_all(lines.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::with_capacity(256, &stream)
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, format!("{{\"topic\":\"{topic}\",\"message\":1}}\n"));
}

/// The same over a WebSocket, with an identity; every other client says goodbye.
fn come_and_go_by_websocket(address: SocketAddr, number: usize) {
    let mut client = WebSocketClient::open(address, "/connect/websocket");
    reset(client.socket.get_ref());
    client.send(&json!({"type": "connect", "subscriber_id": format!("client {number}")}));
    client.join(&format!("room {number}"));
    if number.is_multiple_of(2) {
        client.socket.close(None).unwrap();
        while !matches!(client.socket.read(), Ok(Message::Close(_)) | Err(_)) {}
    }
}

/// Runs `client` for the numbers from `first` on, some at once.
fn crowd(first: usize, count: usize, client: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for offset in 0..AT_ONCE {
            let client = &client;
            scope.spawn(move || {
                let numbers = first + offset..first + count;
                numbers.step_by(AT_ONCE).for_each(client);
            });
        }
    });
}

#[test]
fn what_a_hundred_thousand_clients_took_is_given_back() {
    let server = Server::start(&["--debug", "--persistence", "none"]);
    let address = server.address;
    let lines = |first, count| {
        crowd(first, count, |number| {
            come_and_go(address, &format!("topic {number}"));
        });
    };
    let websockets = |first, count| {
        crowd(first, count, |number| {
            come_and_go_by_websocket(address, number);
        });
    };
    // What the first clients take stays: buffers of the threads, and tables that have grown.
    lines(0, 5_000);
    websockets(0, 500);
    let nobody = json!({"subscribers": {}, "subscriber_count": 0});
    eventually_equal(&nobody, || server.debug());
    let descriptors = server.process.descriptors();
    let memory = server.process.resident_bytes();

    lines(5_000, 95_000);
    websockets(500, 4_500);

    eventually_equal(&nobody, || server.debug());
    eventually("all descriptors are closed", SOON, || {
        (server.process.descriptors() <= descriptors).then_some(())
    });
    // 21 bytes for each client: a leak of anything would be several times as much.
    eventually("the memory is free again", SOON, || {
        (server.process.resident_bytes() < memory + 2 * MIB).then_some(())
    });
    let grown = server.process.resident_bytes().saturating_sub(memory);
    println!("grown by {} KiB from {} KiB", grown >> 10, memory >> 10);
    server.publish("/api/channels/room/", &json!({"still": "here"}));
}
