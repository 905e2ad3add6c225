//! kn-sock with its own Python client, and with clients of Seth-Pusher on the same port.

use serde_json::{Value, json};

use crate::support::{LineSocket, Process, SOON, Server, python};

/// Runs a scenario of the real `PubSubClient` to its end.
#[track_caller]
fn scenario(name: &str) {
    let server = Server::start(&[]);
    let mut command = python("knsock_scenario.py");
    command.args([&server.address.to_string(), name]);
    let mut process = Process::start("kn-sock", &mut command);
    let status = process.wait(4 * SOON);
    assert!(status.success(), "{name}: {status}");
}

macro_rules! scenarios {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            scenario(stringify!($name));
        }
    )*};
}

scenarios!(
    subscribe_and_unsubscribe,
    own_messages,
    many_topics,
    many_subscribers,
    ordered,
    unicode,
    structured,
    large
);

#[test]
fn a_page_and_a_script_share_a_channel_on_one_port() {
    let server = Server::start(&[]);
    let mut raw = server.websocket();
    raw.join("shared");
    let mut framed =
        crate::support::WebSocketClient::open(server.address, "/connect/1/page/websocket");
    assert_eq!(framed.receive_text(), "o");
    framed.send_text(r#"["{\"type\":\"subscribe\",\"channel\":\"shared\"}"]"#);
    let notice = json!({"message": {"type": "subscribe", "subscriber_id": null,
        "body": "User: None subscribed to shared"}});
    raw.expect(&notice);
    assert!(framed.receive_text().starts_with("a["));

    let mut command = python("knsock_scenario.py");
    command.args([&server.address.to_string(), "answers"]);
    let mut script = Process::start("kn-sock", &mut command);
    script.wait_for_line(SOON, |line| (line == "ready").then_some(()));

    // From the page's back end to the script, and from the script to the page.
    server.publish("/api/channels/questions/", &json!({"n": 1}));
    let answer = json!({"answer to": {"n": 1}});
    raw.expect_message(&answer, &Value::Null);
    let array = framed.receive_text();
    let texts: Vec<String> = serde_json::from_str(array.strip_prefix('a').unwrap()).unwrap();
    let message: Value = serde_json::from_str(&texts[0]).unwrap();
    assert_eq!(message, json!({"message": answer, "sender_id": null}));

    let mut line = LineSocket::open(server.address);
    line.publish("questions", "stop");
    assert!(script.wait(SOON).success());
}

#[test]
fn presence_of_others_is_not_sent_to_scripts() {
    let server = Server::start(&[]);
    let mut script = LineSocket::subscribed(server.address, "shared");
    let mut page = server.websocket();
    page.join("shared");
    page.close();
    server.publish("/api/channels/shared/", &json!({"a": 1}));
    script.expect("shared", json!({"a": 1}));
    script.expect_silence();
}
