//! Azure Web PubSub with the vendor's own SDKs.

use tungstenite::client::IntoClientRequest;

use crate::{
    command_line::run as run_command,
    support::{Process, Redis, SOON, Server, ServerOptions, python, run_node},
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

javascript_scenarios!(groups, rest, stop, cuts);

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
