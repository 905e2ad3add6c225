//! MQTT with clients that were not made for us: paho-mqtt and mqtt.js.

use crate::{
    policies::HASH,
    support::{
        Process, Redis, SOON, Server, ServerOptions, node, python, run_node,
        tls::{Files, Pair},
    },
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
fn each_user_name_has_rights_of_its_own() {
    let user =
        |name: &str| format!("{{ name = '{name}', password = '{HASH}', roles = 'resident' }}");
    let config = format!(
        "
        auth = 'roles'
        apps.emitter.authenticate = true
        [roles]
        role.resident = {{ read = 'home/{{client}}/#', write = 'home/{{client}}/#', apps = 'emitter' }}
        users = [{}, {}]
        ",
        user("ann"),
        user("bob")
    );
    run("users", &ServerOptions::new(&[]).config(&config).start());
}

/// Thousands of retained messages, births and wills, commands, and restarts, as Home Assistant and zigbee2mqtt have them.
#[test]
fn a_home_and_its_hub() {
    let server = Server::start(&[]);
    let (address, devices) = (server.address.to_string(), "2000");
    let mut hub = Process::start(
        "mqtt-home.cjs",
        &mut node("mqtt-home.cjs", &[&address, devices]),
    );
    let mut command = python("mqtt_home.py");
    command.args([&address, devices]);
    let mut home = Process::start("mqtt_home.py", &mut command);
    let status = home.wait(6 * SOON);
    assert!(status.success(), "{status}");
    let status = hub.wait(SOON);
    assert!(status.success(), "{status}");
}

#[test]
fn other_requests_are_not_taken() {
    let server = Server::start(&["--app", "emitter"]);
    for path in ["/", "/nobody", "/mqtt/more"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    for path in ["/mqtt", "/mqtt/"] {
        assert_eq!(server.get(path).status, 400, "no WebSocket");
    }
}
