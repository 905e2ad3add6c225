//! MQTT with clients that were not made for us: paho-mqtt and mqtt.js.

use crate::support::{
    Process, Redis, SOON, Server, ServerOptions, python, run_node,
    tls::{Files, Pair},
};

#[track_caller]
fn run(scenario: &str, server: &Server) {
    run_with(scenario, server, &[]);
}

#[track_caller]
fn run_with(scenario: &str, server: &Server, more: &[&str]) {
    let mut command = python("mqtt_scenario.py");
    command.args([&server.address.to_string(), scenario]);
    command.args(more);
    let mut process = Process::start("paho-mqtt", &mut command);
    let status = process.wait(6 * SOON);
    assert!(status.success(), "{scenario}: {status}");
}

macro_rules! python_scenarios {
    ($($name:ident),*) => {
        mod paho {
            $(
                #[test]
                fn $name() {
                    let server = super::Server::start(&[]);
                    super::run(stringify!($name), &server);
                }
            )*
        }
    };
}

python_scenarios!(
    qos_levels,
    wildcards,
    unsubscribe,
    wills,
    take_over,
    keep_alive,
    refusals,
    bad_bytes,
    version_5,
    retained,
    properties,
    request_response,
    flow_control,
    packet_sizes,
    expiry,
    subprotocols,
    aliases,
    shared,
    other_protocols,
    websocket
);

#[test]
fn the_server_says_something_of_itself() {
    let config = "[apps.emitter]\nsys_interval_secs = 1\n";
    let server = ServerOptions::new(&[]).config(config).start();
    run("sys_topics", &server);
}

#[test]
fn retained_messages_outlive_a_restart_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Server::start(&["--data-dir", folder.path().to_str().unwrap()]);
    run("retained_before", &start());
    run("remembered", &start());
}

#[test]
fn retained_messages_are_those_of_all_nodes() {
    let redis = Redis::start();
    let start = || {
        let node = Server::start(&["--backend", &redis.url()]);
        node.publish_when_ready("/api/channels/ready/", &serde_json::json!({}));
        node
    };
    let [one, two] = [start(), start()];
    // Whoever has seen a subscriber has opened what is shared; the other asks.
    run("retained_before", &one);
    run("remembered", &two);
}

#[test]
fn mqtt_js_over_tcp_and_websocket() {
    let server = Server::start(&[]);
    run_node("mqtt-scenario.cjs", &[&server.address.to_string()]);
}

#[test]
fn mqtt_js_with_what_version_5_adds() {
    let server = Server::start(&[]);
    run_node("mqtt-version-5.cjs", &[&server.address.to_string()]);
}

#[test]
fn clients_speak_tls_on_the_common_port() {
    let files = Files::of(&Pair::of("127.0.0.1"));
    let server = Server::start(&files.flags());
    let address = server.address.to_string();
    let trusted = files.certificate.to_str().unwrap();
    run_with("over_tls", &server, &[trusted]);
    run_node("mqtt-scenario.cjs", &[&address, trusted]);
}

#[test]
fn a_password_is_what_the_policy_asks_for() {
    let args = ["--auth", "api-key"];
    let config =
        "[api_key]\nkey_secret_value = \"bruce_wayne\"\n[apps.emitter]\nauthenticate = true\n";
    let server = ServerOptions::new(&args).config(config).start();
    run("password", &server);
}

#[test]
fn other_requests_are_not_taken() {
    let server = Server::start(&["--app", "emitter"]);
    for path in ["/", "/nobody", "/mqtt/more"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.get("/mqtt").status, 400, "no WebSocket");
}
