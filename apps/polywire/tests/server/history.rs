//! History read again: by `polywire history`, and from disk after a restart.

use serde_json::{Value, json};

use crate::{
    command_line::run,
    support::{Process, SOON, Server, ServerOptions, numbers, polywire},
};

/// Posts numbered messages.
fn publish(server: &Server, channel: &str, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let target = format!("/api/channels/{channel}/");
        server.publish(&target, &json!({ "n": n }));
    }
}

#[test]
fn rules_say_how_much_is_kept() {
    let server = ServerOptions::new(&["--persistence", "memory"])
        .config(
            r#"
            [[history.rules]]
            channels = "short/#"
            entries_max = 2

            [[history.rules]]
            entries_max = 5
            "#,
        )
        .start();
    publish(&server, "short/one", 0..10);
    publish(&server, "long", 0..10);
    let read = |channel: &str| {
        let answer = server.get(&format!("/history/v1/channels/{channel}"));
        numbers(answer.text())
    };
    assert_eq!(read("short/one"), [8, 9]);
    assert_eq!(read("long"), [5, 6, 7, 8, 9]);
}

#[test]
fn the_command_prints_history() {
    // Messages are kept without settings.
    let server = Server::start(&[]);
    let address = server.address.to_string();
    server.publish(
        "/api/channels/news/",
        &json!({"my": "data", "sender_id": "ann"}),
    );
    let published = run(&["pub", "--server", &address, "news", "caf\u{e9}"]);
    assert!(published.status.success());
    let history = |args: &[&str]| {
        let output = run(&[&["history", "--server", &address, "news"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = history(&[]);
    let lines: Vec<_> = printed.lines().collect();
    // 2026-11-21 12:34:56.789, the local time.
    assert_eq!(
        lines.iter().map(|line| &line[24..]).collect::<Vec<_>>(),
        [
            r#"news -: {"my":"data","sender_id":"ann"}"#,
            "news -: \"caf\u{e9}\""
        ]
    );
    assert_eq!(history(&["--last", "1", "--raw"]).trim(), "caf\u{e9}");
    assert_eq!(history(&["--since", "1h", "--raw"]).lines().count(), 2);
    let json = history(&["--since", "1h", "--json"]);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["data"]["sender_id"], json!("ann"));

    let mut command = polywire();
    command.args(["history", "--server", &address, "news", "--raw", "--follow"]);
    let mut process = Process::start("history", &mut command);
    process.wait_for_line(SOON, |line| (line == "caf\u{e9}").then_some(()));
    run(&["pub", "--server", &address, "news", "live"]);
    process.wait_for_line(SOON, |line| (line == "live").then_some(()));
    let without = Server::start(&["--persistence", "none"]);
    let output = run(&["history", "--server", &without.address.to_string(), "news"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("No history is kept"), "{error}");
    let nobody = run(&["history", "--server", "127.0.0.1:1", "news"]);
    assert_eq!(nobody.status.code(), Some(1));
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    for (args, text) in [
        (
            &["serve", "--persistence", "disk"][..],
            "set data_dir too (--data-dir DIR)",
        ),
        (
            &["serve", "--persistence", "memory", "--data-dir", "x"],
            "leave one of the two out",
        ),
        (
            &[
                "serve",
                "--persistence",
                "memory",
                "--backend",
                "redis://127.0.0.1:1/",
            ],
            "use persistence = \"redis\"",
        ),
        (&["export"], "--data-dir DIR"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(text), "{args:?}: {error}");
    }
}

#[test]
fn what_is_on_disk_is_there_after_a_restart_and_moves_to_another_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, other) = (path("data"), path("other"));
    let last = |server: &Server| {
        let answer = server.get("/history/v1/channels/news?last=1");
        let line = answer.json();
        (line["epoch"].clone(), line["seq"].as_u64().unwrap())
    };
    let server = Server::start(&["--data-dir", &data]);
    publish(&server, "news", 0..20);
    publish(&server, "other", 100..103);
    let before = last(&server);

    // Two servers cannot have one directory, and neither can export.
    for args in [
        &["serve", "--port", "0", "--data-dir", &data][..],
        &["export", "--data-dir", &data],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("is in use by process"), "{error}");
    }
    drop(server);

    let server = Server::start(&["--data-dir", &data]);
    assert_eq!(last(&server), before);
    publish(&server, "news", 20..21);
    assert_eq!(last(&server), (before.0.clone(), before.1 + 1));
    drop(server);

    let exported = run(&["export", "--data-dir", &data]);
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    let exported = String::from_utf8(exported.stdout).unwrap();
    let all: Vec<_> = (0..21).chain(100..103).collect();
    assert_eq!(numbers(&exported), all);
    let one = run(&["export", "--data-dir", &data, "--channel", "other"]);
    let one = String::from_utf8(one.stdout).unwrap();
    assert_eq!(numbers(&one), [100, 101, 102]);

    let file = path("backup.jsonl");
    std::fs::write(&file, &exported).unwrap();
    for said in [
        "imported 24 messages, left out 0",
        "imported 0 messages, left out 24",
    ] {
        let imported = run(&["import", "--data-dir", &other, &file]);
        assert_eq!(imported.status.code(), Some(0), "{imported:?}");
        let error = String::from_utf8(imported.stderr).unwrap();
        assert!(error.contains(said), "{error}");
    }
    let again = run(&["export", "--data-dir", &other]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), exported);
    let server = Server::start(&["--data-dir", &other]);
    assert_eq!(last(&server), (before.0, before.1 + 1));

    std::fs::write(&file, "{\"channel\":\n").unwrap();
    let bad = run(&["import", "--data-dir", &data, &file]);
    assert_eq!(bad.status.code(), Some(1));
    let error = String::from_utf8(bad.stderr).unwrap();
    assert!(error.contains("line 1 cannot be imported"), "{error}");
}

#[test]
fn a_server_that_is_killed_has_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let args = ["--data-dir", data.to_str().unwrap()];
    for round in 1..4 {
        let mut server = Server::start(&args);
        let first = (round - 1) * 50;
        publish(&server, "news", first..first + 50);
        server.process.signal("KILL");
        server.process.wait(SOON);
        let server = Server::start(&args);
        let answer = server.get("/history/v1/channels/news?last=1000");
        assert_eq!(numbers(answer.text()), (0..round * 50).collect::<Vec<_>>());
    }
}

#[test]
fn a_data_directory_that_cannot_be_used_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let output = run(&["serve", "--port", "0", "--data-dir", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}
