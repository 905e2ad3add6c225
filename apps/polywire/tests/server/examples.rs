//! Every program under `examples/` does what it says.

use serde_json::{Value, json};

use crate::support::{Example, SOON, WebSocketClient};

const CONNECT: &str = "/connect/websocket";

/// The command that Seth-Pusher's tutorial ends with: `curl http://localhost:6666/debug/?batman=...`.
#[test]
fn my_very_own_app() {
    let mut app = Example::start("my_very_own_app", &["0"]);
    assert_eq!(app.http().request("GET", "/debug/", &[], None).status, 401);
    let debug = app
        .http()
        .request("GET", "/debug/?batman=bruce_wayne", &[], None);
    let nobody = json!({"subscribers": {}, "subscriber_count": 0});
    assert_eq!((debug.status, debug.json()), (200, nobody));

    let mut client = WebSocketClient::open(app.address, CONNECT);
    client.join("news");
    let target = "/api/channels/news/?batman=bruce_wayne";
    let answer = app
        .http()
        .request("POST", target, &[], Some(br#"{"my": "data"}"#));
    assert_eq!(answer.status, 200);
    client.expect_message(&json!({"my": "data"}), &Value::Null);
    app.process
        .wait_for_line(SOON, |line| (line == "KABOOM !").then_some(()));
    app.stop();
}

#[test]
fn custom_authentication() {
    let app = Example::start("custom_authentication", &["0"]);
    let publish = |channel: &str, user: &[(&str, &str)]| {
        let target = format!("/api/channels/{channel}/");
        app.http()
            .request("POST", &target, user, Some(b"{}"))
            .status
    };
    let ann = [("Authorization", "Basic YW5uOndvbmRlcg==")];
    let bob = [("Authorization", "Basic Ym9iOmJ1aWxkZXI=")];
    assert_eq!(publish("news", &[]), 401);
    assert_eq!(
        publish("news", &[("Authorization", "Basic Ym9iOndyb25n")]),
        401
    );
    assert_eq!(publish("news", &ann), 200);
    assert_eq!(publish("news", &bob), 403);
    assert_eq!(publish("sport/chess", &bob), 200);
    app.stop();
}

#[test]
fn custom_backend() {
    let mut app = Example::start("custom_backend", &[]);
    let second = app.next_address();
    let mut here = WebSocketClient::open(app.address, CONNECT);
    let mut there = WebSocketClient::open(second, CONNECT);
    here.join("news");
    // The bus serves one node after the other: `here` has its notice while it is still on its way there.
    there.settle();
    there.join("news");
    // The second one's notice crosses over too.
    here.expect_notice("subscribe", Value::Null, "User: None subscribed to news");
    let target = "/api/channels/news/";
    assert_eq!(
        app.http()
            .request("POST", target, &[], Some(br#"{"n": 1}"#))
            .status,
        200
    );
    here.expect_message(&json!({"n": 1}), &Value::Null);
    there.expect_message(&json!({"n": 1}), &Value::Null);
    app.stop();
}

#[test]
fn custom_dispatcher() {
    let mut app = Example::start("custom_dispatcher", &["0"]);
    let mut client = WebSocketClient::open(app.address, CONNECT);
    client.subscribe("board");
    assert_eq!(client.expect_error(), "The board meets in private.");
    client.join("chat");
    for message in [
        r#"{"text": "what the heck"}"#,
        r#"{"state": "draft"}"#,
        r#"{"text": "end"}"#,
    ] {
        let target = "/api/channels/chat/";
        assert_eq!(
            app.http()
                .request("POST", target, &[], Some(message.as_bytes()))
                .status,
            200
        );
    }
    client.expect_message(&json!({"text": "what the ****"}), &Value::Null);
    client.expect_message(&json!({"text": "end"}), &Value::Null);
    app.process.wait_for_line(SOON, |line| {
        line.starts_with("message 2 went").then_some(())
    });
    app.stop();
}

#[test]
fn mounted_in_warp() {
    let app = Example::start("mounted_in_warp", &["0"]);
    let mut client = WebSocketClient::open(app.address, CONNECT);
    client.join("orders");
    let answer = app.http().request("GET", "/order/42", &[], None);
    assert_eq!(
        (answer.status, answer.text()),
        (200, "order 42 is on its way\n")
    );
    client.expect_message(&json!({"order": 42}), &Value::Null);
    let answer = app
        .http()
        .request("POST", "/api/channels/orders/", &[], Some(b"{\"n\": 1}"));
    assert_eq!(answer.status, 200);
    client.expect_message(&json!({"n": 1}), &Value::Null);
    app.stop();
}
