//! The real sockjs-client, in Node, against the `sockjs_test_server` example.

use crate::support::{Example, run_node};

fn run_client(transport: &str) {
    let server = Example::start("sockjs_test_server", &["--port", "0"]);
    let url = format!("http://{}", server.address);
    run_node("sockjs_client.js", &[&url, transport]);
    server.stop();
}

#[test]
fn websocket() {
    run_client("websocket");
}

#[test]
fn xhr_streaming() {
    run_client("xhr-streaming");
}

#[test]
fn eventsource() {
    run_client("eventsource");
}

#[test]
fn xhr_polling() {
    run_client("xhr-polling");
}
