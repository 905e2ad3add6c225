//! PubNub with the vendor's own SDKs: Python in its three modes, and JavaScript.

use crate::support::{Process, Redis, SOON, Server, ServerOptions, python, run_node};

/// A tenant who grants access.
const ACCESS: &str = "[[apps.pubnub.key_sets]]\npublish_key = \"pub\"\nsubscribe_key = \"sub\"\n\
                      secret_key = \"sec\"\naccess_manager = true\n";

/// A tenant whose messages may be deleted by whoever signs.
const DELETES: &str = "[[apps.pubnub.key_sets]]\npublish_key = \"demo\"\nsubscribe_key = \"demo\"\n\
                       secret_key = \"sec\"\ndelete_history = true\n";

/// Queues that hold some thirty messages.
const SHORT_QUEUES: &str = "[apps.pubnub]\nqueue_bytes_per_channel = 20000\n";

/// What a scenario needs of the server beyond the defaults.
fn server(scenario: &str) -> Server {
    match scenario {
        "access" | "token_replaced" => ServerOptions::new(&["--app", "pubnub"])
            .config(ACCESS)
            .start(),
        "history" => ServerOptions::new(&["--app", "pubnub"])
            .config(DELETES)
            .start(),
        "actions" => Server::start(&["--app", "pubnub"]),
        "catch_up" => ServerOptions::new(&["--app", "pubnub"])
            .config(SHORT_QUEUES)
            .start(),
        _ => ServerOptions::new(&["--app", "pubnub"]).start(),
    }
}

/// Runs a scenario of the Python SDK to its end.
#[track_caller]
fn run(mode: &str, scenario: &str) {
    run_at(&server(scenario).address.to_string(), mode, scenario);
}

/// The same where messages are kept on disk.
#[track_caller]
fn run_on_disk(mode: &str, scenario: &str) {
    on_disk_server(scenario, |address| run_at(address, mode, scenario));
}

/// The keys of a scenario where messages are kept, and queues that it is too much for.
fn kept(scenario: &str) -> String {
    match scenario {
        "access" => ACCESS.to_owned(),
        "catch_up" => [SHORT_QUEUES, DELETES].concat(),
        _ => DELETES.to_owned(),
    }
}

fn on_disk_server(scenario: &str, run: impl FnOnce(&str)) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let args = ["--app", "pubnub", "--data-dir", folder];
    let server = ServerOptions::new(&args).config(&kept(scenario)).start();
    run(&server.address.to_string());
}

/// The same on two nodes that share a Redis: clients take them in turn.
#[track_caller]
fn run_on_two_nodes(mode: &str, scenario: &str) {
    two_nodes(scenario, |addresses| run_at(addresses, mode, scenario));
}

fn two_nodes(scenario: &str, run: impl FnOnce(&str)) {
    let redis = Redis::start();
    let args = ["--backend", &redis.url(), "--persistence", "redis"];
    // With key sets of its own a node keeps messages from its start, whoever published them.
    let keys = kept(scenario);
    let start = || ServerOptions::new(&args).config(&keys).start();
    let (one, two) = (start(), start());
    for server in [&one, &two] {
        server.publish_when_ready("/api/channels/ready/", &serde_json::json!({}));
    }
    run(&format!("{},{}", one.address, two.address));
}

#[track_caller]
fn run_at(addresses: &str, mode: &str, scenario: &str) {
    let mut command = python("pubnub_scenario.py");
    command.args([addresses, mode, scenario]);
    let mut process = Process::start("PubNub", &mut command);
    let status = process.wait(6 * SOON);
    assert!(status.success(), "{mode} {scenario}: {status}");
}

macro_rules! python {
    ($module:ident, $mode:literal: $($name:ident),*) => {
        python!($module, run, $mode: $($name),*);
    };
    ($module:ident, $run:ident, $mode:literal: $($name:ident),*) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    super::$run($mode, stringify!($name));
                }
            )*
        }
    };
}

macro_rules! python_in_all_modes {
    ($($name:ident),*) => {
        python!(sync, "sync": $($name),*);
        python!(classic, "classic": $($name),*);
        python!(engine, "engine": $($name),*);
    };
}

python_in_all_modes!(
    messages,
    compressed,
    meta,
    names,
    signals,
    fire,
    several_channels,
    wildcards,
    groups,
    resume,
    queue,
    unsubscribe,
    presence,
    presence_of_groups,
    presence_of_wildcards,
    vanish,
    state,
    here_now,
    errors,
    wrong_key,
    encrypted,
    access,
    history,
    actions,
    catch_up,
    server_time
);

// The event engine never sends a filter.
python!(sync_filter, "sync": filters);
python!(classic_filter, "classic": filters);

macro_rules! python_on_disk {
    ($($name:ident),*) => {
        mod on_disk {
            use super::run_on_disk as run;

            python!(sync, run, "sync": $($name),*);
            python!(classic, run, "classic": $($name),*);
            python!(engine, run, "engine": $($name),*);
        }
    };
}

macro_rules! python_on_two_nodes {
    ($($name:ident),*) => {
        mod on_two_nodes {
            use super::run_on_two_nodes as run;

            python!(sync, run, "sync": $($name),*);
            python!(classic, run, "classic": $($name),*);
            python!(engine, run, "engine": $($name),*);
        }
    };
}

python_on_disk!(
    messages,
    meta,
    resume,
    groups,
    presence_of_groups,
    history,
    actions,
    catch_up
);

// Where history is kept more than the queue comes, and nothing is forgotten that the scenarios for that ask for.
python_on_two_nodes!(
    messages,
    compressed,
    meta,
    names,
    signals,
    wildcards,
    resume,
    history,
    actions,
    catch_up,
    presence,
    presence_of_wildcards,
    vanish,
    state,
    here_now,
    groups,
    presence_of_groups,
    access
);

mod javascript {
    use super::{on_disk_server, run_node, server, two_nodes};

    macro_rules! javascript {
        ($($name:ident),*) => {$(
            #[test]
            fn $name() {
                let server = server(stringify!($name));
                let address = server.address.to_string();
                run_node("pubnub-scenario.cjs", &[&address, stringify!($name)]);
            }
        )*};
    }

    javascript!(
        messages,
        signals,
        names,
        wildcards,
        groups,
        resume,
        presence,
        state,
        errors,
        encrypted,
        filters,
        access,
        token_replaced,
        history,
        actions,
        keep_alive,
        time
    );

    macro_rules! javascript_elsewhere {
        ($($name:ident),*) => {
            mod on_disk {
                $(#[test]
                fn $name() {
                    super::on_disk_server(stringify!($name), |address| {
                        super::run_node("pubnub-scenario.cjs", &[address, stringify!($name)]);
                    });
                })*
            }

            mod on_two_nodes {
                $(#[test]
                fn $name() {
                    super::two_nodes(stringify!($name), |addresses| {
                        super::run_node("pubnub-scenario.cjs", &[addresses, stringify!($name)]);
                    });
                })*
            }
        };
    }

    javascript_elsewhere!(
        messages, signals, wildcards, groups, resume, presence, state, history, actions
    );
}
