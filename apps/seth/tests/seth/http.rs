//! Seth-Pusher's HTTP API and debug API.

use polywire_core::Limits;
use polywire_seth::Seth;
use polywire_testing::{
    Server,
    auth::{ApiKey, ApiKeySettings},
    eventually_equal,
    peers::{Answer, HttpConnection, WebSocketClient},
};
use serde_json::{Value, json};

use crate::{debug_server, server, with_debug_api};

const OK: &str = "{\"status\": 200}\n";

#[track_caller]
fn assert_ok(answer: &Answer) {
    assert_eq!((answer.status, answer.text()), (200, OK));
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=UTF-8")
    );
}

/// An error in the API's own form.
#[track_caller]
fn assert_error(answer: &Answer, status: u16, message: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json(), json!({"status": status, "message": message}));
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=UTF-8")
    );
}

#[track_caller]
fn assert_json(answer: &Answer) {
    let content_type = answer.header("content-type").unwrap_or_default();
    assert_eq!(content_type.split(';').next(), Some("application/json"));
}

/// With the debug API, for those who have the key.
pub(crate) fn guarded_server() -> Server {
    Server::start(with_debug_api().authentication(ApiKey::from(&ApiKeySettings::default())))
}

fn subscriber(server: &Server, channel: &str) -> WebSocketClient {
    let mut client = server.websocket();
    client.join(channel);
    client
}

#[test]
fn a_post_to_a_channel_reaches_its_members() {
    let server = server();
    let mut member = subscriber(&server, "news");
    let mut other = subscriber(&server, "sports");
    assert_ok(&server.post("/api/channels/news/", r#"{"my": "data"}"#));
    member.expect_message(&json!({"my": "data"}), &Value::Null);
    other.expect_silence();
}

#[test]
fn a_post_to_a_user_reaches_the_user() {
    let server = server();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.expect_notice("connect", "bob", "User: bob connected.");
    assert_ok(&server.post("/api/users/ann/", r#"{"my": "data", "sender_id": "bob"}"#));
    ann.expect(&json!({
        "message": {"my": "data", "sender_id": "bob"},
        "target_id": "ann",
        "sender_id": "bob",
    }));
    bob.expect_silence();
}

#[test]
fn success_does_not_depend_on_somebody_being_there() {
    let server = server();
    assert_ok(&server.post("/api/channels/nobody-is-here/", "{}"));
    assert_ok(&server.post("/api/users/nobody/", "{}"));
}

#[test]
fn the_channel_all_reaches_every_connected_user() {
    let server = server();
    let (mut ann, mut bob) = (server.client("ann"), server.client(7));
    let mut nameless = server.websocket();
    nameless.settle();
    ann.expect_notice("connect", 7, "User: 7 connected.");
    assert_ok(&server.post("/api/channels/all/", r#"{"to": "everybody"}"#));
    for client in [&mut ann, &mut bob] {
        client.expect_message(&json!({"to": "everybody"}), &Value::Null);
    }
    nameless.expect_silence();
}

#[test]
fn the_final_slash_may_be_left_out() {
    let server = debug_server();
    let mut ann = server.client("ann");
    ann.join("news");
    assert_ok(&server.post("/api/channels/news", r#"{"n": 1}"#));
    ann.expect_message(&json!({"n": 1}), &Value::Null);
    assert_ok(&server.post("/api/users/ann", r#"{"n": 2}"#));
    assert_eq!(ann.receive()["message"], json!({"n": 2}));
    assert_eq!(server.get("/debug").json(), server.get("/debug/").json());
    assert_eq!(
        server.get("/debug/channels/news").json(),
        server.get("/debug/channels/news/").json()
    );
}

#[test]
fn names_are_everything_up_to_the_final_slash_and_percent_decoded() {
    let server = server();
    for (channel, paths) in [
        ("a/b/c", &["a/b/c/", "a/b/c", "a%2Fb%2Fc/", "a%2fb/c"][..]),
        ("grüße", &["gr%C3%BC%C3%9Fe/", "gr%C3%BC%c3%9fe"]),
        ("two words", &["two%20words/"]),
        ("50%", &["50%25/"]),
        ("a+b", &["a+b/", "a%2Bb/"]),
        ("a.b", &["a.b/"]),
        ("?#", &["%3F%23/"]),
        ("🐴", &["%F0%9F%90%B4/"]),
    ] {
        let mut member = subscriber(&server, channel);
        for path in paths {
            let message = json!({"by": path});
            server.publish(&format!("/api/channels/{path}"), &message);
            member.expect_message(&message, &Value::Null);
        }
        let mut user = server.client(channel);
        for path in paths {
            let message = json!({"by": path});
            server.publish(&format!("/api/users/{path}"), &message);
            user.expect(&json!({"message": message, "target_id": channel, "sender_id": null}));
        }
        user.close();
    }
}

#[test]
fn a_name_that_is_not_utf8_is_refused() {
    let server = server();
    let answer = server.post("/api/channels/%FF%FE/", "{}");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(answer.json()["status"], answer.status);
}

#[test]
fn the_content_type_is_ignored() {
    let server = server();
    let mut member = subscriber(&server, "news");
    for content_type in [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "no type at all",
        "",
    ] {
        let headers = [("Content-Type", content_type)];
        assert_ok(&server.request("POST", "/api/channels/news/", &headers, Some(b"{}")));
        member.expect_message(&json!({}), &Value::Null);
    }
    assert_ok(&server.post("/api/channels/news/", "{}"));
    member.expect_message(&json!({}), &Value::Null);
}

#[test]
fn a_chunked_body_counts_like_any_other() {
    let server = server();
    let mut member = subscriber(&server, "news");
    let mut http = HttpConnection::open(server.address);
    let head = "POST /api/channels/news/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    http.write(format!("{head}3\r\n{{\"a\r\n5\r\n\": 1}}\r\n0\r\n\r\n").as_bytes())
        .unwrap();
    assert_ok(&http.answer(false));
    member.expect_message(&json!({"a": 1}), &Value::Null);
}

#[test]
fn what_is_posted_arrives_letter_by_letter() {
    let server = server();
    let mut member = subscriber(&server, "news");
    // Numbers that no parser may touch, and text outside of ASCII, escaped and not.
    let message = r#"{"price":1.10,"big":123456789012345678901234567890,"tiny":1e-400,"text":"ü \u00fc 🐴 \ud83d\udc34 %41 \u0000 <\/"}"#;
    assert_ok(&server.post("/api/channels/news/", message));
    let text = member.receive_text();
    assert!(text.contains(message), "{text}");
}

#[test]
fn the_sender_may_be_any_json_and_stays_in_the_message() {
    let server = server();
    let mut member = subscriber(&server, "news");
    for sender in [
        json!("ann"),
        json!(7),
        json!(1.5),
        json!(true),
        json!(null),
        json!(["a", 1]),
        json!({"deep": {"er": []}}),
        json!(""),
    ] {
        let message = json!({"sender_id": sender, "text": "hello"});
        server.publish("/api/channels/news/", &message);
        member.expect_message(&message, &sender);
    }
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let server = server();
    let mut member = subscriber(&server, "news");
    let bad: [&[u8]; 12] = [
        b"",
        b"   ",
        b"{",
        b"{'my': 'data'}",
        b"my=data",
        b"{\"a\": 1} x",
        b"{\"a\": }",
        b"{\"a\": \"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{\"a\": 01}",
        b"{\"a\": \"\n\"}",
        b"nope",
    ];
    for target in ["/api/channels/news/", "/api/users/ann/"] {
        for body in bad {
            let answer = server.post(target, body);
            assert_error(&answer, 400, "Request body is not valid JSON.");
        }
        let without_body = server.request("POST", target, &[], None);
        assert_error(&without_body, 400, "Request body is not valid JSON.");
    }
    member.expect_silence();
}

#[test]
fn a_body_that_is_json_but_not_an_object_is_refused() {
    let server = server();
    let mut member = subscriber(&server, "news");
    for target in ["/api/channels/news/", "/api/users/ann/"] {
        for body in [
            "[]",
            "[{\"a\": 1}]",
            "\"text\"",
            "1",
            "-0.5",
            "true",
            "null",
            " [ ] ",
        ] {
            let answer = server.post(target, body);
            assert_error(&answer, 400, "Request body must be a JSON object.");
        }
    }
    member.expect_silence();
}

#[test]
fn white_space_around_the_object_is_fine() {
    let server = server();
    let mut member = subscriber(&server, "news");
    assert_ok(&server.post("/api/channels/news/", " \r\n\t{ \"a\" : [ 1 , 2 ] } \n"));
    member.expect_message(&json!({"a": [1, 2]}), &Value::Null);
}

#[test]
fn unknown_paths_are_not_found() {
    let server = debug_server();
    for target in [
        "/nope",
        "/api",
        "/api/",
        "/api/channels",
        "/api/channels/",
        "/api/users",
        "/api/users/",
        "/api/rooms/news/",
        "/apix/channels/news/",
        "/debug/nope/",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = server.request(method, target, &[], Some(b"{}"));
            assert_error(&answer, 404, "Not Found");
        }
    }
}

#[test]
fn other_methods_on_known_paths_are_not_allowed() {
    let server = debug_server();
    for (targets, allowed, others) in [
        (
            &[
                "/api/channels/news/",
                "/api/channels/a/b",
                "/api/users/ann/",
            ][..],
            "POST",
            ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"],
        ),
        (
            &["/debug/", "/debug", "/debug/channels/news/"],
            "GET",
            ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"],
        ),
    ] {
        for target in targets {
            for method in others {
                let answer = server.request(method, target, &[], Some(b"{}"));
                assert_error(&answer, 405, "Method Not Allowed");
                assert_eq!(answer.header("allow"), Some(allowed), "{method} {target}");
            }
        }
    }
}

#[test]
fn messages_of_300_kb_pass() {
    let server = server();
    let mut ann = server.client("ann");
    ann.join("news");
    let message = json!({"text": "x".repeat(300_000)});
    server.publish("/api/channels/news/", &message);
    ann.expect_message(&message, &Value::Null);
    server.publish("/api/users/ann/", &message);
    assert_eq!(ann.receive()["message"], message);
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let server = server();
    let mut member = subscriber(&server, "news");
    let large = json!({"text": "x".repeat(1 << 20)}).to_string();
    for target in ["/api/channels/news/", "/api/users/ann/"] {
        let answer = server.post(target, &large);
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert_eq!(answer.json()["status"], 413);
        assert!(answer.json()["message"].is_string());
    }
    member.expect_silence();
}

#[test]
fn a_chunked_body_over_the_limit_is_refused() {
    let server = server();
    let mut http = HttpConnection::open(server.address);
    http.write(b"POST /api/channels/x/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..18 {
        http.write(chunk.as_bytes()).unwrap();
    }
    http.write(b"0\r\n\r\n").unwrap();
    let answer = http.answer(false);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(answer.json()["status"], 413);
}

#[test]
fn the_body_limit_can_be_set() {
    let limits = Limits {
        message_bytes_max: 100,
        ..Limits::default()
    };
    let server = Server::start(Server::compose::<Seth>("").limits(limits));
    assert_ok(&server.post("/api/channels/x/", json!({"a": "x".repeat(80)}).to_string()));
    let answer = server.post(
        "/api/channels/x/",
        json!({"a": "x".repeat(100)}).to_string(),
    );
    assert_eq!(answer.status, 413, "{answer:?}");
}

#[test]
fn authentication_comes_before_the_body() {
    let server = guarded_server();
    let large = "x".repeat(2 << 20);
    for body in ["", "nope", "[]", "{}", &large] {
        let answer = server.post("/api/channels/news/?api_key=wrong", body);
        assert_error(&answer, 401, "Invalid Auth credentials provided");
    }
    let answer = server.post("/api/channels/news/?api_key=secret", "nope");
    assert_error(&answer, 400, "Request body is not valid JSON.");
}

#[test]
fn without_debug_there_is_no_debug_api() {
    let server = server();
    for target in ["/debug", "/debug/", "/debug/channels/news/"] {
        assert_error(&server.get(target), 404, "Not Found");
        assert_error(&server.post(target, "{}"), 404, "Not Found");
    }
}

#[test]
fn the_debug_api_lists_channels_and_members() {
    let server = debug_server();
    assert_eq!(
        server.debug(),
        json!({"subscribers": {}, "subscriber_count": 0})
    );

    let mut ann = server.client("ann");
    ann.join("news");
    let mut seven = server.client(7);
    seven.join("news");
    seven.join("a/b");
    let mut nameless = server.websocket();
    nameless.join("news");

    let answer = server.get("/debug/");
    assert_json(&answer);
    assert!(
        answer.text().ends_with('}'),
        "no newline: {:?}",
        answer.text()
    );
    assert_eq!(
        answer.json(),
        json!({
            "subscribers": {"all": ["ann", 7], "news": ["ann", 7, null], "a/b": [7]},
            "subscriber_count": 6,
        })
    );

    let news = json!({"subscribers": {"news": ["ann", 7, null]}, "subscriber_count": 3});
    let answer = server.get("/debug/channels/news/");
    assert_json(&answer);
    assert!(
        answer.text().ends_with('}'),
        "no newline: {:?}",
        answer.text()
    );
    assert_eq!(answer.json(), news);
    for target in ["/debug/channels/a/b/", "/debug/channels/a%2Fb"] {
        let expected = json!({"subscribers": {"a/b": [7]}, "subscriber_count": 1});
        assert_eq!(server.get(target).json(), expected, "{target}");
    }
    assert_eq!(
        server.get("/debug/channels/unknown/").json(),
        json!({"subscribers": {"unknown": []}, "subscriber_count": 0})
    );
}

#[test]
fn the_debug_api_forgets_what_is_empty() {
    let server = debug_server();
    let mut ann = server.client("ann");
    ann.join("news");
    ann.unsubscribe("news");
    ann.unsubscribe("never-existed");
    ann.settle();
    let only_ann = json!({"subscribers": {"all": ["ann"]}, "subscriber_count": 1});
    eventually_equal(&only_ann, || server.debug());
    ann.close();
    let nobody = json!({"subscribers": {}, "subscriber_count": 0});
    eventually_equal(&nobody, || server.debug());
    // Publishing to nobody leaves nothing behind.
    server.publish("/api/channels/ghost/", &json!({}));
    server.publish("/api/users/ghost/", &json!({}));
    assert_eq!(server.debug(), nobody);
}

#[test]
fn the_debug_api_is_under_the_authentication_policy() {
    let server = guarded_server();
    for target in ["/debug/", "/debug/channels/news/", "/debug/?api_key=wrong"] {
        assert_error(
            &server.get(target),
            401,
            "Invalid Auth credentials provided",
        );
    }
    for target in [
        "/debug/?api_key=secret",
        "/debug/channels/news/?api_key=secret",
    ] {
        assert_eq!(server.get(target).status, 200, "{target}");
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let server = server();
    let mut member = subscriber(&server, "news");
    let mut http = HttpConnection::open(server.address);
    for n in 0..50 {
        let body = json!({"n": n}).to_string();
        assert_ok(&http.request("POST", "/api/channels/news/", &[], Some(body.as_bytes())));
        assert_error(&http.request("GET", "/nope", &[], None), 404, "Not Found");
        let bad = http.request("POST", "/api/channels/news/", &[], Some(b"["));
        assert_error(&bad, 400, "Request body is not valid JSON.");
    }
    for n in 0..50 {
        member.expect_message(&json!({"n": n}), &Value::Null);
    }
}
