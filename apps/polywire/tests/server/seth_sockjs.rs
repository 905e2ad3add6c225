//! Seth-Pusher through the real sockjs-client, over each transport that it has.

use crate::support::{Server, run_node};

/// Runs the scenario in Node.
fn node(transport: &str) {
    let server = Server::start(&[]);
    run_node("seth-node.mjs", &[&server.url(), transport]);
}

/// Runs the scenario in headless Chromium.
fn chromium(transports: &[&str]) {
    let server = Server::start(&[]);
    let profile = tempfile::tempdir().unwrap();
    let url = server.url();
    let mut args = vec![url.as_str(), profile.path().to_str().unwrap()];
    args.extend(transports);
    run_node("seth-browser.mjs", &args);
}

#[test]
fn node_websocket() {
    node("websocket");
}

#[test]
fn node_xhr_streaming() {
    node("xhr-streaming");
}

#[test]
fn node_eventsource() {
    node("eventsource");
}

#[test]
fn node_xhr_polling() {
    node("xhr-polling");
}

// One browser for several transports: to start one takes longer than to run the scenario.

#[test]
fn chromium_websocket_and_streaming() {
    chromium(&["websocket", "xhr-streaming", "eventsource", "htmlfile"]);
}

#[test]
fn chromium_polling() {
    chromium(&["xhr-polling", "jsonp-polling"]);
}

#[test]
fn chromium_through_iframes() {
    chromium(&[
        "iframe-eventsource",
        "iframe-htmlfile",
        "iframe-xhr-polling",
    ]);
}
