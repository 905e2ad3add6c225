//! PubNub with the vendor's own SDKs: Python in its three modes, and JavaScript.

use crate::support::{Process, SOON, Server, ServerOptions, python, run_node};

/// What a scenario needs of the server beyond the defaults.
fn server(scenario: &str) -> Server {
    match scenario {
        "access" => ServerOptions::new(&["--app", "pubnub"])
            .config(
                "[[apps.pubnub.key_sets]]\npublish_key = \"pub\"\nsubscribe_key = \"sub\"\n\
                 secret_key = \"sec\"\naccess_manager = true\n",
            )
            .start(),
        "history" | "actions" | "catch_up" => {
            Server::start(&["--app", "pubnub", "--persistence", "memory"])
        }
        _ => ServerOptions::new(&["--app", "pubnub"]).start(),
    }
}

/// Runs a scenario of the Python SDK to its end.
#[track_caller]
fn run(mode: &str, scenario: &str) {
    let server = server(scenario);
    let mut command = python("pubnub_scenario.py");
    command.args([&server.address.to_string(), mode, scenario]);
    let mut process = Process::start("PubNub", &mut command);
    let status = process.wait(6 * SOON);
    assert!(status.success(), "{mode} {scenario}: {status}");
}

macro_rules! python {
    ($module:ident, $mode:literal: $($name:ident),*) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    super::run($mode, stringify!($name));
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

mod javascript {
    use super::{run_node, server};

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
        messages, signals, names, wildcards, groups, resume, presence, state, errors, encrypted,
        filters, access, history, actions, keep_alive, time
    );
}
