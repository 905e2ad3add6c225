//! `polywire pub` and `polywire sub` against a running server.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    command_line::run,
    support::{
        LineSocket, Process, SOON, Server, ServerOptions, eventually, polywire,
        tls::{Files, Pair},
    },
};

/// Runs `polywire pub`, which must succeed.
#[track_caller]
fn publish(server: &Server, args: &[&str]) {
    let address = server.address.to_string();
    let output = run(&[&["pub", "--server", &address], args].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}

/// A running `polywire sub` that has subscribed.
fn subscriber(server: &Server, args: &[&str]) -> Process {
    let mut command = polywire();
    command.args(["sub", "--server", &server.address.to_string()]);
    let process = Process::start("sub", command.args(args));
    eventually("subscribed", SOON, || {
        process.stderr().contains("listening on ").then_some(())
    });
    process
}

/// Waits until it has printed all and ended with 0; the lines.
#[track_caller]
fn printed(mut process: Process) -> Vec<String> {
    let output = process.output();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn messages_are_printed_with_channel_time_and_publisher() {
    let server = Server::start(&[]);
    let people = subscriber(&server, &["news", "weather", "news", "--count", "3"]);
    let programs = subscriber(&server, &["news", "--json", "--count", "2"]);
    let raw = subscriber(&server, &["news", "--raw", "--count", "2"]);
    publish(&server, &["weather", "sunny"]);
    server.publish(
        "/api/channels/news/",
        &json!({"my": "data", "sender_id": "ann"}),
    );
    publish(&server, &["news", "caf\u{e9}"]);

    let mut lines: Vec<_> = printed(people)
        .into_iter()
        .map(|line| {
            // 12:34:56.789, the local time.
            let (time, rest) = line.split_once(' ').unwrap();
            assert_eq!(
                (time.len(), &time[2..3], &time[8..9]),
                (12, ":", "."),
                "{line}"
            );
            rest.to_owned()
        })
        .collect();
    // Each channel has an order of its own.
    lines.sort_by_key(|line| line.starts_with("weather"));
    assert_eq!(
        lines,
        [
            r#"news ann: {"my":"data","sender_id":"ann"}"#,
            "news -: \"caf\u{e9}\"",
            "weather -: \"sunny\"",
        ]
    );

    let objects: Vec<Value> = printed(programs)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects[0]["publisher"], "ann");
    assert_eq!(objects[1]["publisher"], Value::Null);
    assert_eq!(objects[1]["message"], "caf\u{e9}");
    assert_eq!(objects[1]["channel"], "news");
    assert!(objects[1]["time"].as_str().unwrap().contains('T'));
    assert_eq!(
        printed(raw),
        [r#"{"my":"data","sender_id":"ann"}"#, "caf\u{e9}"]
    );
}

#[test]
fn private_messages_of_a_user_are_printed() {
    let server = Server::start(&[]);
    let process = subscriber(&server, &["--user", "ann", "--count", "1"]);
    server.publish("/api/users/bob/", &json!({"not": "hers"}));
    server.publish("/api/users/ann/", &json!({"hello": "ann"}));
    let lines = printed(process);
    assert!(
        lines[0].ends_with(r#" @ann -: {"hello":"ann"}"#),
        "{lines:?}"
    );
}

#[test]
fn messages_are_texts_unless_json_is_insisted_on() {
    let server = Server::start(&[]);
    let mut watcher = LineSocket::subscribed(server.address, "t");
    publish(&server, &["t", "{\"a\": 1}"]);
    watcher.expect("t", "{\"a\": 1}");
    publish(&server, &["t", "--json", "{\"a\":\n 1}"]);
    watcher.expect("t", json!({"a": 1}));
    publish(
        &server,
        &["t", "-5", "--json", "--count", "3", "--interval", "1ms"],
    );
    for _ in 0..3 {
        watcher.expect("t", -5);
    }
    watcher.expect_silence();
}

#[test]
fn every_line_of_the_input_is_a_message() {
    let server = Server::start(&[]);
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let polywire = env!("CARGO_BIN_EXE_polywire");
    for flag in ["--lines", "-", ""] {
        let script = format!("seq 1000 | {polywire} pub t -s {} {flag}", server.address);
        let mut bash = Command::new("bash");
        let mut process = Process::start("bash", bash.args(["-o", "pipefail", "-c", &script]));
        assert!(process.output().status.success(), "{flag}");
        for number in 1..=1000 {
            watcher.expect("t", number.to_string());
        }
    }
    let script = format!(
        "printf '{{}}\\r\\nno\\n' | {polywire} pub t --json -s {}",
        server.address
    );
    let mut bash = Command::new("bash");
    let output = Process::start("bash", bash.args(["-c", &script])).output();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("line 2 is not JSON"), "{stderr}");
}

#[test]
fn ctrl_c_and_a_reader_that_leaves_are_no_errors() {
    let server = Server::start(&[]);
    for signal in ["INT", "TERM"] {
        let process = subscriber(&server, &["news"]);
        process.signal(signal);
        assert_eq!(printed(process), Vec::<String>::new());
    }
    let polywire = env!("CARGO_BIN_EXE_polywire");
    let script = format!(
        "{polywire} sub news --raw -s {} | head -n 1",
        server.address
    );
    let mut bash = Command::new("bash");
    let mut process = Process::start("bash", bash.args(["-o", "pipefail", "-c", &script]));
    eventually("subscribed", SOON, || {
        process.stderr().contains("listening on").then_some(())
    });
    let ended = eventually("the end", SOON, || {
        server.publish("/api/channels/news/", &json!({"n": 1}));
        process.has_ended()
    });
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_lost_server_is_an_error_that_says_so() {
    let server = Server::start(&[]);
    let mut process = subscriber(&server, &["news"]);
    server.process.signal("TERM");
    let output = process.output();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("closed the connection: Go away! (3000)"),
        "{stderr}"
    );
}

#[test]
fn what_went_wrong_is_said_in_a_sentence_with_what_to_do() {
    let seth_only = ServerOptions::new(&["--app", "seth"])
        .config("[limits]\nheader_secs = 1\n[apps.seth]\nname_bytes_max = 8\n")
        .start();
    let kn_sock_only = Server::start(&["--app", "knsock"]);
    let seth = seth_only.address.to_string();
    let kn_sock = kn_sock_only.address.to_string();
    for (args, code, words) in [
        (
            &["pub", "t", "x", "-s", "127.0.0.1:1"][..],
            1,
            "polywire serve",
        ),
        (&["sub", "t", "-s", "127.0.0.1:1"], 1, "polywire serve"),
        (
            &["pub", "t", "x", "-s", &seth],
            1,
            "may not serve kn-sock there",
        ),
        (
            &["sub", "t", "-s", &kn_sock],
            1,
            "may not serve Seth-Pusher there",
        ),
        (
            &["sub", "too-long-a-name", "-s", &seth],
            1,
            "refused channel \"too-long-a-name\"",
        ),
        (&["pub", "t", "x", "-s", "nowhere"], 2, "use HOST:PORT"),
        (&["sub", "t", "-s", "nowhere"], 2, "use HOST:PORT"),
        (&["pub", "t", "x", "--json"], 2, "leave out --json"),
        (&["pub"], 2, "CHANNEL"),
        (&["sub"], 2, "CHANNEL"),
        (&["sub", "t", "--raw", "--json"], 2, "cannot be used with"),
        (&["sub", "t", "--count", "0"], 2, "0"),
        (&["pub", "t", "x", "--interval", "soon"], 2, "250ms"),
    ] {
        let output = run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
        assert!(
            code == 2 || stderr.lines().count() <= 2,
            "{args:?}: {stderr}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_token_and_a_query_let_in_where_they_are_asked_for() {
    let server = ServerOptions::new(&["--auth", "api-key"])
        .config("[apps.knsock]\nauthenticate = true\n[apps.seth]\nauthenticate_connect = true\n")
        .start();
    let process = subscriber(
        &server,
        &["t", "--query", "api_key=secret", "--raw", "--count", "1"],
    );
    publish(&server, &["t", "let in", "--token", "secret"]);
    assert_eq!(printed(process), ["let in"]);
    let address = server.address.to_string();
    for args in [
        &["pub", "t", "x"][..],
        &["pub", "t", "x", "--token", "no"],
        &["sub", "t"],
    ] {
        let output = run(&[args, &["-s", &address]].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let word = if args[0] == "pub" {
            "--token"
        } else {
            "--query"
        };
        assert!(stderr.contains(word), "{args:?}: {stderr}");
    }
}

/// The three commands trust a certificate that is named, and nobody else.
#[test]
fn a_server_with_tls_is_spoken_to_when_its_certificate_is_trusted() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let other = Files::of(&Pair::new());
    let server = ServerOptions::new(&[&files.flags()[..], &["--tls-only"]].concat()).start();
    let port = server.address.port();
    let (https, tls) = (
        format!("https://localhost:{port}/"),
        format!("tls://localhost:{port}"),
    );
    let ca = files.certificate.to_str().unwrap();
    let mut command = polywire();
    command.args([
        "sub", "t", "-s", &https, "--ca", ca, "--raw", "--count", "3",
    ]);
    let process = Process::start("sub", &mut command);
    eventually("subscribed", SOON, || {
        process.stderr().contains("listening on ").then_some(())
    });
    for args in [
        &["x", "-s", &tls][..],
        &["{\"over\": 1}", "-s", &https, "--json"],
        &[
            "{\"over\": 2}",
            "-s",
            &https,
            "--json",
            "-H",
            "X-Any: thing",
        ],
    ] {
        let output = run(&[&["pub", "t", "--ca", ca], args].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    }
    assert_eq!(printed(process), ["x", r#"{"over": 1}"#, r#"{"over": 2}"#]);

    let untrusted = other.certificate.to_str().unwrap();
    let key = files.key.to_str().unwrap();
    let by_number = format!("tls://127.0.0.1:{port}");
    let plain = format!("localhost:{port}");
    for (args, words) in [
        (&["-s", &tls, "--ca", untrusted][..], "was not trusted"),
        (&["-s", &tls], "--ca"),
        (&["-s", &by_number, "--ca", ca], "as the certificate does"),
        (&["-s", &tls, "--ca", key], "holds no certificate"),
        (&["-s", &tls, "--ca", "/nowhere"], "/nowhere"),
        (&["-s", &plain], "only with TLS"),
    ] {
        for command in [&["pub", "t", "x"][..], &["sub", "t"]] {
            let output = run(&[command, args].concat());
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
            assert!(stderr.contains(words), "{command:?} {args:?}: {stderr}");
        }
    }
    let http = ["pub", "t", "{}", "--json", "--query", "a=b", "-s", &https];
    let output = run(&[&http[..], &["--ca", untrusted]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("--ca are right"), "{stderr}");
}

#[test]
fn headers_and_queries_let_in_where_they_are_asked_for() {
    let connect_too = "[apps.seth]\nauthenticate_connect = true\n";
    for (policy, proof, bad) in [
        (
            "header",
            ["--header", "Seth-Authentication-Header: Seth-Value"],
            ["--header", "Seth-Authentication-Header: other"],
        ),
        (
            "api-key",
            ["--query", "api_key=secret"],
            ["--query", "api_key=other"],
        ),
    ] {
        let server = ServerOptions::new(&["--auth", policy])
            .config(connect_too)
            .start();
        let channel = "caf\u{e9} / 100 %?";
        let receiver = subscriber(
            &server,
            &[&[channel, "--raw", "--count", "1"], &proof[..]].concat(),
        );
        let message = [channel, "--json", r#"{"let": "in"}"#];
        publish(&server, &[&message[..], &proof].concat());
        assert_eq!(printed(receiver), [r#"{"let": "in"}"#]);
        let address = server.address.to_string();
        for args in [&["pub", "t", "--json", "{}"][..], &["sub", "t"]] {
            let output = run(&[args, &bad, &["-s", &address]].concat());
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
            assert!(stderr.contains("40"), "{args:?}: {stderr}");
        }
        let output = run(&[&["pub", "t", "--json", "7", "-s", &address], &proof[..]].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("refused the message: 400"), "{stderr}");
    }
    for (args, words) in [
        (&["pub", "t", "x", "--header", "A: b"][..], "--json"),
        (&["pub", "t", "x", "--json", "--header", "A"], "Name: value"),
        (&["sub", "t", "--header", "A"], "Name: value"),
        (
            &["pub", "t", "x", "--json", "--query", "a=b", "--token", "c"],
            "cannot be used with",
        ),
    ] {
        let output = run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
}

#[test]
fn the_help_of_each_command_is_complete() {
    for (command, words) in [
        (
            "pub",
            &[
                "--lines",
                "--count",
                "--interval",
                "--server",
                "--json",
                "--token",
                "--ca",
                "--header",
                "--query",
                "Examples",
                "Exit codes",
            ][..],
        ),
        (
            "sub",
            &[
                "--raw",
                "--count",
                "--json",
                "--user",
                "--server",
                "--query",
                "--header",
                "--ca",
                "Ctrl-C",
                "user None",
            ],
        ),
        (
            "bench",
            &[
                "floor",
                "seth",
                "knsock",
                "serve-floor",
                "--subs",
                "--channels",
                "--pubs",
                "--size",
                "--secs",
                "--rate",
                "--window",
                "--pid",
                "--idle",
                "--json",
                "--addr",
                "--ca",
                "taskset",
            ],
        ),
    ] {
        let output = run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        for word in words {
            assert!(
                text.contains(word),
                "{command}: {word} is missing in:\n{text}"
            );
        }
    }
}
