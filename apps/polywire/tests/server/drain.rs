//! How the program stops: readiness, the words of each protocol, in turn, and at once.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    HttpConnection, LineSocket, SOON, Server, ServerOptions, WebSocketClient,
    azure::{AZURE_KEY, AzureClient, JSON, RELIABLE_JSON},
    eventually,
};

/// CONNECT and CONNACK of version 5.
const CONNECT_5: &[u8] = b"\x10\x0f\0\x04MQTT\x05\x02\0\0\0\0\x02m5";

/// The reason "server shutting down".
const SHUTTING_DOWN: u8 = 0x8b;

fn mqtt_5(server: &Server) -> TcpStream {
    let mut client = TcpStream::connect(server.address).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    client.write_all(CONNECT_5).unwrap();
    let mut head = [0; 2];
    client.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x20, "CONNACK");
    let mut rest = vec![0; head[1].into()];
    client.read_exact(&mut rest).unwrap();
    client
}

fn is_ready(server: &Server) -> bool {
    server.get("/health/ready").status == 200
}

#[test]
fn each_client_is_told_in_the_words_of_its_protocol() {
    let config = format!("[apps.webpubsub]\naccess_key = \"{AZURE_KEY}\"\n");
    let mut server = ServerOptions::new(&[]).config(&config).start();
    assert!(is_ready(&server));
    let mut azure = [JSON, RELIABLE_JSON]
        .map(|subprotocol| AzureClient::open(server.address, subprotocol, &json!({})).0);
    let mut mqtt = mqtt_5(&server);
    let mut page = WebSocketClient::open(server.address, "/connect/websocket");
    let mut lines = LineSocket::subscribed(server.address, "news");
    let cursor = "17000000000000000";
    let mut poll = HttpConnection::open(server.address);
    let target = format!("/v2/subscribe/demo/c/0?tt={cursor}&uuid=u");
    poll.write(format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes())
        .unwrap();
    let mut idle = HttpConnection::open(server.address);
    assert_eq!(idle.request("GET", "/health/live", &[], None).status, 200);
    eventually("the poll is there", SOON, || {
        let here = server.get("/v2/presence/sub-key/demo/channel/c").json();
        (here["occupancy"] == 1).then_some(())
    });

    server.process.signal("TERM");
    assert_eq!(azure.each_mut().map(AzureClient::closed), [1012, 1012]);
    let mut rest = Vec::new();
    mqtt.read_to_end(&mut rest).unwrap();
    assert_eq!((rest[0], rest[2]), (0xe0, SHUTTING_DOWN), "{rest:?}");
    assert_eq!(rest.len(), 2 + usize::from(rest[1]), "nothing follows");
    assert_eq!(page.expect_close(SOON), (3000, "Go away!".into()));
    lines.expect_close();
    let answer = poll.answer(false);
    assert_eq!((answer.status, &answer.json()["m"]), (200, &json!([])));
    assert_eq!(
        answer.json()["t"]["t"],
        cursor,
        "it goes on from here elsewhere"
    );
    assert!(poll.is_closed_by_server() && idle.is_closed_by_server());
    assert!(server.process.wait(SOON).success());
}

/// Whoever is sent away first is so long before the last; nobody new is let in meanwhile.
#[test]
fn clients_go_one_after_the_other() {
    let config = "[shutdown]\nready_secs = 1\ndrain_secs = 2\n";
    let mut server = ServerOptions::new(&[]).config(config).start();
    let mut clients: Vec<_> = (0..150)
        .map(|_| WebSocketClient::open(server.address, "/connect/websocket"))
        .collect();
    server.process.signal("TERM");
    eventually("it says that it stops", SOON, || {
        (!is_ready(&server)).then_some(())
    });
    // Balancers need a moment to hear of it.
    drop(WebSocketClient::open(server.address, "/connect/websocket"));
    let began = Instant::now();
    // Which one goes when is not said.
    let ends: Vec<Duration> = std::thread::scope(|scope| {
        let waiting: Vec<_> = (clients.iter_mut())
            .map(|client| {
                scope.spawn(move || {
                    assert_eq!(client.expect_close(SOON).0, 3000);
                    began.elapsed()
                })
            })
            .collect();
        waiting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (first, last) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
    assert!(
        *last - *first > Duration::from_secs(1),
        "{first:?} {last:?}"
    );
    assert!(server.process.wait(SOON).success());
}

#[test]
fn a_second_signal_or_one_of_a_terminal_stops_at_once() {
    for signals in [&["TERM", "TERM"][..], &["TERM", "INT"], &["INT"]] {
        let config = "[shutdown]\nready_secs = 3600\n";
        let mut server = ServerOptions::new(&[]).config(config).start();
        let mut client = WebSocketClient::open(server.address, "/connect/websocket");
        let (last, before) = signals.split_last().unwrap();
        for signal in before {
            server.process.signal(signal);
            eventually("it says that it stops", SOON, || {
                (!is_ready(&server)).then_some(())
            });
        }
        server.process.signal(last);
        assert_eq!(client.expect_close(SOON), (3000, "Go away!".into()));
        assert!(server.process.wait(SOON).success(), "{signals:?}");
    }
}

#[test]
fn an_operator_drains_a_node_by_http() {
    let config = "[shutdown]\nready_secs = 3600\n";
    let mut waiting = ServerOptions::new(&[]).config(config).start();
    let drain = |server: &Server| {
        let mut operator = HttpConnection::open(server.address);
        let answer = operator.request("POST", "/admin/drain", &[], None);
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    drain(&waiting);
    let not_ready = eventually("it says that it stops", SOON, || {
        let answer = waiting.get("/health/ready");
        (answer.status == 503).then_some(answer)
    });
    let reason = "The server stops; connect to another one.";
    assert_eq!(
        not_ready.json(),
        json!({"status": "stopping", "reason": reason})
    );
    assert_eq!(waiting.get("/health/live").status, 200);
    waiting.process.signal("INT");
    assert!(waiting.process.wait(SOON).success());

    let mut server = Server::start(&[]);
    let mut client = WebSocketClient::open(server.address, "/connect/websocket");
    drain(&server);
    assert_eq!(client.expect_close(SOON), (3000, "Go away!".into()));
    assert!(server.process.wait(SOON).success());
}

/// A node alone, which keeps messages on disk: what was not acknowledged, and what is published before its client comes, comes.
#[test]
fn a_reliable_connection_outlives_a_restart_on_a_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("[apps.webpubsub]\naccess_key = \"{AZURE_KEY}\"\n");
    let start = || {
        let args = ["--data-dir", folder.path().to_str().unwrap()];
        ServerOptions::new(&args).config(&config).start()
    };
    let publish = |server: &Server, data: &str| {
        let target = format!("/publish/demo/demo/0/room/0/%22{data}%22");
        assert_eq!(server.get(&target).status, 200);
    };
    let mut server = start();
    let claims = json!({"sub": "ann", "webpubsub.group": ["room"]});
    let (mut client, hello) = AzureClient::open(server.address, RELIABLE_JSON, &claims);
    let text = |name: &str| hello[name].as_str().unwrap().to_owned();
    let (id, token) = (text("connectionId"), text("reconnectionToken"));
    client.done(&json!({"type": "joinGroup", "group": "other", "ackId": 7}));
    for data in ["acknowledged", "kept"] {
        publish(&server, data);
        assert_eq!(client.receive()["data"], data);
    }
    client.send(&json!({"type": "sequenceAck", "sequenceId": 1}));
    client.settled();
    for signal in ["TERM", "INT"] {
        server.process.signal(signal);
        assert_eq!(client.closed(), 1012);
        assert!(server.process.wait(SOON).success());
        server = start();
        publish(&server, signal);
        client = AzureClient::recover(server.address, &id, &token);
        assert_eq!(client.receive()["connectionId"], id);
        let mut expected = vec![("kept", 2), ("TERM", 3)];
        if signal == "INT" {
            expected.push(("INT", 4));
        }
        for (data, number) in expected {
            let message = client.receive();
            assert_eq!(message["data"], data, "{message}");
            assert_eq!(message["sequenceId"], number, "{message}");
        }
        let again = json!({"type": "joinGroup", "group": "other", "ackId": 7});
        assert_eq!(client.fails(&again), "Duplicate");
    }
    // It is not there twice: after a crash its client is told.
    server.process.signal("KILL");
    server.process.wait(SOON);
    server = start();
    let mut refused = AzureClient::recover(server.address, &id, &token);
    assert_eq!(refused.closed(), 1008);
}
