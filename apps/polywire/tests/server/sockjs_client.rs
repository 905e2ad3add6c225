//! The real sockjs-client, in Node, against the `sockjs_test_server` example.

use crate::support::{example, run_node};

fn run_client(transport: &str) {
    let server = example("sockjs_test_server", &["--port", "0"]);
    run_node("sockjs_client.js", &[&server.url(), transport]);
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
