//! Azure Web PubSub: the frames of the JSON subprotocols, one by one.

use std::time::{Duration, Instant};

use polywire_core::Limits;
use polywire_testing::{
    SOON, Server, eventually,
    peers::azure::{AZURE_KEY, AzureClient, JSON, RELIABLE_JSON, client_path, service},
};
use polywire_webpubsub::WebPubSub;
use serde_json::{Value, json};
use tungstenite::Message;

use crate::server;

/// How long an answer is held at least for a client that would lose it.
const HELD: Duration = Duration::from_millis(10);

fn open(server: &Server, subprotocol: &str) -> AzureClient {
    AzureClient::open(server.address, subprotocol, &json!({"sub": "ann"})).0
}

#[test]
fn the_first_offer_that_is_spoken_is_taken_and_echoed() {
    let server = server();
    let open = |offers: &str| {
        let path = client_path(&json!({}));
        AzureClient::try_open(server.address, &path, offers, &[]).unwrap()
    };
    for (offers, chosen) in [
        ("json.webpubsub.azure.v1", Some(JSON)),
        (
            "json.webpubsub.azure.v1, json.reliable.webpubsub.azure.v1",
            Some(JSON),
        ),
        (
            "mqtt, json.reliable.webpubsub.azure.v1,json.webpubsub.azure.v1",
            Some(RELIABLE_JSON),
        ),
        ("JSON.WebPubSub.Azure.V1", Some("JSON.WebPubSub.Azure.V1")),
        ("", None),
    ] {
        let mut client = open(offers);
        // As it was offered.
        assert_eq!(client.subprotocol.as_deref(), chosen, "{offers}");
        if let Some(chosen) = chosen {
            let hello = client.receive();
            let has_token = hello.get("reconnectionToken").is_some();
            assert_eq!(has_token, chosen == RELIABLE_JSON, "{offers}");
        }
    }
    // With offers that are not known a client is a simple one, and is told of none.
    let handshake = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("Sec-WebSocket-Protocol", "mine, yours"),
    ];
    let answer = server.request("GET", &client_path(&json!({})), &handshake, None);
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-protocol"), None);
}

#[test]
fn every_request_with_an_id_is_answered_once_and_others_never() {
    let server = server();
    for subprotocol in [JSON, RELIABLE_JSON] {
        let mut client = open(&server, subprotocol);
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": u64::MAX, "x": [1]}));
        client.done(&json!({"ackId": 0, "group": "g", "type": "leaveGroup"}));
        // Not a member any more, and may send and leave all the same.
        client.done(&json!({"type": "sendToGroup", "group": "g", "ackId": 7, "data": {}}));
        client.done(&json!({"type": "leaveGroup", "group": "g", "ackId": 8}));
        for id in [1, 7, 8] {
            let again = json!({"type": "joinGroup", "group": "g", "ackId": id});
            assert_eq!(client.fails(&again), "Duplicate", "{id}");
        }
        let event =
            json!({"type": "event", "event": "e", "ackId": 9, "dataType": "text", "data": "x"});
        assert_eq!(client.fails(&event), "InvocationFailed");
        // It failed, so the id is free.
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 9}));
        for silent in [
            json!({"type": "joinGroup", "group": "h"}),
            json!({"type": "leaveGroup", "group": "h"}),
            json!({"type": "sendToGroup", "group": "h", "data": 1}),
            json!({"type": "sendToGroup", "group": " ", "data": 1}),
            json!({"type": "event", "event": "e", "data": 1}),
            json!({"type": "sequenceAck", "sequenceId": 99}),
            json!({"type": "sequenceAck", "sequenceId": "0"}),
            json!({"type": "pong"}),
            json!({"type": "cancelled", "reason": 1}),
        ] {
            client.send(&silent);
        }
        client.settled();
    }
}

#[test]
fn what_is_not_served_is_refused_without_closing() {
    let server = server();
    let mut client = open(&server, JSON);
    let unknown = json!({"type": "frobnicate", "ackId": 1});
    assert_eq!(client.fails(&unknown), "BadRequest");
    let groups = [String::new(), "  ".into(), "\u{e9}".repeat(1025)];
    for group in groups {
        for kind in ["joinGroup", "leaveGroup", "sendToGroup"] {
            let frame = json!({"type": kind, "group": group, "ackId": 1});
            assert_eq!(client.fails(&frame), "BadRequest", "{kind} {}", group.len());
        }
    }
    // The SDK asks for no ack, and waits for this.
    for stream in [
        json!({"type": "sendToGroup", "group": "g", "stream": {"streamId": "s"}}),
        json!({"type": "streamData", "streamId": "s", "streamSequenceId": 1, "data": 1}),
        json!({"type": "streamEnd", "streamId": "s"}),
    ] {
        client.send(&stream);
        client.send(&json!({"type": "ping"}));
        let closed = client.receive();
        assert_eq!(
            (
                &closed["type"],
                &closed["streamId"],
                &closed["error"]["name"]
            ),
            (&json!("streamClosed"), &json!("s"), &json!("NotSupported")),
            "{closed}"
        );
        assert_eq!(client.receive(), json!({"type": "pong"}));
    }
    let stream =
        json!({"type": "sendToGroup", "group": "g", "ackId": 1, "stream": {"streamId": "s"}});
    assert_eq!(client.fails(&stream), "BadRequest");
    assert_eq!(client.receive()["type"], "streamClosed");
    for half in [
        r#"{"type":"sendToGroup","group":"g","ackId":1,"dataType":"text","data":"\ud83d"}"#,
        r#"{"type":"joinGroup","group":"\ud83d","ackId":1}"#,
    ] {
        client.send_text(half);
        let answer = client.receive();
        assert_eq!(
            (&answer["ackId"], &answer["error"]["name"]),
            (&json!(1), &json!("BadRequest")),
            "{answer}"
        );
    }
    let deep = "[".repeat(70) + &"]".repeat(70);
    client.send_text(&format!(
        r#"{{"type":"sendToGroup","group":"g","ackId":1,"data":{deep}}}"#
    ));
    assert_eq!(client.receive()["error"]["name"], "BadRequest");
    let invocation =
        json!({"type": "invoke", "invocationId": "i", "target": "event", "event": "e"});
    client.send(&invocation);
    let answer = client.receive();
    assert_eq!(
        (&answer["type"], &answer["invocationId"], &answer["success"]),
        (&json!("invokeResponse"), &json!("i"), &json!(false))
    );
    assert!(answer["error"]["name"].is_string() && answer["error"]["message"].is_string());
    client.done(&json!({"type": "joinGroup", "group": "x".repeat(1024), "ackId": 1}));
}

#[test]
fn frames_that_are_none_end_their_connection_only() {
    let server = server();
    let mut other = open(&server, JSON);
    other.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
    for bad in [
        "",
        "x",
        "[]",
        "7",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"joinGroup"}"#,
        r#"{"type":"joinGroup","group":7}"#,
        r#"{"type":"leaveGroup"}"#,
        r#"{"type":"sendToGroup","data":1}"#,
        r#"{"type":"sendToGroup","group":"g","noEcho":"yes","data":1}"#,
        r#"{"type":"sendToGroup","group":"g","dataType":"yaml","data":1}"#,
        r#"{"type":"sendToGroup","group":"g","dataType":7,"data":1}"#,
        r#"{"type":"sendToGroup","group":"g","dataType":"text","data":{"a":1}}"#,
        r#"{"type":"sendToGroup","group":"g","dataType":"text"}"#,
        r#"{"type":"sendToGroup","group":"g","dataType":"binary","data":"AA"}"#,
        r#"{"type":"sendToGroup","group":"g","dataType":"binary","data":7}"#,
        r#"{"type":"sendToGroup","group":"g","dataType":"protobuf","data":"?"}"#,
        r#"{"type":"event","data":1}"#,
        r#"{"type":"event","event":"","data":1}"#,
        r#"{"type":"joinGroup","group":"g","ackId":-1}"#,
        r#"{"type":"joinGroup","group":"g","ackId":1.5}"#,
        r#"{"type":"joinGroup","group":"g","ackId":"1"}"#,
        r#"{"type":"joinGroup","group":"g","ackId":18446744073709551616}"#,
        r#"{"type":"sequenceAck"}"#,
        r#"{"type":"sequenceAck","sequenceId":"x"}"#,
        r#"{"type":"sequenceAck","sequenceId":-1}"#,
        r#"{"type":"ping""#,
    ] {
        for subprotocol in [JSON, RELIABLE_JSON] {
            let mut client = open(&server, subprotocol);
            client.send_text(bad);
            let last = client.receive();
            assert_eq!(
                (&last["type"], &last["event"]),
                (&json!("system"), &json!("disconnected")),
                "{bad}"
            );
            assert!(last["message"].as_str().unwrap().ends_with('.'), "{last}");
            assert_eq!(client.closed(), 1003, "{bad}");
        }
    }
    // Bytes that are no UTF-8, as text and as bytes.
    let mut client = open(&server, JSON);
    client
        .socket
        .send(Message::binary(&b"{\"type\":\"\xff\"}"[..]))
        .unwrap();
    assert_eq!(client.receive()["event"], "disconnected");
    assert_eq!(client.closed(), 1003);
    other.settled();
    other.done(&json!({"type": "joinGroup", "group": "h", "ackId": 2}));
}

/// Protobuf by hand; what is no mistake is tested with the client SDK.
#[test]
fn protobuf_frames_that_are_none_end_their_connection() {
    let server = server();
    for subprotocol in [
        "protobuf.webpubsub.azure.v1",
        "protobuf.reliable.webpubsub.azure.v1",
    ] {
        let open = || {
            let path = client_path(&json!({}));
            let mut client =
                AzureClient::try_open(server.address, &path, subprotocol, &[]).unwrap();
            assert_eq!(client.subprotocol.as_deref(), Some(subprotocol));
            assert!(client.socket.read().unwrap().is_binary(), "the first frame");
            client
        };
        // A frame of a type that is not known; a ping, and its answer.
        let mut client = open();
        client
            .socket
            .send(Message::binary(&b"\x62\x03abc"[..]))
            .unwrap();
        client
            .socket
            .send(Message::binary(&b"\x4a\x00"[..]))
            .unwrap();
        assert_eq!(
            client.socket.read().unwrap(),
            Message::binary(&b"\x22\x00"[..])
        );
        for bad in [
            Message::text("{\"type\":\"ping\"}"),
            Message::binary(&b"\x4a"[..]),
            Message::binary(&b"\x0a\x05\x0a\x01g"[..]),
            // Sent to a group without data, with JSON that is none, and with an Any that is none.
            Message::binary(&b"\x0a\x03\x0a\x01g"[..]),
            Message::binary(&b"\x0a\x08\x0a\x01g\x1a\x03\x22\x01{"[..]),
            Message::binary(&b"\x0a\x08\x0a\x01g\x1a\x03\x1a\x01\xff"[..]),
            // The name of a group that is no UTF-8.
            Message::binary(&b"\x32\x03\x0a\x01\xff"[..]),
        ] {
            let mut client = open();
            client.socket.send(bad.clone()).unwrap();
            assert!(client.socket.read().unwrap().is_binary(), "{bad:?}");
            assert_eq!(client.closed(), 1003, "{bad:?}");
        }
    }
}

#[test]
fn a_frame_may_come_as_bytes() {
    let server = server();
    let mut client = open(&server, JSON);
    let frame = json!({"type": "joinGroup", "group": "g", "ackId": 1}).to_string();
    client.socket.send(Message::binary(frame)).unwrap();
    assert_eq!(
        client.receive(),
        json!({"type": "ack", "ackId": 1, "success": true})
    );
}

#[test]
fn messages_are_taken_up_to_a_mebibyte() {
    let server = server();
    for subprotocol in [JSON, RELIABLE_JSON] {
        let mut client = open(&server, subprotocol);
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
        let frame = |length: usize| {
            let empty =
                json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": ""});
            let data = "x".repeat(length - empty.to_string().len());
            json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": data})
        };
        let longest = frame(1 << 20);
        client.send(&longest);
        assert_eq!(client.receive()["data"], longest["data"]);
        client.send(&frame((1 << 20) + 1));
        assert_eq!(client.closed(), 1009);
    }
}

/// What a client sends, and what members get of it.
#[test]
fn data_keeps_its_sort() {
    let server = server();
    for subprotocol in [JSON, RELIABLE_JSON] {
        let mut client = open(&server, subprotocol);
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
        let mut sent = 0;
        for (sent_as, data, got_as) in [
            (json!("text"), json!("a \"\\\n\u{1f600}"), "text"),
            (json!("text"), json!(""), "text"),
            (json!("json"), json!({"b": 1, "a": [null, 1.5]}), "json"),
            (Value::Null, json!([7]), "json"),
            (json!("json"), json!(null), "json"),
            (json!("json"), json!("str"), "json"),
            (Value::Null, json!("caf\u{e9} \"\n"), "json"),
            (json!("binary"), json!("AAH/"), "binary"),
            (json!("binary"), json!(""), "binary"),
        ] {
            let mut frame = json!({"type": "sendToGroup", "group": "g", "data": data});
            if !sent_as.is_null() {
                frame["dataType"] = sent_as;
            }
            client.send(&frame);
            sent += 1;
            let mut expected = json!({"type": "message", "from": "group", "fromUserId": "ann",
                "group": "g", "dataType": got_as, "data": data});
            if subprotocol == RELIABLE_JSON {
                expected["sequenceId"] = sent.into();
            }
            assert_eq!(client.receive(), expected);
        }
        // No data at all is null: an SDK leaves it out.
        client.send(&json!({"type": "sendToGroup", "group": "g", "dataType": "json"}));
        let message = client.receive();
        assert_eq!(
            (&message["dataType"], &message["data"]),
            (&json!("json"), &Value::Null)
        );
        assert!(message.get("data").is_some(), "SDKs look for it");
    }
}

#[test]
fn a_connection_gets_one_copy_and_not_its_own_where_it_says_so() {
    let server = server();
    let (mut ann, mut bob) = (open(&server, JSON), open(&server, JSON));
    for client in [&mut ann, &mut bob] {
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 2}));
    }
    let frame = json!({"type": "sendToGroup", "group": "g", "data": 1, "noEcho": true, "ackId": 3});
    ann.done(&frame);
    assert_eq!(bob.receive()["data"], 1);
    ann.settled();
    bob.settled();
}

/// What is acknowledged comes before what is sent after that, whichever way each went.
#[test]
fn order_holds_across_publishers() {
    let server = server();
    let (mut member, mut ann) = (open(&server, RELIABLE_JSON), open(&server, JSON));
    member.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
    for n in 0..200 {
        if n % 2 == 0 {
            ann.done(&json!({"type": "sendToGroup", "group": "g", "data": n, "ackId": n}));
        } else {
            let target = "/api/hubs/default/groups/g/:send?api-version=2024-01-01";
            let body = n.to_string();
            let sent = service(
                server.address,
                "POST",
                target,
                "application/json",
                Some(body.as_bytes()),
            );
            assert_eq!(sent.status, 202);
        }
    }
    for n in 0..200 {
        let message = member.receive();
        assert_eq!(
            (&message["data"], &message["sequenceId"]),
            (&json!(n), &json!(n + 1))
        );
        assert_eq!(message.get("fromUserId").is_some(), n % 2 == 0, "{message}");
    }
}

/// The vendor's client for Python sends, then begins to wait: it must not be answered before.
#[test]
fn answers_to_a_client_that_loses_fast_ones_take_a_while() {
    let server = server();
    let path = client_path(&json!({"sub": "ann"}));
    let agent = (
        "User-Agent",
        "app azsdk-python-webpubsub-client/1.1.0 Python/3.11",
    );
    for subprotocol in [JSON, RELIABLE_JSON, "protobuf.webpubsub.azure.v1"] {
        let open = || AzureClient::try_open(server.address, &path, subprotocol, &[agent]).unwrap();
        if subprotocol.starts_with("protobuf") {
            let mut client = open();
            client.socket.read().unwrap();
            // To join the group g, with the ack id 1.
            let join = Message::binary(&b"\x32\x05\x0a\x01g\x10\x01"[..]);
            let began = Instant::now();
            client.socket.send(join).unwrap();
            client.socket.read().unwrap();
            assert!(began.elapsed() >= HELD, "{:?}", began.elapsed());
            continue;
        }
        let mut client = open();
        client.receive();
        let began = Instant::now();
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
        assert!(began.elapsed() >= HELD, "{:?}", began.elapsed());
        // Everything stays in its order, and each answer has its own time.
        let began = Instant::now();
        for n in 0..50 {
            client
                .send(&json!({"type": "sendToGroup", "group": "g", "ackId": 2 + 2 * n, "data": n}));
            client.send(&json!({"type": "joinGroup", "group": "g", "ackId": 3 + 2 * n}));
        }
        client.send(&json!({"type": "ping"}));
        for n in 0..50 {
            assert_eq!(client.receive()["data"], n);
            for id in [2 + 2 * n, 3 + 2 * n] {
                assert_eq!(client.receive()["ackId"], id);
                assert!(began.elapsed() >= HELD, "{:?}", began.elapsed());
            }
        }
        assert_eq!(client.receive(), json!({"type": "pong"}));
        // What is refused is answered in the same way, and nothing is lost where the client leaves.
        let began = Instant::now();
        assert_eq!(
            client.fails(&json!({"type": "new", "ackId": 1})),
            "BadRequest"
        );
        assert!(began.elapsed() >= HELD);
    }
}

#[test]
fn simple_clients_see_data_as_it_is() {
    let server = server();
    let open = |query: &str, claims: &Value| {
        let path = client_path(claims) + query;
        AzureClient::try_open(server.address, &path, "", &[])
    };
    let mut member = open("", &json!({"webpubsub.group": "g"})).unwrap();
    let sending = "&webpubsub_mode=sendToGroup";
    let refused = |query: &str, claims: &Value| open(query, claims).err();
    assert_eq!(refused(sending, &json!({})), Some(400));
    assert_eq!(refused("&webpubsub_mode=sendToAll", &json!({})), Some(400));
    assert!(open("&webpubsub_mode=sendevent", &json!({})).is_ok());
    let no_role = json!({"role": "webpubsub.joinLeaveGroup"});
    assert_eq!(refused(&format!("{sending}&group=g"), &no_role), Some(403));
    let mut sender = open(&format!("{sending}&group=g"), &json!({})).unwrap();
    // Its first frame may come before the member has joined: what arrives says when it has.
    let target = "/api/hubs/default/groups/g?api-version=2024-01-01";
    eventually("the member of the group", SOON, || {
        (service(server.address, "HEAD", target, "", None).status == 200).then_some(())
    });
    for sent in [
        Message::text("{\"a\" : 1}"),
        Message::text("plain"),
        Message::binary(&[0u8, 255][..]),
    ] {
        sender.socket.send(sent.clone()).unwrap();
        assert_eq!(member.socket.read().unwrap(), sent);
    }
    for (content_type, body) in [
        ("application/json", Message::text("{\"a\" :1}")),
        ("application/json", Message::text("\"a string\"")),
        ("text/plain", Message::text("hi")),
        ("application/octet-stream", Message::binary(&[1u8, 2][..])),
    ] {
        let target = "/api/hubs/default/groups/g/:send?api-version=2024-01-01";
        let data = body.clone().into_data();
        let sent = service(server.address, "POST", target, content_type, Some(&data));
        assert_eq!(sent.status, 202);
        assert_eq!(member.socket.read().unwrap(), body);
    }
    // Its own frames come back, unless it says that they shall not.
    let own = json!({"webpubsub.group": "own"});
    let echo = |more: &str| {
        let mut client = open(&format!("{sending}&group=own{more}"), &own).unwrap();
        client.socket.send(Message::text("mine")).unwrap();
        let target = "/api/hubs/default/groups/own/:send?api-version=2024-01-01";
        // Its frame is handled by then: a group without members takes what is sent to it, too.
        client.socket.send(Message::Ping("p".into())).unwrap();
        let mut seen = Vec::new();
        loop {
            match client.socket.read().unwrap() {
                Message::Pong(_) => {
                    service(server.address, "POST", target, "text/plain", Some(b"end"));
                }
                message if message == Message::text("end") => return seen.len(),
                message => seen.push(message),
            }
        }
    };
    assert_eq!(
        (echo(""), echo("&noEcho=true"), echo("&noEcho=false")),
        (1, 0, 1)
    );
    // Nobody handles its events.
    member.socket.send(Message::text("event")).unwrap();
    assert_eq!(member.closed(), 1011);
}

#[test]
fn the_server_pings_and_says_that_it_stops() {
    let mut server = server();
    let mut client = open(&server, JSON);
    server.shut_down();
    assert_eq!(client.closed(), 1012);
}

/// Bytes that sockets take before anything waits, at most.
const SOCKET_BYTES: usize = 12 << 20;

#[test]
fn what_waits_for_a_plain_client_has_the_bound_of_all_protocols() {
    let limits = Limits {
        outbound_bytes_max: 256 << 10,
        ..Limits::default()
    };
    let keys = format!("access_key = \"{AZURE_KEY}\"");
    let server = Server::start(Server::compose::<WebPubSub>(&keys).limits(limits));
    let join = |subprotocol| {
        let (mut client, hello) = AzureClient::open(server.address, subprotocol, &json!({}));
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
        let id = hello["connectionId"].as_str().unwrap().to_owned();
        (client, id)
    };
    // Neither reads.
    let (_plain, plain) = join(JSON);
    let (_reliable, reliable) = join(RELIABLE_JSON);
    let exists = |id: &str| {
        let target = format!("/api/hubs/default/connections/{id}?api-version=2024-01-01");
        service(server.address, "HEAD", &target, "", None).status == 200
    };
    let text = vec![b'x'; 128 << 10];
    let target = "/api/hubs/default/groups/g/:send?api-version=2024-01-01";
    let mut sent = 0;
    while exists(&plain) {
        assert!(sent < SOCKET_BYTES + (256 << 10), "{sent} bytes wait");
        let answer = service(server.address, "POST", target, "text/plain", Some(&text));
        assert_eq!(answer.status, 202);
        sent += text.len();
    }
    assert!(exists(&reliable), "what it did not acknowledge is kept");
}
