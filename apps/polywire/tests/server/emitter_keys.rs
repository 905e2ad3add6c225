//! The Emitter protocol with its own SDKs: Python and JavaScript.

use std::process::Command;

use crate::support::{
    Process, Redis, SOON, Server, ServerOptions, config_file, node, polywire, python, run_node,
    tls::{Files, Pair},
};

const MASTER: &str = "a-master-key-for-tests";

/// The configuration that gives the server a master key, with more settings of the app.
fn settings(more: &str) -> String {
    format!("[apps.emitter]\nmaster_key = {MASTER:?}\n{more}\n")
}

fn start(args: &[&str], more: &str) -> Server {
    ServerOptions::new(args).config(&settings(more)).start()
}

fn command(scenario: &str, server: &Server, more: &[&str]) -> Command {
    let mut command = python("emitter_scenario.py");
    command.args([&server.address.to_string(), scenario, MASTER]);
    command.args(more);
    command
}

/// Runs a scenario; returns what it printed.
#[track_caller]
fn run(scenario: &str, server: &Server, more: &[&str]) -> String {
    let mut process = Process::start("emitter-io", &mut command(scenario, server, more));
    let status = process.wait(6 * SOON);
    assert!(status.success(), "{scenario}: {status}");
    process.wait_for_end_of_output();
    process.stdout().join("\n")
}

macro_rules! python_scenarios {
    ($($name:ident),*) => {
        mod python_sdk {
            $(
                #[test]
                fn $name() {
                    super::run(stringify!($name), &super::start(&[], ""), &[]);
                }
            )*
        }
    };
}

python_scenarios!(
    messages,
    sub_channels,
    permissions,
    first_error,
    keygen,
    extend,
    presence,
    links,
    keyban,
    groups,
    errors,
    packet_id_zero,
    qos_levels,
    wills,
    plain,
    pages,
    other_presence
);

#[test]
fn stored_messages_are_replayed() {
    for args in [&[][..], &["--data-dir"]] {
        let folder = tempfile::tempdir().unwrap();
        let mut args = args.to_vec();
        if args == ["--data-dir"] {
            args.push(folder.path().to_str().unwrap());
        }
        let server = start(&args, "");
        run("stored", &server, &[]);
        run("stored_while_published", &server, &[]);
    }
}

#[test]
fn javascript_sdk() {
    let server = start(&[], "");
    run_node(
        "emitter-scenario.cjs",
        &[&server.address.to_string(), MASTER],
    );
}

#[test]
fn each_face_can_be_alone() {
    let mut server = start(&[], "face = \"emitter\"\nplain_listen = \"127.0.0.1:0\"");
    let plain = server.next_address().to_string();
    run("emitter_only", &server, &[&plain]);
    let server = start(&[], "face = \"plain\"");
    assert_eq!(server.get("/keygen").status, 404);
}

#[test]
fn filters_can_be_refused() {
    run(
        "refused_filters",
        &start(&[], "refused_filters = [\"#\", \"secret/#\"]"),
        &[],
    );
}

#[test]
fn a_password_is_asked_of_plain_clients_only() {
    let config =
        settings("authenticate = true") + "[api_key]\nkey_secret_value = \"bruce_wayne\"\n";
    let options = ServerOptions::new(&["--auth", "api-key"]).config(&config);
    run("with_password", &options.start(), &[]);
}

#[test]
fn keys_and_bans_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--data-dir", folder.path().to_str().unwrap()];
    let mut server = start(&args, "");
    let keys = run("ban_one", &server, &[]);
    let keys: Vec<_> = keys.split(' ').collect();
    server.process.signal("TERM");
    assert!(server.process.wait(SOON).success());
    run("is_banned", &start(&args, ""), &keys);
}

#[test]
fn the_master_key_of_a_first_start_is_shown() {
    let mut server = Server::start(&[]);
    let shown = "  with this server's master key, until it stops: ";
    let key = server
        .process
        .wait_for_line(SOON, |line| line.strip_prefix(shown).map(str::to_owned));
    let mut python = python("emitter_scenario.py");
    python.args([&server.address.to_string(), "messages", &key]);
    let mut process = Process::start("emitter-io", &mut python);
    assert!(process.wait(6 * SOON).success());
}

#[test]
fn the_master_key_can_stand_in_the_environment() {
    let options = ServerOptions::new(&[]).env("POLYWIRE_APPS__EMITTER__MASTER_KEY", MASTER);
    let mut server = options.start();
    run("messages", &server, &[]);
    assert!(!server.process.stdout().join("\n").contains(MASTER));
}

#[test]
fn existing_keys_are_accepted_with_their_licence() {
    let licence = "AAECAwQFBgcICQoLDA0ODwECAwQKCwwNAAAAAAAAAAI:1";
    let server = start(&[], &format!("license = {licence:?}"));
    run("old_keys", &server, &["jfN5P_MIf1wXpiNqKHTd2SUbxnJuiTJg"]);
    run("messages", &server, &[]);
}

#[test]
fn two_nodes_on_redis() {
    let redis = Redis::start();
    let url = redis.url();
    let args = ["--backend", &*url, "--persistence", "redis"];
    let (one, two) = (start(&args, ""), start(&args, ""));
    for server in [&one, &two] {
        server.publish_when_ready("/api/channels/ready/", &serde_json::json!({}));
    }
    run("two_nodes", &one, &[&two.address.to_string()]);
}

#[test]
fn over_tls() {
    let files = Files::of(&Pair::new());
    let args = [&files.flags()[..], &["--persistence", "memory"]].concat();
    let server = start(&args, "");
    let mut python = command("over_tls", &server, &[]);
    python.env("SSL_CERT_FILE", &files.certificate);
    let mut process = Process::start("emitter-io", &mut python);
    assert!(process.wait(6 * SOON).success());

    let address = format!("localhost:{}", server.address.port());
    let mut node = node("emitter-scenario.cjs", &[&address, MASTER, "secure"]);
    node.env("NODE_EXTRA_CA_CERTS", &files.certificate);
    let mut process = Process::start("emitter-io", &mut node);
    assert!(process.wait(6 * SOON).success());
}

#[test]
fn keygen_prints_a_key() {
    let server = start(&[], "");
    let config = config_file(&settings(""));
    for args in [
        &["--master-key", MASTER][..],
        &["--config", config.to_str().unwrap()],
    ] {
        let mut keygen = polywire();
        keygen
            .args(["keygen", "k/", "--permissions", "rw"])
            .args(args);
        let output = Process::start("polywire keygen", &mut keygen).output();
        assert!(output.status.success());
        let key = String::from_utf8(output.stdout).unwrap();
        // A banned key as well, which any other is not.
        run("is_banned", &server, &[key.trim(), "nothing"]);
    }
    for (args, said) in [
        (&["k/"][..], "there is no master key"),
        (&["k", "--master-key", MASTER], "a/b/ for one channel"),
        (&["k/", "--master-key", "short"], "16 to 256"),
        (
            &["k/", "--master-key", MASTER, "--permissions", "q"],
            "letters",
        ),
    ] {
        let output =
            Process::start("polywire keygen", polywire().arg("keygen").args(args)).output();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
    std::fs::remove_file(config).unwrap();
}

#[test]
fn wrong_settings_are_refused() {
    for (setting, said) in [
        ("master_key = \"short\"", "16 to 256 characters"),
        ("license = \"nothing:3\"", "not an Emitter licence"),
        ("plain_listen = \"nowhere\"", "apps.emitter.plain_listen"),
        ("face = \"both sides\"", "apps.emitter.face"),
    ] {
        let config = config_file(&format!("[apps.emitter]\n{setting}\n"));
        let mut command = polywire();
        command
            .args(["serve", "--port", "0", "--config"])
            .arg(&config);
        let output = Process::start("polywire", &mut command).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{setting}: {stderr}");
        assert!(stderr.contains(said), "{setting}: {stderr}");
        std::fs::remove_file(config).unwrap();
    }
}
