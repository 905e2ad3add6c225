//! Azure Web PubSub with the vendor's own SDKs.

use std::process::Command;

use tungstenite::client::IntoClientRequest;

use crate::{
    command_line::run as run_command,
    support::{
        HttpConnection, Process, Redis, SOON, Server, ServerOptions,
        azure::{AzureClient, JSON, client_path, service},
        config_file, eventually, node, python, run_node,
        tls::{Files, Pair},
    },
};

const KEY: &str = "AAAA+test/key=";

fn server(args: &[&str]) -> Server {
    let config = format!("[apps.webpubsub]\naccess_key = \"{KEY}\"\nrecovery_secs = 60\n");
    ServerOptions::new(args).config(&config).start()
}

#[track_caller]
fn run(scenario: &str, address: &str, more: &[&str]) {
    let mut command = python("webpubsub_scenario.py");
    command.args([address, KEY, scenario]).args(more);
    let mut process = Process::start("Azure Web PubSub", &mut command);
    let status = process.wait(12 * SOON);
    assert!(status.success(), "{scenario}: {status}");
}

macro_rules! python_scenarios {
    ($($name:ident),*) => {
        mod python_sdk {
            $(
                #[test]
                fn $name() {
                    let server = super::server(&[]);
                    super::run(stringify!($name), &server.address.to_string(), &[]);
                }
            )*
        }
    };
}

python_scenarios!(
    groups,
    rights,
    taken_rights,
    duplicates,
    rest,
    other_protocols,
    cuts_async,
    cuts_threads,
    half_open_async,
    half_open_threads,
    recovery_too_late
);

/// With the client SDK that most use, or with the newest.
macro_rules! javascript_scenarios {
    ($sdk:ident $(, $name:ident)*) => {
        mod $sdk {
            $(
                #[test]
                fn $name() {
                    let server = super::server(&[]);
                    let address = server.address.to_string();
                    let release = if stringify!($sdk).contains("newest") { "newest" } else { "" };
                    let args = [&address, super::KEY, stringify!($name), release];
                    super::run_node("webpubsub-scenario.cjs", &args);
                }
            )*
        }
    };
}

javascript_scenarios!(
    javascript_sdk,
    groups,
    strings,
    refusals,
    log_stream,
    rest,
    stop,
    cuts,
    half_open,
    protobuf,
    protobuf_cuts
);
javascript_scenarios!(
    newest_javascript_sdk,
    groups,
    strings,
    refusals,
    log_stream,
    rest,
    stop,
    half_open,
    protobuf
);

/// The client for Python with threads sends, then begins to wait: on a busy core it would miss answers that come meanwhile,
/// and wait for its time to run out.
#[test]
fn a_client_with_threads_misses_no_answer_on_a_busy_core() {
    // The first that this process may use.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let cores = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let core: String = cores
        .unwrap()
        .trim()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let on_one_core = |command: &Command| {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &core]).arg(command.get_program());
        pinned.args(command.get_args());
        pinned
    };
    let server = server(&[]);
    // All threads that it has by now.
    let pin = format!("taskset -a -p -c {core} {}", server.process.pid());
    let pinned = Command::new("sh").args(["-c", &pin]).output().unwrap();
    assert!(pinned.status.success(), "{pinned:?}");
    let mut command = python("webpubsub_scenario.py");
    let mut spinning = on_one_core(&Command::new(command.get_program()));
    spinning.args(["-c", "while True: pass"]);
    let _spinning = Process::start("a spinning program", &mut spinning);
    command.args([&server.address.to_string(), KEY, "busy_core", "60"]);
    let mut process = Process::start("Azure Web PubSub", &mut on_one_core(&command));
    let status = process.wait(12 * SOON);
    assert!(status.success(), "{status}");
}

/// The handler with the vendor's SDK, and a server that calls it for the hub `default`.
fn with_handler() -> (Process, Server) {
    let (handler, port) = handler(&[]);
    let config = handler_config("http", port);
    let server = ServerOptions::new(&[]).config(&config).start();
    (handler, server)
}

/// The handler, and its port.
fn handler(more: &[&str]) -> (Process, u16) {
    let script = "webpubsub-handler.cjs";
    let args = [&[KEY, "polywire.test"], more].concat();
    let mut handler = Process::start(script, &mut node(script, &args));
    let port = |line: &str| line.strip_prefix("port ")?.parse::<u16>().ok();
    let port = handler.wait_for_line(SOON, port);
    (handler, port)
}

/// The configuration of a server that calls it for the hub `default`.
fn handler_config(scheme: &str, port: u16) -> String {
    format!(
        r#"
        [apps.webpubsub]
        access_key = "a new key"
        secondary_access_key = "{KEY}"
        webhook_origin = "polywire.test"
        [apps.webpubsub.hubs.open]
        anonymous = true
        [[apps.webpubsub.hubs.default.event_handlers]]
        url = "{scheme}://localhost:{port}/api/webpubsub/hubs/{{hub}}/{{event}}"
        system_events = ["connect", "connected", "disconnected"]
        allow_private_addresses = true
        authorization = "Bearer a-secret"
        "#
    )
}

#[test]
fn events_reach_a_handler_with_the_sdk() {
    events_reach_a_handler("");
}

#[test]
fn events_reach_a_handler_with_the_newest_sdk() {
    events_reach_a_handler("newest");
}

fn events_reach_a_handler(release: &str) {
    let more = if release.is_empty() {
        vec![]
    } else {
        vec![release]
    };
    let (mut handler, port) = handler(&more);
    let server = ServerOptions::new(&[])
        .config(&handler_config("http", port))
        .start();
    let address = server.address.to_string();
    let args = [&address, KEY, "events", release];
    run_node("webpubsub-scenario.cjs", &args);
    // What was told to it, in order: of two connections, the state after the last event.
    let lines = |line: &str| line.contains("connected ").then(|| line.to_owned());
    let mut told: Vec<String> = (0..4).map(|_| handler.wait_for_line(SOON, lines)).collect();
    told.sort();
    let ended = "disconnected user-ann 29 The client has left";
    assert_eq!(
        told,
        ["connected user-ann 0", "connected user-ann 0", ended, ended]
    );
}

/// After the vendor's sample: an event handler that is a service too, and clients with a subprotocol and without.
#[test]
fn a_chat_room_works_as_in_the_sample() {
    for release in ["", "newest"] {
        let script = "webpubsub-chat.cjs";
        let args: Vec<_> = [KEY, release]
            .into_iter()
            .filter(|arg| !arg.is_empty())
            .collect();
        let mut handler = Process::start(script, &mut node(script, &args));
        let port = |line: &str| line.strip_prefix("port ")?.parse::<u16>().ok();
        let port = handler.wait_for_line(SOON, port);
        let config = format!(
            r#"
            [apps.webpubsub]
            access_key = "{KEY}"
            [[apps.webpubsub.hubs.CHAT.event_handlers]]
            url = "http://localhost:{port}/eventhandler"
            system_events = ["connect", "Connected", "disconnected"]
            user_events = "Message, room, whisper"
            allow_private_addresses = true
            "#
        );
        let server = ServerOptions::new(&[]).config(&config).start();
        let target = format!("/run?server={}", server.address);
        let answer =
            HttpConnection::open(([127, 0, 0, 1], port).into()).request("GET", &target, &[], None);
        assert_eq!((answer.status, answer.text()), (200, "done"), "{release}");
    }
}

#[test]
fn events_of_python_clients_reach_a_handler() {
    let (_handler, server) = with_handler();
    run("events", &server.address.to_string(), &[]);
}

#[test]
fn a_handler_may_be_behind_tls() {
    let files = Files::of(&Pair::new());
    let (certificate, key) = (
        files.certificate.to_str().unwrap(),
        files.key.to_str().unwrap(),
    );
    let (mut handler, port) = handler(&[certificate, key]);
    let config = handler_config("https", port);
    let trusting = ServerOptions::new(&[]).env("SSL_CERT_FILE", certificate);
    let server = trusting.config(&config).start();
    let (mut client, _) =
        AzureClient::open(server.address, JSON, &serde_json::json!({"sub": "ann"}));
    let told = handler.wait_for_line(SOON, |line| Some(line.to_owned()));
    assert_eq!(told, "connected user-ann 0");
    let echo = serde_json::json!({"type": "event", "event": "echo", "data": [1], "ackId": 1});
    client.send(&echo);
    assert_eq!(client.receive()["data"], serde_json::json!([1]));
    // A certificate that nobody vouches for is not taken.
    let server = ServerOptions::new(&[]).config(&config).start();
    let path = client_path(&serde_json::json!({}));
    let refused = AzureClient::try_open(server.address, &path, JSON, &[]);
    assert_eq!(refused.err(), Some(502));
}

#[test]
fn handlers_learn_of_clients_on_two_nodes() {
    let (mut handler, port) = handler(&[]);
    let (_redis, one, two) = two_nodes(&handler_config("http", port));
    let mut clients: Vec<_> = [("ann", &one), ("bob", &two)]
        .map(|(user, node)| {
            AzureClient::open(node.address, JSON, &serde_json::json!({"sub": user}))
        })
        .into();
    for (client, hello) in &mut clients {
        let user = hello["userId"].as_str().unwrap();
        client.send(&serde_json::json!({"type": "event", "event": "count", "data": 1, "ackId": 1}));
        let said = format!("0 of {user} in undefined");
        assert_eq!(client.receive()["data"], said.as_str());
    }
    // Each is closed by the node where it is not.
    for ((_, hello), node) in clients.iter().zip([&two, &one]) {
        let (id, user) = (&hello["connectionId"], hello["userId"].as_str().unwrap());
        let id = id.as_str().unwrap();
        let target = format!("/api/hubs/default/connections/{id}?api-version=1&reason=go");
        assert_eq!(
            service(node.address, "DELETE", &target, "", None).status,
            204
        );
        let ended = format!("disconnected {user} 1 go");
        handler.wait_for_line(SOON, |line| (line == ended).then_some(()));
    }
}

#[test]
fn an_event_that_fails_leaves_its_connection() {
    let (_handler, server) = with_handler();
    for subprotocol in [JSON, "json.reliable.webpubsub.azure.v1"] {
        let claims = serde_json::json!({"sub": "ann"});
        let (mut client, _) = AzureClient::open(server.address, subprotocol, &claims);
        let fail = serde_json::json!({"type": "event", "event": "fail", "data": 1, "ackId": 1});
        let answer = client.ask(&fail);
        assert_eq!(answer["error"]["name"], "InternalServerError");
        // What a handler says of itself is for those who run it.
        let said = answer["error"]["message"].as_str().unwrap();
        assert_eq!(said, "The event handler answered 500.");
        client.send(&serde_json::json!({"type": "event", "event": "fail", "data": 1}));
        client.settled();
    }
}

/// What the token says counts where the handler says nothing.
#[test]
fn the_answer_to_connect_takes_the_place_of_the_token() {
    let (_handler, server) = with_handler();
    let claims = serde_json::json!({"sub": "ann", "webpubsub.group": ["of the token"]});
    let (mut client, hello) = AzureClient::open(server.address, JSON, &claims);
    assert_eq!(hello["userId"], "user-ann");
    // The handler gives the role to send, and nothing else.
    let join = serde_json::json!({"type": "joinGroup", "group": "g", "ackId": 1});
    assert_eq!(client.fails(&join), "Forbidden");
    client.done(&serde_json::json!({"type": "sendToGroup", "group": "g", "data": 1, "ackId": 2}));
    let members = |group: &str| {
        let target = format!("/api/hubs/default/groups/{group}?api-version=1");
        service(server.address, "HEAD", &target, "", None).status
    };
    assert_eq!((members("lobby"), members("of%20the%20token")), (200, 404));
    let claims = serde_json::json!({"sub": "plain", "webpubsub.group": ["of the token"]});
    let (mut client, hello) = AzureClient::open(server.address, JSON, &claims);
    assert_eq!(hello["userId"], "plain");
    client.done(&join);
    assert_eq!(members("of%20the%20token"), 200);
    let claims = serde_json::json!({"sub": "none"});
    let (mut client, _) = AzureClient::open(server.address, JSON, &claims);
    let send = serde_json::json!({"type": "sendToGroup", "group": "g", "data": 1, "ackId": 2});
    for frame in [join, send] {
        assert_eq!(client.fails(&frame), "Forbidden");
    }
}

/// It cannot tell of them itself.
#[test]
fn a_handler_is_told_of_the_connections_of_a_node_that_was_killed() {
    let (mut handler, port) = handler(&[]);
    let (_redis, one, mut two) = two_nodes(&handler_config("http", port));
    let mut clients = Vec::new();
    for (user, node) in [("ann", &two), ("bob", &two), ("eve", &one)] {
        let (mut client, _) =
            AzureClient::open(node.address, JSON, &serde_json::json!({"sub": user}));
        let connected = format!("connected user-{user} 0");
        handler.wait_for_line(SOON, |line| (line == connected).then_some(()));
        let count = serde_json::json!({"type": "event", "event": "silent", "data": 1, "ackId": 1});
        client.done(&count);
        clients.push(client);
    }
    two.process.signal("KILL");
    two.process.wait(SOON);
    let lost = |line: &str| {
        let lost = line.strip_prefix("disconnected ");
        // Clients by which the nodes got to know each other.
        let lost = lost.filter(|lost| !lost.starts_with("user-x "));
        lost.map(str::to_owned)
    };
    let mut told: Vec<_> = (0..2)
        .map(|_| handler.wait_for_line(2 * SOON, lost))
        .collect();
    told.sort();
    // With their state.
    let expected =
        ["ann", "bob"].map(|user| format!("user-{user} 1 The server of the connection is gone"));
    assert_eq!(told, expected);
    // The other's is not, until it ends.
    let target = "/api/hubs/default/:closeConnections?api-version=1&reason=over";
    assert_eq!(service(one.address, "POST", target, "", None).status, 204);
    assert_eq!(handler.wait_for_line(SOON, lost), "user-eve 1 over");
}

/// A node that the others took for gone finds that a handler has been told of its connections.
#[test]
fn a_handler_is_told_once_of_the_connections_of_a_node_that_comes_back() {
    let (mut handler, port) = handler(&[]);
    let (_redis, one, two) = two_nodes(&handler_config("http", port));
    let open = |user: &str| {
        let (client, _) = AzureClient::open(two.address, JSON, &serde_json::json!({"sub": user}));
        client
    };
    let mut ann = open("ann");
    handler.wait_for_line(SOON, |line| (line == "connected user-ann 0").then_some(()));
    two.process.pause();
    let lost = "disconnected user-ann 0 The server of the connection is gone";
    handler.wait_for_line(2 * SOON, |line| (line == lost).then_some(()));
    two.process.signal("CONT");
    // What is sent to it comes behind what it missed.
    let send = |text: &str| {
        let target = "/api/hubs/default/:send?api-version=1";
        service(
            one.address,
            "POST",
            target,
            "text/plain",
            Some(text.as_bytes()),
        )
        .status
            == 202
    };
    eventually("a node that is back", SOON, || send("back").then_some(()));
    while ann.receive()["data"] != "back" {}
    drop(ann);
    let eve = open("eve");
    drop(eve);
    let eve_left = "disconnected user-eve 0 The client has left";
    handler.wait_for_line(SOON, |line| (line == eve_left).then_some(()));
    let told = |line: &&String| line.starts_with("disconnected user-ann");
    assert_eq!(handler.stdout().iter().filter(told).count(), 1);
}

/// The URL of a client of the hub `default`.
fn client_url(server: &Server) -> String {
    let address = server.address.to_string();
    let flags = ["--hub", "default", "--user", "bob", "--server", &address];
    let token = ["token", "webpubsub", "--key", KEY];
    let output = run_command(&[&token, &flags[..]].concat());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_handler_is_told_that_connections_end_when_the_server_stops() {
    let (mut handler, server) = with_handler();
    let url = client_url(&server);
    // A request that is no handshake is nobody who connects.
    let target = &url[url.find("/client").unwrap()..];
    assert_ne!(server.get(target).status, 101);
    let mut sockets = Vec::new();
    for subprotocol in [
        "json.webpubsub.azure.v1",
        "json.reliable.webpubsub.azure.v1",
    ] {
        let mut request = url.as_str().into_client_request().unwrap();
        let offer = subprotocol.parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", offer);
        sockets.push(tungstenite::connect(request).unwrap());
        let told = handler.wait_for_line(SOON, |line| Some(line.to_owned()));
        assert_eq!(told, "connected user-bob 0");
    }
    server.process.signal("TERM");
    for _ in &sockets {
        let told = handler.wait_for_line(SOON, |line| Some(line.to_owned()));
        assert!(told.starts_with("disconnected user-bob 0"), "{told}");
    }
}

#[test]
fn simple_clients_speak_with_a_handler_as_it_chooses() {
    let (mut handler, server) = with_handler();
    let mut request = client_url(&server).into_client_request().unwrap();
    let offers = "other, chat.v1".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offers);
    let (mut socket, answer) = tungstenite::connect(request).unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat.v1");
    socket.send("hello".into()).unwrap();
    assert_eq!(socket.read().unwrap(), "hello".into());
    socket.close(None).unwrap();
    let ended = |line: &str| line.strip_prefix("disconnected ").map(str::to_owned);
    let ended = handler.wait_for_line(SOON, ended);
    assert_eq!(ended, "user-bob 1 The client has left");
}

#[test]
fn a_hub_may_let_clients_in_without_a_token() {
    let (_handler, server) = with_handler();
    let url = |hub: &str| format!("ws://{}/client/hubs/{hub}", server.address);
    assert!(tungstenite::connect(url("Open")).is_ok());
    for refused in [url("default"), url("open") + "?access_token=x"] {
        let Err(tungstenite::Error::Http(refused)) = tungstenite::connect(refused) else {
            panic!("no token, or a wrong one");
        };
        assert_eq!(refused.status(), 401);
    }
}

#[test]
fn event_handlers_that_cannot_be_are_refused_at_the_start() {
    for (handler, says) in [
        (r#"url = "http://127.0.0.1:1/""#, "private address"),
        (r#"url = "http://{hub}.example/""#, "must be fixed"),
        (r#"url = "ftp://a.example/""#, "http://host/path"),
        (
            "url = \"http://a.example/\"\nsystem_events = [\"connect\", \"login\"]",
            "no event \"login\"",
        ),
        (
            "url = \"http://a.example/\"\nauthorization = \"a\\nb\"",
            "that a header cannot hold",
        ),
    ] {
        let text = format!("[[apps.webpubsub.hubs.chat.event_handlers]]\n{handler}\n");
        let file = config_file(&text);
        let output = run_command(&["serve", "--config", file.to_str().unwrap()]);
        assert!(!output.status.success(), "{handler}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.contains(says) && error.contains("event_handlers"),
            "{error}"
        );
    }
}

/// Two nodes on one Redis, in a configuration, that know of each other.
fn two_nodes(config: &str) -> (Redis, Server, Server) {
    let redis = Redis::start();
    let node = || {
        ServerOptions::new(&["--backend", &redis.url()])
            .config(config)
            .start()
    };
    let (one, two) = (node(), node());
    for server in [&one, &two] {
        server.publish_when_ready("/api/channels/ready/", &serde_json::json!({}));
    }
    // Each finds a client of the other.
    for (server, other) in [(&one, &two), (&two, &one)] {
        let (client, hello) =
            AzureClient::open(other.address, JSON, &serde_json::json!({"sub": "x"}));
        let id = hello["connectionId"].as_str().unwrap();
        let target = format!("/api/hubs/default/connections/{id}?api-version=2024-01-01");
        eventually("nodes that know each other", SOON, || {
            let found = service(server.address, "HEAD", &target, "", None);
            (found.status == 200).then_some(())
        });
        drop(client);
    }
    (redis, one, two)
}

fn run_on_two_nodes(scenario: &str) {
    let config = format!("[apps.webpubsub]\naccess_key = \"{KEY}\"\nrecovery_secs = 60\n");
    let (_redis, one, two) = two_nodes(&config);
    let (one, two) = (one.address.to_string(), two.address.to_string());
    run(scenario, &one, &[&two]);
}

#[test]
fn members_of_one_group_on_two_nodes() {
    run_on_two_nodes("two_nodes");
}

#[test]
fn connections_are_known_on_two_nodes() {
    run_on_two_nodes("by_id_on_two_nodes");
}

#[test]
fn a_client_that_is_led_to_another_node_goes_on_there() {
    run_on_two_nodes("recovery_on_another_node");
}

/// Nobody waits for ever for a node that does not answer, or for a Redis that is gone.
#[test]
fn other_nodes_that_do_not_answer_are_an_error() {
    let config = format!("[apps.webpubsub]\naccess_key = \"{KEY}\"\n");
    let (redis, one, two) = two_nodes(&config);
    let ask = |at: &Server, id: &str| {
        let target = format!("/api/hubs/default/groups/g/connections/{id}?api-version=2024-01-01");
        service(at.address, "PUT", &target, "", None)
    };
    assert_eq!(ask(&one, "nobody").status, 404);
    two.process.pause();
    let began = std::time::Instant::now();
    let late = ask(&one, "nobody");
    assert_eq!(late.status, 503, "{late:?}");
    assert!(late.text().contains("did not answer in time"), "{late:?}");
    assert!(began.elapsed() < SOON / 2);
    two.process.signal("CONT");
    eventually("an answer", SOON, || {
        (ask(&one, "nobody").status == 404).then_some(())
    });
    drop(redis);
    let (_client, hello) = AzureClient::open(one.address, JSON, &serde_json::json!({}));
    eventually("a server that knows that its Redis is gone", SOON, || {
        let answer = ask(&one, "nobody");
        (answer.status == 503 && answer.text().contains("cannot be reached")).then_some(())
    });
    // What is here is found without the others.
    assert_eq!(
        ask(&one, hello["connectionId"].as_str().unwrap()).status,
        200
    );
}

/// Nor is one that speaks other protocols only.
#[test]
fn nodes_that_are_gone_are_not_waited_for() {
    let config = format!("[apps.webpubsub]\naccess_key = \"{KEY}\"\n");
    let (redis, one, mut two) = two_nodes(&config);
    let other = ServerOptions::new(&["--backend", &redis.url(), "--app", "seth"]).start();
    other.publish_when_ready("/api/channels/ready/", &serde_json::json!({}));
    let ask = || {
        let target = "/api/hubs/default/groups/g/connections/x?api-version=2024-01-01";
        service(one.address, "PUT", target, "", None)
    };
    assert_eq!(ask().status, 404);
    two.process.signal("TERM");
    assert!(two.process.wait(SOON).success());
    assert_eq!(ask().status, 404);
    let mut three = ServerOptions::new(&["--backend", &redis.url()])
        .config(&config)
        .start();
    let (_client, hello) = AzureClient::open(three.address, JSON, &serde_json::json!({}));
    let id = hello["connectionId"].as_str().unwrap();
    let target = format!("/api/hubs/default/connections/{id}?api-version=2024-01-01");
    eventually("a node that is known", SOON, || {
        (service(one.address, "HEAD", &target, "", None).status == 200).then_some(())
    });
    three.process.signal("KILL");
    three.process.wait(SOON);
    assert_eq!(ask().status, 503, "it may still be there");
    eventually("a node that is missed", 2 * SOON, || {
        (ask().status == 404).then_some(())
    });
}

#[test]
fn the_command_prints_a_url_to_connect_with() {
    let server = server(&[]);
    let address = server.address.to_string();
    let flags = ["--server", &address, "--hub", "chat", "--user", "ann"];
    let output = run_command(&[&["token", "webpubsub", "--key", KEY], &flags[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let url = String::from_utf8(output.stdout).unwrap();
    let url = url.trim();
    let (mut socket, answer) = tungstenite::connect(with_subprotocol(url)).unwrap();
    assert_eq!(
        answer.headers()["sec-websocket-protocol"],
        "json.webpubsub.azure.v1"
    );
    let hello: serde_json::Value =
        serde_json::from_str(socket.read().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(
        (&hello["event"], &hello["userId"]),
        (&"connected".into(), &"ann".into())
    );
    let other = url.replace("/hubs/chat", "/hubs/other");
    let Err(tungstenite::Error::Http(refused)) = tungstenite::connect(with_subprotocol(&other))
    else {
        panic!("a token is for one hub")
    };
    assert_eq!(refused.status(), 401);
    let without = run_command(&["token", "webpubsub"]);
    assert_eq!(without.status.code(), Some(2));
}

fn with_subprotocol(url: &str) -> tungstenite::http::Request<()> {
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert(
        "sec-websocket-protocol",
        "json.webpubsub.azure.v1".parse().unwrap(),
    );
    request
}
