//! Seth-Pusher's messages over a raw WebSocket.

use polywire_core::{Channel, Limits, PresenceSettings};
use polywire_seth::Seth;
use polywire_testing::{
    Server, eventually_equal,
    peers::{HttpConnection, WebSocketClient},
};
use serde_json::{Value, json};
use tungstenite::Message;

use crate::{debug_server, server};

#[test]
fn connect_is_told_to_those_who_were_there_and_not_to_the_newcomer() {
    let server = server();
    let mut ann = server.websocket();
    ann.send(&json!({"type": "connect", "subscriber_id": "ann"}));
    ann.expect_silence();
    let mut bob = server.websocket();
    bob.send(&json!({"type": "connect", "subscriber_id": "bob", "extra": ["is", "ignored"]}));
    ann.expect_notice("connect", "bob", "User: bob connected.");
    bob.expect_silence();
    ann.expect_silence();
}

#[test]
fn a_second_connect_is_ignored() {
    let server = server();
    let mut watcher = server.client("watcher");
    let mut ann = server.client("ann");
    watcher.expect_notice("connect", "ann", "User: ann connected.");
    ann.send(&json!({"type": "connect", "subscriber_id": "bob"}));
    ann.send(&json!({"type": "connect", "subscriber_id": "ann"}));
    ann.subscribe("news");
    ann.expect_notice("subscribe", "ann", "User: ann subscribed to news");
    watcher.expect_silence();
    server.publish("/api/users/bob/", &json!({"for": "bob"}));
    server.publish("/api/users/ann/", &json!({"for": "ann"}));
    ann.expect(&json!({"message": {"for": "ann"}, "target_id": "ann", "sender_id": null}));
}

#[test]
fn who_subscribes_before_connect_has_no_id() {
    let server = server();
    let mut nameless = server.websocket();
    nameless.subscribe("news");
    nameless.expect_notice("subscribe", Value::Null, "User: None subscribed to news");
    server.publish("/api/channels/news/", &json!({"n": 1}));
    nameless.expect_message(&json!({"n": 1}), &Value::Null);
    server.publish("/api/channels/all/", &json!({"n": 2}));
    for user in ["None", "null"] {
        server.publish(&format!("/api/users/{user}/"), &json!({"n": 3}));
    }
    nameless.expect_silence();

    let mut ann = server.client("ann");
    ann.join("news");
    nameless.expect_notice("subscribe", "ann", "User: ann subscribed to news");
    nameless.unsubscribe("news");
    ann.expect_notice(
        "unsubscribe",
        Value::Null,
        "User: None unsubscribed from news",
    );

    nameless.send(&json!({"type": "connect", "subscriber_id": "late"}));
    ann.expect_notice("connect", "late", "User: late connected.");
    nameless.subscribe("news");
    nameless.expect_notice("subscribe", "late", "User: late subscribed to news");
}

#[test]
fn subscribing_again_repeats_the_notice_and_not_the_messages() {
    let server = server();
    let mut ann = server.client("ann");
    for _ in 0..3 {
        ann.subscribe("news");
        ann.expect_notice("subscribe", "ann", "User: ann subscribed to news");
    }
    server.publish("/api/channels/news/", &json!({"n": 1}));
    ann.expect_message(&json!({"n": 1}), &Value::Null);
    ann.unsubscribe("news");
    ann.settle();
    server.publish("/api/channels/news/", &json!({"n": 2}));
    ann.expect_silence();
}

#[test]
fn unsubscribing_is_told_to_the_rest() {
    let server = server();
    let mut ann = server.client("ann");
    ann.join("news");
    let mut bob = server.client("bob");
    bob.join("news");
    ann.expect_notice("connect", "bob", "User: bob connected.");
    ann.expect_notice("subscribe", "bob", "User: bob subscribed to news");
    ann.unsubscribe("news");
    bob.expect_notice("unsubscribe", "ann", "User: ann unsubscribed from news");
    server.publish("/api/channels/news/", &json!({"n": 1}));
    bob.expect_message(&json!({"n": 1}), &Value::Null);
    ann.expect_silence();
}

#[test]
fn leaving_what_was_never_joined_harms_nobody() {
    let server = server();
    let mut member = server.websocket();
    member.join("news");
    let mut stranger = server.client("stranger");
    stranger.unsubscribe("news");
    stranger.unsubscribe("nobody-is-here");
    stranger.expect_silence();
    server.publish("/api/channels/news/", &json!({"n": 1}));
    let notice = json!({"message": {
        "type": "unsubscribe",
        "subscriber_id": "stranger",
        "body": "User: stranger unsubscribed from news",
    }});
    // The notice may be sent or not; the member stays a member.
    let mut next = member.receive();
    if next == notice {
        next = member.receive();
    }
    assert_eq!(next, json!({"message": {"n": 1}, "sender_id": null}));
}

#[test]
fn all_is_an_ordinary_channel_too() {
    let server = server();
    let mut nameless = server.websocket();
    nameless.subscribe("all");
    nameless.expect_notice("subscribe", Value::Null, "User: None subscribed to all");
    let mut ann = server.client("ann");
    nameless.expect_notice("connect", "ann", "User: ann connected.");
    server.publish("/api/channels/all/", &json!({"n": 1}));
    nameless.expect_message(&json!({"n": 1}), &Value::Null);
    ann.expect_message(&json!({"n": 1}), &Value::Null);
    // Once each, however ann became a member.
    ann.join("all");
    server.publish("/api/channels/all/", &json!({"n": 2}));
    ann.expect_message(&json!({"n": 2}), &Value::Null);
    ann.expect_silence();
}

#[test]
fn who_leaves_all_still_gets_private_messages() {
    let server = server();
    let mut ann = server.client("ann");
    ann.unsubscribe("all");
    ann.settle();
    server.publish("/api/channels/all/", &json!({"n": 1}));
    let _bob = server.client("bob");
    ann.expect_silence();
    server.publish("/api/users/ann/", &json!({"n": 2}));
    ann.expect(&json!({"message": {"n": 2}, "target_id": "ann", "sender_id": null}));
}

#[test]
fn closing_is_told_to_all_and_to_each_channel() {
    let server = debug_server();
    let mut watcher = server.client("watcher");
    let mut member = server.websocket();
    member.join("news");
    let mut ann = server.client("ann");
    ann.join("news");
    watcher.expect_notice("connect", "ann", "User: ann connected.");
    member.expect_notice("subscribe", "ann", "User: ann subscribed to news");
    ann.close();
    watcher.expect_notice("disconnect", "ann", "User: ann disconnected.");
    member.expect_notice("unsubscribe", "ann", "User: ann unsubscribed from news");
    eventually_equal(
        &json!({"subscribers": {"all": ["watcher"], "news": [null]}, "subscriber_count": 2}),
        || server.debug(),
    );
    member.expect_silence();
}

#[test]
fn a_connection_without_id_closes_silently() {
    let server = debug_server();
    let mut watcher = server.client("watcher");
    let mut nameless = server.websocket();
    nameless.join("news");
    nameless.close();
    eventually_equal(
        &json!({"subscribers": {"all": ["watcher"]}, "subscriber_count": 1}),
        || server.debug(),
    );
    watcher.expect_silence();
}

#[test]
fn a_connection_that_breaks_is_closed_too() {
    let server = server();
    let mut watcher = server.client("watcher");
    let ann = server.client("ann");
    watcher.expect_notice("connect", "ann", "User: ann connected.");
    // No close frame.
    ann.socket
        .get_ref()
        .shutdown(std::net::Shutdown::Both)
        .unwrap();
    watcher.expect_notice("disconnect", "ann", "User: ann disconnected.");
}

#[test]
fn numbers_are_ids_and_stay_numbers() {
    let server = debug_server();
    let mut watcher = server.client("watcher");
    for (id, text) in [
        (json!(7), "7"),
        (json!(-3), "-3"),
        (json!(1.5), "1.5"),
        (json!(0), "0"),
    ] {
        let mut client = server.client(id.clone());
        watcher.expect_notice("connect", id.clone(), &format!("User: {text} connected."));
        assert_eq!(server.debug()["subscribers"]["all"], json!(["watcher", id]));
        client.subscribe("news");
        client.expect_notice(
            "subscribe",
            id.clone(),
            &format!("User: {text} subscribed to news"),
        );
        server.publish(&format!("/api/users/{text}/"), &json!({"for": id}));
        client.expect(&json!({"message": {"for": id}, "target_id": text, "sender_id": null}));
        client.close();
        watcher.expect_notice(
            "disconnect",
            id.clone(),
            &format!("User: {text} disconnected."),
        );
    }
}

#[test]
fn numbers_are_channels() {
    let server = server();
    let mut ann = server.client("ann");
    ann.send(&json!({"type": "subscribe", "channel": 42}));
    ann.expect_notice("subscribe", "ann", "User: ann subscribed to 42");
    server.publish("/api/channels/42/", &json!({"n": 1}));
    ann.expect_message(&json!({"n": 1}), &Value::Null);
    ann.unsubscribe("42");
    ann.settle();
    server.publish("/api/channels/42/", &json!({"n": 2}));
    ann.expect_silence();
}

#[test]
fn a_user_may_have_several_connections() {
    let server = debug_server();
    let mut watcher = server.client("watcher");
    let mut member = server.websocket();
    member.join("news");
    let mut first = server.client("ann");
    first.join("news");
    watcher.expect_notice("connect", "ann", "User: ann connected.");
    member.expect_notice("subscribe", "ann", "User: ann subscribed to news");
    let mut second = server.client("ann");
    // It is answered, and no news to the others.
    second.join("news");
    server.publish("/api/users/ann/", &json!({"n": 1}));
    let private = |n: u32| json!({"message": {"n": n}, "target_id": "ann", "sender_id": null});
    first.expect(&private(1));
    second.expect(&private(1));
    second.close();
    eventually_equal(
        &json!({"subscribers": {"all": ["watcher", "ann"], "news": [null, "ann"]}, "subscriber_count": 4}),
        || server.debug(),
    );
    server.publish("/api/users/ann/", &json!({"n": 2}));
    first.expect(&private(2));
    watcher.expect_silence();
    member.expect_silence();
    first.close();
    watcher.expect_notice("disconnect", "ann", "User: ann disconnected.");
    member.expect_notice("unsubscribe", "ann", "User: ann unsubscribed from news");
    watcher.expect_silence();
    member.expect_silence();
}

#[test]
fn who_vanishes_is_told_as_gone_from_each_channel() {
    let server = server();
    let mut member = server.websocket();
    member.join("news");
    let mut ann = server.client("ann");
    ann.join("news");
    member.expect_notice("subscribe", "ann", "User: ann subscribed to news");
    // No close frame.
    ann.socket
        .get_ref()
        .shutdown(std::net::Shutdown::Both)
        .unwrap();
    member.expect_notice("unsubscribe", "ann", "User: ann unsubscribed from news");
    member.expect_silence();
}

/// Sends a text and expects this error; the connection and its state stay.
#[track_caller]
fn expect_error_for(client: &mut WebSocketClient, text: &str, error: &str) {
    client.send_text(text);
    assert_eq!(client.expect_error(), error, "for {text}");
}

#[test]
fn bad_messages_are_answered_and_change_nothing() {
    // A server for each kind of mistake: replies to mistakes are limited.
    let must_be_object = |body: &str| {
        assert!(body.starts_with("Message must be"), "{body}");
        assert!(!body.to_lowercase().contains("python"), "{body}");
    };
    let server = server();
    let mut watcher = server.client("watcher");
    let mut check = |texts: &[&str], judge: &dyn Fn(&str, &str)| {
        for text in texts {
            let mut ann = server.client("ann");
            watcher.expect_notice("connect", "ann", "User: ann connected.");
            ann.join("news");
            ann.send_text(*text);
            judge(text, &ann.expect_error());
            server.publish("/api/channels/news/", &json!({"n": 1}));
            ann.expect_message(&json!({"n": 1}), &Value::Null);
            ann.subscribe("more");
            ann.expect_notice("subscribe", "ann", "User: ann subscribed to more");
            watcher.expect_silence();
            ann.close();
            watcher.expect_notice("disconnect", "ann", "User: ann disconnected.");
        }
    };
    check(
        &["nonsense", "{", "{'type': 'connect'}", "[1", "\"open"],
        &|text, body| assert_eq!(body, format!("Could not dispatch {text}")),
    );
    check(
        &["[]", "1", "\"connect\"", "null", "true", "[{}]"],
        &|_, body| {
            must_be_object(body);
        },
    );
    check(
        &[
            "{}",
            r#"{"channel": "news"}"#,
            r#"{"type": ""}"#,
            r#"{"type": null}"#,
            r#"{"type": 0}"#,
            r#"{"type": false}"#,
            r#"{"type": []}"#,
            r#"{"type": {}}"#,
        ],
        &|text, body| assert_eq!(body, "Message must have type.", "{text}"),
    );
    for kind in ["disconnect", "publish", "Connect", "message", "ümlaut"] {
        let text = json!({"type": kind, "channel": "news"}).to_string();
        check(&[&text], &|_, body| {
            assert_eq!(body, format!("Wrong type: {kind}."));
        });
    }
    check(
        &[r#"{"type": 5}"#, r#"{"type": ["connect"]}"#],
        &|_, body| {
            assert!(body.starts_with("Wrong type: "), "{body}");
        },
    );
    for kind in ["subscribe", "unsubscribe"] {
        for channel in ["null", "\"\"", "true", "[\"news\"]", "{\"a\": 1}"] {
            let text = format!(r#"{{"type": "{kind}", "channel": {channel}}}"#);
            check(&[&text], &|_, body| {
                assert_eq!(
                    body, "Must provide channel for sub/unsub message.",
                    "{text}"
                );
            });
        }
        let text = format!(r#"{{"type": "{kind}"}}"#);
        check(&[&text], &|_, body| {
            assert_eq!(body, "Must provide channel for sub/unsub message.");
        });
    }
}

#[test]
fn connect_without_a_usable_id_is_answered() {
    let server = server();
    let mut watcher = server.client("watcher");
    for id in ["null", "\"\"", "false", "[\"ann\"]", "{}"] {
        let mut client = server.websocket();
        let text = format!(r#"{{"type": "connect", "subscriber_id": {id}}}"#);
        expect_error_for(
            &mut client,
            &text,
            "Must provide subscriber_id for connect message.",
        );
        client.join("news");
    }
    let mut client = server.websocket();
    expect_error_for(
        &mut client,
        r#"{"type": "connect"}"#,
        "Must provide subscriber_id for connect message.",
    );
    // Nobody was let in, and nobody else's private messages suffer.
    watcher.expect_silence();
    server.publish("/api/users/watcher/", &json!({"n": 1}));
    assert_eq!(watcher.receive()["message"], json!({"n": 1}));
    client.send(&json!({"type": "connect", "subscriber_id": "now"}));
    watcher.expect_notice("connect", "now", "User: now connected.");
}

#[test]
fn the_first_mistake_counts() {
    let server = server();
    let mut client = server.websocket();
    expect_error_for(
        &mut client,
        r#"{"channel": null}"#,
        "Message must have type.",
    );
    expect_error_for(
        &mut client,
        r#"{"type": "x", "channel": null}"#,
        "Wrong type: x.",
    );
}

#[test]
fn only_the_offender_is_told() {
    let server = server();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.expect_notice("connect", "bob", "User: bob connected.");
    ann.send_text("nonsense");
    ann.expect_error();
    ann.expect_silence();
    bob.expect_silence();
}

#[test]
fn replies_to_mistakes_are_limited() {
    let server = server();
    let mut ann = server.client("ann");
    const MISTAKES: usize = 2_000;
    for _ in 0..MISTAKES {
        ann.send_text("nonsense");
    }
    ann.subscribe("news");
    let mut replies = 0;
    loop {
        let message = ann.receive();
        if message["message"]["type"] == "subscribe" {
            break;
        }
        assert_eq!(message["message"]["type"], "error", "{message}");
        replies += 1;
    }
    assert!((1..MISTAKES / 4).contains(&replies), "{replies} replies");
}

#[test]
fn a_long_bad_message_is_not_sent_back_whole() {
    let server = server();
    let mut ann = server.client("ann");
    ann.send_text("x".repeat(500_000));
    let reply = ann.expect_error();
    assert!(
        reply.starts_with("Could not dispatch xxx"),
        "{}",
        &reply[..40]
    );
    assert!(reply.len() < 10_000, "{} bytes", reply.len());
}

#[test]
fn binary_frames_keep_the_connection() {
    let server = server();
    let mut ann = server.client("ann");
    for bytes in [&b"\xff\xfe\x00"[..], b"", b"nonsense"] {
        ann.socket.send(Message::binary(bytes.to_vec())).unwrap();
    }
    ann.join("news");
    server.publish("/api/channels/news/", &json!({"n": 1}));
    ann.expect_message(&json!({"n": 1}), &Value::Null);
}

#[test]
fn elements_of_a_sockjs_array_that_are_not_strings_keep_the_connection() {
    let server = server();
    let mut client = WebSocketClient::open(server.address, "/connect/000/abcdefgh/websocket");
    assert_eq!(client.receive_text(), "o");
    client.send_text(r#"[{"type":"subscribe","channel":"objects"}, 1, null, ["x"]]"#);
    client.send_text(r#"["{\"type\":\"subscribe\",\"channel\":\"news\"}"]"#);
    loop {
        let frame = client.receive_text();
        if frame.contains("subscribed to news") {
            break;
        }
        assert!(frame.starts_with("a[") || frame == "h", "{frame}");
    }
}

#[test]
fn a_sockjs_websocket_may_send_a_single_string() {
    let server = server();
    let mut client = WebSocketClient::open(server.address, "/connect/000/abcdefgh/websocket");
    assert_eq!(client.receive_text(), "o");
    client.send_text(r#""{\"type\":\"subscribe\",\"channel\":\"a\"}""#);
    client.send_text(
        r#"["{\"type\":\"subscribe\",\"channel\":\"b\"}","{\"type\":\"subscribe\",\"channel\":\"c\"}"]"#,
    );
    for channel in ["a", "b", "c"] {
        let expected = json!([json!({"message": {
            "type": "subscribe",
            "subscriber_id": null,
            "body": format!("User: None subscribed to {channel}"),
        }})
        .to_string()]);
        let frame = client.receive_text();
        let sent: Value = serde_json::from_str(frame.strip_prefix('a').unwrap()).unwrap();
        let parse =
            |value: &Value| -> Value { serde_json::from_str(value[0].as_str().unwrap()).unwrap() };
        assert_eq!(parse(&sent), parse(&expected));
    }
}

#[test]
fn names_may_hold_any_character() {
    let server = server();
    // Whoever leaves is announced to whoever came meanwhile: all of them stay.
    let mut clients = Vec::new();
    for name in [
        "ü",
        "日本",
        "🐴",
        "a\"b\\c",
        "line\nbreak",
        "%41",
        "\u{2028}",
        " ",
        "</script>",
    ] {
        let mut client = server.client(name);
        client.subscribe(name);
        client.expect_notice(
            "subscribe",
            name,
            &format!("User: {name} subscribed to {name}"),
        );
        clients.push(client);
    }
}

#[test]
fn names_over_the_limit_are_refused() {
    let server = server();
    let long = "x".repeat(5_000);
    let mut watcher = server.client("watcher");
    let mut client = server.websocket();
    client.send(&json!({"type": "connect", "subscriber_id": long}));
    client.expect_error();
    client.subscribe(&long);
    client.expect_error();
    client.expect_silence();
    watcher.expect_silence();
    let answer = server.post(&format!("/api/channels/{long}/"), "{}");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(answer.json()["status"], answer.status);
}

#[test]
fn channels_per_connection_are_limited() {
    let limits = Limits {
        channels_per_connection_max: 5,
        ..Limits::default()
    };
    let server = Server::start(Server::compose::<Seth>("").limits(limits));
    let mut client = server.websocket();
    for n in 0..5 {
        client.join(&format!("channel-{n}"));
    }
    client.subscribe("one-too-many");
    client.expect_error();
    server.publish("/api/channels/one-too-many/", &json!({}));
    client.unsubscribe("channel-0");
    client.join("instead");
    server.publish("/api/channels/instead/", &json!({"n": 1}));
    client.expect_message(&json!({"n": 1}), &Value::Null);
}

#[test]
fn a_thousand_messages_arrive_in_order() {
    let server = server();
    let mut members: Vec<_> = (0..3).map(|_| server.websocket()).collect();
    for member in &mut members {
        member.join("news");
    }
    // Those who joined first saw the others join.
    for member in &mut members {
        member.settle();
    }
    let mut http = HttpConnection::open(server.address);
    for n in 0..1_000 {
        let body = json!({"n": n}).to_string();
        let answer = http.request("POST", "/api/channels/news/", &[], Some(body.as_bytes()));
        assert_eq!(answer.status, 200);
    }
    for member in &mut members {
        for n in 0..1_000 {
            member.expect_message(&json!({"n": n}), &Value::Null);
        }
    }
}

#[test]
fn all_subscribers_see_one_order() {
    let server = server();
    let mut members: Vec<_> = (0..3).map(|_| server.websocket()).collect();
    for member in &mut members {
        member.join("news");
    }
    for member in &mut members {
        member.settle();
    }
    std::thread::scope(|scope| {
        for publisher in 0..4 {
            let address = server.address;
            scope.spawn(move || {
                let mut http = HttpConnection::open(address);
                for n in 0..100 {
                    let body = json!({"publisher": publisher, "n": n}).to_string();
                    let target = "/api/channels/news/";
                    let answer = http.request("POST", target, &[], Some(body.as_bytes()));
                    assert_eq!(answer.status, 200);
                }
            });
        }
    });
    let seen: Vec<Vec<Value>> = members
        .iter_mut()
        .map(|member| (0..400).map(|_| member.receive()).collect())
        .collect();
    assert!(seen.iter().all(|messages| *messages == seen[0]));
    for publisher in 0..4 {
        let own = seen[0].iter().map(|message| &message["message"]);
        let own = own.filter(|message| message["publisher"] == publisher);
        let numbers: Vec<_> = own.map(|message| message["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
}

/// The notices of this body that came before `until` did.
fn notices_before(client: &mut WebSocketClient, until: &Value) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let next = client.receive();
        if next == *until {
            return bodies;
        }
        bodies.push(next["message"]["body"].as_str().unwrap().to_owned());
    }
}

#[test]
fn where_many_are_nobody_is_told_of_each_and_lists_stay_exact() {
    let presence = PresenceSettings { announce_max: 3 };
    let server = Server::start(Server::compose::<Seth>("").presence(presence));
    let all = Channel::new("all").unwrap();
    let members = || {
        let members = server.space().presence().members(&all).into_iter();
        members.map(|member| member.client.to_string()).collect()
    };
    let mut first = server.client("u1");
    let mut others: Vec<_> = (2..=6).map(|n| server.client(format!("u{n}"))).collect();
    let mut there: Vec<_> = (1..=6).map(|n| format!("u{n}")).collect();
    eventually_equal(&there, members);
    // Nor does anybody hear of a connection without an id where many do.
    let mut nameless = server.websocket();
    nameless.subscribe("all");
    nameless.settle();
    while let Some(gone) = others.pop_if(|_| there.len() > 2) {
        gone.close();
        there.pop();
        eventually_equal(&there, members);
    }
    nameless.close();
    let message = json!({"n": 1});
    server.publish("/api/channels/all/", &message);
    let bodies = notices_before(&mut first, &json!({"message": message, "sender_id": null}));
    let expected = [
        "User: u2 connected.",
        "User: u3 connected.",
        "User: u3 disconnected.",
    ];
    assert_eq!(bodies, expected);
}
