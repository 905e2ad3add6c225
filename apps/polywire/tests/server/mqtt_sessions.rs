//! MQTT sessions that outlive their connections, with paho-mqtt and mqtt.js.

use crate::support::{CuttingProxy, Process, SOON, Server, ServerOptions, python, run_node};

#[track_caller]
fn run(scenario: &str, server: &Server) {
    run_with(scenario, server, &[]);
}

#[track_caller]
fn run_with(scenario: &str, server: &Server, args: &[&str]) {
    let mut command = python("mqtt_sessions.py");
    command.args([&server.address.to_string(), scenario]);
    command.args(args);
    let mut process = Process::start("paho-mqtt", &mut command);
    let status = process.wait(12 * SOON);
    assert!(status.success(), "{scenario}: {status}");
}

macro_rules! scenarios {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name), &Server::start(&[]));
            }
        )*
    };
}

scenarios!(
    waiting,
    other_version,
    expiry,
    will_delay,
    taken_over,
    shared
);

#[test]
fn a_session_lasts_no_longer_than_the_server_is_set_to() {
    let config = "[apps.emitter]\nsession_expiry_secs_max = 1\n";
    let server = ServerOptions::new(&[]).config(config).start();
    run("bounded", &server);
}

/// Cuts connections anywhere. Most have room for more than the thousand messages that may be on their way, all of
/// which come again.
fn cutting(server: &Server) -> CuttingProxy {
    CuttingProxy::start(server.address, |n| 100 + n * 7919 % 40_000)
}

#[test]
fn nothing_is_lost_or_doubled_when_connections_are_cut() {
    let server = Server::start(&[]);
    let proxy = cutting(&server);
    run_with(
        "exactly_once",
        &server,
        &[&proxy.address.to_string(), "10000"],
    );
    assert!(proxy.cuts() > 40, "{} cuts", proxy.cuts());
}

#[test]
fn nothing_is_lost_or_doubled_with_mqtt_js() {
    let server = Server::start(&[]);
    let proxy = cutting(&server);
    let (address, proxied) = (server.address.to_string(), proxy.address.to_string());
    run_node("mqtt-sessions.cjs", &[&address, &proxied, "10000"]);
    assert!(proxy.cuts() > 40, "{} cuts", proxy.cuts());
}
