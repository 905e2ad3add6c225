//! MQTT sessions that outlive their connections, with paho-mqtt and mqtt.js.

use std::path::Path;

use tungstenite::Message;

use crate::policies::HASH;
use crate::support::{
    CuttingProxy, MqttClient, Process, Redis, SOON, Server, ServerOptions, WebSocketClient,
    eventually, node, polywire, python, run_node,
};

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

fn on_disk(folder: &Path) -> Server {
    Server::start(&["--data-dir", folder.to_str().unwrap()])
}

/// Ends a server and starts another on what it left.
fn restarted(mut server: Server, folder: &Path, signal: &str) -> Server {
    server.process.signal(signal);
    server.process.wait(SOON);
    on_disk(folder)
}

#[test]
fn sessions_outlive_a_restart_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let server = on_disk(folder.path());
    run("before_restart", &server);
    run("after_restart", &restarted(server, folder.path(), "TERM"));
}

#[test]
fn sessions_outlive_a_server_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let server = on_disk(folder.path());
    run("before_restart", &server);
    run("after_restart", &restarted(server, folder.path(), "KILL"));
}

#[test]
fn nothing_is_lost_or_doubled_while_the_server_is_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = on_disk(folder.path());
    let proxy = cutting(&server);
    let address = proxy.address.to_string();
    // Not paho: when two attempts to connect fail one after the other it publishes again what was released.
    let mut command = node("mqtt-sessions.cjs", &[&address, &address, "3000"]);
    let mut process = Process::start("mqtt.js", &mut command);
    let mut restarts = 0;
    let status = loop {
        let cuts = proxy.cuts() + 5;
        let has_ended = eventually("more cuts", 6 * SOON, || {
            let has_ended = process.has_ended();
            (proxy.cuts() >= cuts || has_ended.is_some()).then_some(has_ended)
        });
        if let Some(status) = has_ended {
            break status;
        }
        server = restarted(server, folder.path(), "TERM");
        proxy.lead_to(server.address);
        restarts += 1;
    };
    assert!(restarts > 3, "{restarts} restarts");
    assert!(status.success(), "{status}");
}

/// Two nodes that know each other.
fn two_nodes(args: &[&str]) -> [Server; 2] {
    let nodes = [(); 2].map(|()| Server::start(args));
    let channel = "/v2/presence/sub-key/demo/channel/known";
    for (node, other) in [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])] {
        let name = node.address.to_string();
        eventually("nodes that know each other", SOON, || {
            node.get(&format!("{channel}/heartbeat?uuid={name}"));
            let there = other.get(channel);
            there.text().contains(&name).then_some(())
        });
    }
    nodes
}

#[test]
fn sessions_go_with_their_clients_to_other_nodes() {
    let redis = Redis::start();
    let [one, two] = two_nodes(&["--backend", &redis.url(), "--persistence", "redis"]);
    run_with("two_nodes", &one, &[&two.address.to_string()]);
}

#[test]
fn groups_share_subscriptions_over_nodes() {
    let redis = Redis::start();
    let [one, two] = two_nodes(&["--backend", &redis.url(), "--persistence", "redis"]);
    run_with("shared_over_nodes", &one, &[&two.address.to_string()]);
}

#[test]
fn without_a_common_store_a_client_begins_anew_on_another_node() {
    let redis = Redis::start();
    let [one, two] = two_nodes(&["--backend", &redis.url()]);
    run_with("own_stores", &one, &[&two.address.to_string()]);
}

#[test]
fn sessions_of_a_node_that_stops_wait_on_another() {
    let redis = Redis::start();
    let [mut one, two] = two_nodes(&["--backend", &redis.url(), "--persistence", "redis"]);
    run("before_death", &one);
    one.process.signal("TERM");
    one.process.wait(SOON);
    run("after_death", &two);
}

/// The other one waits for the words of the node that is gone for longer than a client may take to say CONNECT.
#[test]
fn a_client_of_a_node_that_is_killed_gets_its_session_on_another() {
    let redis = Redis::start();
    let [one, two] = two_nodes(&["--backend", &redis.url(), "--persistence", "redis"]);
    let (mut client, _) = MqttClient::connect(one.address, "device");
    client.subscribe("a");
    one.process.signal("KILL");
    client.wait_for_end();
    let (mut client, was_there) = MqttClient::connect(two.address, "device");
    assert!(was_there);
    client.publish("b", "x");
}

/// Users with the password `hunter2`, and who may take back what they have.
const USERS: &str = "
auth = 'roles'
[roles]
role.device = { read = 'iot/{client}/#', write = 'iot/{client}/#' }
role.operator = { manage = '#' }
users = [
    { name = 'ann', password = 'HASH', roles = 'device' },
    { name = 'bob', password = 'HASH', roles = 'device' },
]
keys = [{ id = 'operator', key = 'a key of an operator', roles = 'operator' }]
[apps.emitter]
authenticate = true
";

fn with_users(args: &[&str]) -> Server {
    let config = USERS.replace("HASH", HASH);
    ServerOptions::new(args).config(&config).start()
}

/// Takes back what ann has, or gives it back.
fn revoke_ann(server: &Server, more: &[&str]) {
    let mut command = polywire();
    command.args(["revoke", "--client", "ann", "--server"]);
    command.arg(format!("http://{}", server.address));
    command.args(["--header", "Authorization: Bearer a key of an operator"]);
    let output = command.args(more).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_session_on_disk_is_of_its_user_and_ends_with_what_that_may() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--data-dir", folder.path().to_str().unwrap()];
    let restart = |mut server: Server| {
        server.process.signal("TERM");
        server.process.wait(SOON);
        with_users(&args)
    };
    let server = with_users(&args);
    run("users_before", &server);
    let server = restart(server);
    run("users_after", &server);
    // Taken back while nobody has a connection, and before the sessions are read.
    let server = restart(server);
    revoke_ann(&server, &[]);
    let server = restart(server);
    run("users_revoked", &server);
    revoke_ann(&server, &["--lift"]);
    run("users_given_back", &server);
}

#[test]
fn a_session_that_waits_on_another_node_ends_with_what_its_user_may() {
    let redis = Redis::start();
    let [mut one, two] =
        [(); 2].map(|()| with_users(&["--backend", &redis.url(), "--persistence", "redis"]));
    run("users_before", &one);
    one.process.signal("TERM");
    one.process.wait(SOON);
    run("users_after", &two);
    revoke_ann(&two, &[]);
    run("users_revoked", &two);
    revoke_ann(&two, &["--lift"]);
    run("users_given_back", &two);
}

/// Each would hold a descriptor for as long as its session lasts: a week.
#[test]
fn a_session_whose_client_is_away_holds_no_connection() {
    const SESSIONS: usize = 2000;
    let server = Server::start(&[]);
    let connect = |n: usize| MqttClient::connect(server.address, &format!("away-{n}"));
    let (mut publisher, _) = MqttClient::connect(server.address, "publisher");
    let before = server.process.descriptors();
    for n in 0..SESSIONS {
        let (mut client, was_there) = connect(n);
        assert!(!was_there);
        client.subscribe(&format!("away/{n}"));
        match n % 5 {
            0 => client.disconnect(),
            1 => client.finish(),
            2 => client.reset(),
            // One over WebSocket takes the session over, and is closed without a word.
            3 => {
                let mut other = WebSocketClient::open(server.address, "/mqtt").socket;
                let packet = MqttClient::connect_packet(&format!("away-{n}"));
                other.send(Message::binary(packet)).unwrap();
                let answer = other.read().unwrap().into_data();
                assert_eq!(answer[..], [0x20, 2, 1, 0]);
                client.wait_for_end();
            }
            // Another connection takes the session over.
            _ => {
                let (other, was_there) = connect(n);
                assert!(was_there);
                client.wait_for_end();
                other.disconnect();
            }
        }
    }
    eventually("descriptors as before", SOON, || {
        (server.process.descriptors() <= before).then_some(())
    });
    for n in (0..SESSIONS).step_by(97) {
        publisher.publish(&format!("away/{n}"), &format!("for {n}"));
        let (mut client, was_there) = connect(n);
        assert!(was_there, "session {n}");
        assert_eq!(client.message(), format!("for {n}"));
    }
}
