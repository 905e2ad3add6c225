//! `polywire bench`: short runs, judged by what they count, never by how fast they were.

use serde_json::Value;

use crate::{
    command_line::run,
    support::{
        Process, SOON, Server, ServerOptions, polywire,
        tls::{Files, Pair},
    },
};

fn bench(protocol: &str, address: &str, args: &[&str]) -> Value {
    let base = [
        "bench", protocol, "--addr", address, "--secs", "0.3", "--json",
    ];
    let output = run(&[&base, args].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{protocol} {args:?}: {stderr}"
    );
    assert_eq!(stderr, "", "no bar where there is no terminal");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Everything that was published was delivered to so many subscribers, once and in order.
#[track_caller]
fn assert_complete(report: &Value, subscribers_per_channel: u64) {
    let total = &report["total"];
    let published = total["published"].as_u64().unwrap();
    assert!(published > 0, "{report}");
    assert_eq!(
        total["expected"],
        published * subscribers_per_channel,
        "{report}"
    );
    assert_eq!(total["delivered"], total["expected"], "{report}");
    for count in ["lost", "out_of_order", "closed"] {
        assert_eq!(total[count], 0, "{count}: {report}");
    }
}

#[test]
fn nothing_is_lost_over_any_protocol() {
    let server = Server::start(&[]);
    let (address, pid) = (server.address.to_string(), server.process.pid().to_string());
    for protocol in ["seth", "knsock"] {
        let shape = [
            "--subs",
            "20",
            "--channels",
            "4",
            "--pubs",
            "3",
            "--pid",
            &pid,
        ];
        let saturated = bench(
            protocol,
            &address,
            &[&shape[..], &["--window", "8"]].concat(),
        );
        assert_complete(&saturated, 5);
        assert_eq!(saturated["connections"], 23);
        assert!(saturated["server_memory_bytes_per_connection"].is_number());
        assert!(saturated["measured"]["server_memory_bytes"].as_u64() > Some(1 << 20));
        let large = ["--rate", "50", "--size", "100000"];
        let paced = bench(protocol, &address, &[&shape[..], &large].concat());
        assert_complete(&paced, 5);
        assert!(paced["window"].is_null());
    }
}

#[test]
fn nothing_is_lost_over_tls() {
    let files = Files::of(&Pair::new());
    let server = Server::start(&files.flags());
    let ca = files.certificate.to_str().unwrap();
    let port = server.address.port();
    let shape = ["--subs", "20", "--channels", "4", "--pubs", "3", "--ca", ca];
    for (protocol, address) in [
        ("seth", format!("https://localhost:{port}")),
        ("knsock", format!("tls://localhost:{port}")),
    ] {
        let saturated = ["--window", "64"];
        assert_complete(
            &bench(protocol, &address, &[&shape[..], &saturated].concat()),
            5,
        );
        let large = ["--rate", "50", "--size", "200000"];
        assert_complete(
            &bench(protocol, &address, &[&shape[..], &large].concat()),
            5,
        );
        let untrusted = run(&["bench", protocol, "--addr", &address, "--subs", "2"]);
        let stderr = String::from_utf8(untrusted.stderr).unwrap();
        assert_eq!(untrusted.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("--ca"), "{stderr}");
    }
}

#[test]
fn the_floor_serves_what_is_published() {
    let mut floor = Process::start(
        "floor",
        polywire().args(["bench", "serve-floor", "--addr", "127.0.0.1:0"]),
    );
    let address: String = floor.wait_for_line(SOON, |line| {
        line.strip_prefix("listening on ").map(str::to_owned)
    });
    // A second run meets what the first one left.
    for _ in 0..2 {
        assert_complete(&bench("floor", &address, &["--subs", "50"]), 50);
    }
    let large = [
        "--subs", "3", "--pubs", "2", "--size", "200000", "--window", "64",
    ];
    assert_complete(&bench("floor", &address, &large), 3);
}

#[test]
fn idle_connections_are_only_held() {
    let server = Server::start(&[]);
    let pid = server.process.pid().to_string();
    let address = server.address.to_string();
    let report = bench(
        "seth",
        &address,
        &["--subs", "200", "--idle", "--pid", &pid],
    );
    assert_eq!(report["connections"], 201);
    assert_eq!(report["idle"]["closed"], 0);
    assert!(report["measured"].is_null() && report["total"].is_null());
}

#[test]
fn people_get_sentences() {
    let server = Server::start(&[]);
    let (address, pid) = (server.address.to_string(), server.process.pid().to_string());
    let args = [
        "bench", "knsock", "--addr", &address, "--subs", "1", "--secs", "0.2", "--pid", &pid,
    ];
    let output = run(&args);
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "1 subscriber, 1 publisher, 1 channel\n",
        "delivered ",
        "latency ms   p50 ",
        "KiB of the server's memory each",
        "0 lost, 0 out of order, 0 connections closed",
    ] {
        assert!(text.contains(words), "{words:?} is missing in:\n{text}");
    }
}

#[test]
fn what_cannot_be_measured_is_said_in_one_sentence() {
    let server = ServerOptions::new(&["--auth", "api-key"])
        .config("[limits]\nheader_secs = 1\n[api_key]\nkey_secret_value = \"other\"\n")
        .start();
    let address = server.address.to_string();
    for (args, code, words) in [
        (
            &["knsock", "--addr", "127.0.0.1:1"][..],
            1,
            "no server answers at 127.0.0.1:1",
        ),
        (
            &["knsock", "--addr", &address, "--pid", "4194999"],
            1,
            "no process 4194999",
        ),
        (
            &["seth", "--addr", &address, "--subs", "2"],
            1,
            "the server refused publisher 1: HTTP/1.1 401",
        ),
        (
            &["floor", "--addr", &address, "--subs", "1"],
            1,
            "the server",
        ),
        (
            &["serve-floor", "--addr", &address],
            1,
            "cannot be listened on",
        ),
        (&["nope"], 2, "nope"),
        (&["knsock", "--addr", "here"], 2, "here"),
        (&["knsock", "--subs", "0"], 2, "from 1"),
        (&["knsock", "--size", "31"], 2, "from 32"),
        (&["knsock", "--rate", "0"], 2, "above 0"),
        (
            &["knsock", "--rate", "5", "--window", "5"],
            2,
            "cannot be used with",
        ),
        (&["knsock", "--secs", "soon"], 2, "soon"),
        (&[], 2, "PROTOCOL"),
    ] {
        let output = run(&[&["bench"], args].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
        assert!(
            code == 2 || stderr.lines().count() <= 2,
            "{args:?}: {stderr}"
        );
    }
}
