//! Azure Web PubSub with the vendor's own SDKs.

use tungstenite::client::IntoClientRequest;

use crate::{
    command_line::run as run_command,
    support::{Process, Redis, SOON, Server, ServerOptions, config_file, node, python, run_node},
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
    duplicates,
    rest,
    other_protocols,
    cuts_async,
    cuts_threads,
    half_open_async,
    half_open_threads,
    recovery_too_late
);

macro_rules! javascript_scenarios {
    ($($name:ident),*) => {
        mod javascript_sdk {
            $(
                #[test]
                fn $name() {
                    let server = super::server(&[]);
                    let address = server.address.to_string();
                    let args = [&address, super::KEY, stringify!($name)];
                    super::run_node("webpubsub-scenario.cjs", &args);
                }
            )*
        }
    };
}

javascript_scenarios!(groups, rest, stop, cuts, half_open);

/// The handler with the vendor's SDK, and a server that calls it for the hub `default`.
fn with_handler() -> (Process, Server) {
    let script = "webpubsub-handler.cjs";
    let mut handler = Process::start(script, &mut node(script, &[KEY, "polywire.test"]));
    let port = |line: &str| line.strip_prefix("port ")?.parse::<u16>().ok();
    let port = handler.wait_for_line(SOON, port);
    let config = format!(
        r#"
        [apps.webpubsub]
        access_key = "a new key"
        secondary_access_key = "{KEY}"
        webhook_origin = "polywire.test"
        [apps.webpubsub.hubs.open]
        anonymous = true
        [[apps.webpubsub.hubs.default.event_handlers]]
        url = "http://localhost:{port}/api/webpubsub/hubs/{{hub}}/{{event}}"
        system_events = ["connect", "connected", "disconnected"]
        allow_private_addresses = true
        "#
    );
    let server = ServerOptions::new(&[]).config(&config).start();
    (handler, server)
}

#[test]
fn events_reach_a_handler_with_the_sdk() {
    let (mut handler, server) = with_handler();
    let address = server.address.to_string();
    run_node("webpubsub-scenario.cjs", &[&address, KEY, "events"]);
    // What was told to it, in order: of two connections, the state after the last event.
    let lines = |line: &str| line.contains("connected ").then(|| line.to_owned());
    let mut told: Vec<String> = (0..4).map(|_| handler.wait_for_line(SOON, lines)).collect();
    told.sort();
    let ended = "disconnected user-ann 28 The client has left";
    assert_eq!(
        told,
        ["connected user-ann 0", "connected user-ann 0", ended, ended]
    );
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

#[test]
fn members_of_one_group_on_two_nodes() {
    let redis = Redis::start();
    let (one, two) = (
        server(&["--backend", &redis.url()]),
        server(&["--backend", &redis.url()]),
    );
    for server in [&one, &two] {
        server.publish_when_ready("/api/channels/ready/", &serde_json::json!({}));
    }
    run(
        "two_nodes",
        &one.address.to_string(),
        &[&two.address.to_string()],
    );
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
