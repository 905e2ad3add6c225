//! The programs in `examples/`, run as a reader would.

use serde_json::{Value, json};

use crate::support::{HttpConnection, SOON, Server, example};

fn post(server: &Server, target: &str, headers: &[(&str, &str)], message: &Value) -> u16 {
    let body = message.to_string();
    server
        .request("POST", target, headers, Some(body.as_bytes()))
        .status
}

#[test]
fn my_very_own_app() {
    let mut server = example("my_very_own_app", &["0"]);
    let answer = server.get("/debug/?batman=bruce_wayne");
    assert_eq!(
        answer.json(),
        json!({"subscribers": {}, "subscriber_count": 0})
    );
    assert_eq!(server.get("/debug/").status, 401);
    assert_eq!(server.get("/debug/?api_key=secret").status, 401);
    let target = "/api/channels/news/?batman=bruce_wayne";
    assert_eq!(post(&server, target, &[], &json!({"my": "data"})), 200);
    server
        .process
        .wait_for_line(SOON, |line| line.contains("KABOOM !").then_some(()));
    server.process.signal("INT");
    assert_eq!(server.process.wait(SOON).code(), Some(0));
}

#[test]
fn custom_authentication() {
    let server = example("custom_authentication", &["0"]);
    let ann = [("Authorization", "Basic YW5uOndvbmRlcg==")];
    let bob = [("Authorization", "Basic Ym9iOmJ1aWxkZXI=")];
    let message = json!({"hello": "all"});
    assert_eq!(post(&server, "/api/channels/news/", &ann, &message), 200);
    assert_eq!(
        post(&server, "/api/channels/sport/ball/", &ann, &message),
        200
    );
    assert_eq!(post(&server, "/api/channels/news/", &bob, &message), 403);
    assert_eq!(
        post(&server, "/api/channels/sport/ball/", &bob, &message),
        200
    );
    assert_eq!(post(&server, "/api/channels/news/", &[], &message), 401);
    let wrong = [("Authorization", "Basic YW5uOndyb25n")];
    assert_eq!(post(&server, "/api/channels/news/", &wrong, &message), 401);
}

#[test]
fn custom_backend() {
    let mut first = example("custom_backend", &["0"]);
    let second = first.process.wait_for_line(SOON, |line| {
        line.strip_prefix("listening on http://")?.parse().ok()
    });
    let mut client = first.client("ann");
    client.join("news");
    let body = json!({"from": "afar"}).to_string();
    let mut http = HttpConnection::open(second);
    let answer = http.request("POST", "/api/channels/news/", &[], Some(body.as_bytes()));
    assert_eq!(answer.status, 200);
    client.expect_message(&json!({"from": "afar"}), &Value::Null);
}

#[test]
fn custom_dispatcher() {
    let mut server = example("custom_dispatcher", &["0"]);
    let mut client = server.websocket();
    client.subscribe("board");
    assert_eq!(client.expect_error(), "The board meets in private.");
    client.join("chat");
    server.publish("/api/channels/chat/", &json!({"text": "what the heck"}));
    client.expect_message(&json!({"text": "what the ****"}), &Value::Null);
    server.publish("/api/channels/chat/", &json!({"draft": true}));
    server.publish("/api/channels/chat/", &json!({"text": "done"}));
    client.expect_message(&json!({"text": "done"}), &Value::Null);
    server.process.signal("TERM");
    assert_eq!(client.expect_close(SOON).0, 3000);
    let output = server.process.output();
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.ends_with("2 messages were published"), "{printed}");
}

#[test]
fn mounted_in_warp() {
    let server = example("mounted_in_warp", &["0"]);
    let mut client = server.client("ann");
    client.join("orders");
    let answer = server.get("/order/42");
    assert_eq!(
        (answer.status, answer.text()),
        (200, "order 42 is on its way\n")
    );
    client.expect_message(&json!({"order": 42}), &Value::Null);
    server.publish("/api/channels/orders/", &json!({"n": 1}));
    client.expect_message(&json!({"n": 1}), &Value::Null);
    assert_eq!(server.get("/nope").status, 404);
}
