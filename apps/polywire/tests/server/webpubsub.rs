//! Azure Web PubSub with the vendor's own SDKs.

use crate::support::{Process, Redis, SOON, Server, ServerOptions, python, run_node};

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
