//! PubNub's own SDKs from ten years: each version does once what most applications do.

use crate::support::{Process, SOON, Server, ServerOptions, python, python_packages, run_node};

const KEYS: &str = "[[apps.pubnub.key_sets]]\npublish_key = \"pub\"\nsubscribe_key = \"sub\"\n\
                    secret_key = \"sec\"\naccess_manager = true\n";

fn start() -> Server {
    let args = ["--app", "pubnub", "--persistence", "memory"];
    ServerOptions::new(&args).config(KEYS).start()
}

fn javascript(package: &str) {
    let server = start();
    run_node(
        "pubnub-versions.cjs",
        &[&server.address.to_string(), package],
    );
}

/// The version in a folder of its own, or the one of the environment.
fn python_sdk(version: Option<&str>) {
    let server = start();
    let mut command = python("pubnub_versions.py");
    command.arg(server.address.to_string());
    if let Some(version) = version {
        command.env("PYTHONPATH", python_packages(&format!("pubnub-{version}")));
    }
    let mut process = Process::start("PubNub", &mut command);
    let status = process.wait(6 * SOON);
    assert!(status.success(), "{version:?}: {status}");
}

/// It speaks the first version of subscribe.
#[test]
fn javascript_3() {
    let server = Server::start(&["--app", "pubnub", "--persistence", "memory"]);
    run_node("pubnub-3.cjs", &[&server.address.to_string()]);
}

#[test]
fn javascript_4() {
    javascript("pubnub-4");
}

#[test]
fn javascript_7() {
    javascript("pubnub-7");
}

#[test]
fn javascript_8() {
    javascript("pubnub-8");
}

#[test]
fn javascript_9() {
    javascript("pubnub-9");
}

#[test]
fn javascript_11() {
    javascript("pubnub");
}

#[test]
fn python_4() {
    python_sdk(Some("4.8.1"));
}

#[test]
fn python_7() {
    python_sdk(Some("7.4.4"));
}

#[test]
fn python_10() {
    python_sdk(None);
}
