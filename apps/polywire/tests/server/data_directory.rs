//! A data directory that takes nothing more, or is gone.

use std::{
    path::Path,
    process::{Command, Output},
};

use polywire_testing::SOON;
use serde_json::json;

use crate::support::{Server, ServerOptions, eventually};

fn with_data(dir: &Path) -> ServerOptions {
    ServerOptions::new(&["--data-dir", dir.to_str().unwrap()])
}

fn publish(server: &Server, text: &str) -> (u16, String) {
    let answer = server.post("/api/channels/c/", json!({ "text": text }).to_string());
    (answer.status, String::from_utf8(answer.body).unwrap())
}

#[test]
fn a_limit_of_file_sizes_is_like_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_data(dir.path()).file_kib_max(64).start();
    let text = "x".repeat(10_000);
    let refused = (0..10)
        .map(|_| publish(&server, &text))
        .find(|(status, _)| *status != 200);
    let (status, said) = refused.expect("the limit is reached");
    assert_eq!(status, 503);
    assert!(said.contains("store is full"), "{said}");
    eventually("it is in the log", SOON, || {
        let said = server.process.stderr();
        said.contains("cannot be written").then_some(())
    });

    // It lives on, and goes on by itself.
    let raised = Command::new("prlimit")
        .args(["--pid", &server.process.pid().to_string()])
        .arg("--fsize=unlimited")
        .status();
    assert!(raised.unwrap().success());
    assert_eq!(publish(&server, &text).0, 200);
}

/// The output of a command that may write files of so many KiB.
fn limited(kib_max: usize, args: &[&str]) -> Output {
    let limited = format!("ulimit -f {kib_max}; exec \"$0\" \"$@\"");
    let mut command = Command::new("bash");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_polywire")]);
    command.args(args).output().unwrap()
}

#[test]
fn an_import_and_an_export_beyond_a_limit_of_file_sizes_say_so() {
    let parent = tempfile::tempdir().unwrap();
    let path = |name: &str| parent.path().join(name).to_str().unwrap().to_owned();
    let (data, lines, other) = (path("data"), path("lines"), path("other"));
    let server = with_data(data.as_ref()).start();
    let text = "x".repeat(10_000);
    for _ in 0..20 {
        assert_eq!(publish(&server, &text).0, 200);
    }
    drop(server);
    let export = ["export", "--data-dir", &data];
    std::fs::write(&lines, limited(10_000, &export).stdout).unwrap();
    let imported = limited(64, &["import", "--data-dir", &other, &lines]);
    assert_eq!(imported.status.code(), Some(1), "{imported:?}");
    let said = String::from_utf8(imported.stderr).unwrap();
    assert!(said.contains("could not be kept"), "{said}");

    let mut exporting = Command::new("bash");
    exporting.args(["-c", "ulimit -f 64; exec \"$0\" \"$@\" > \"$OUT\""]);
    exporting.arg(env!("CARGO_BIN_EXE_polywire")).args(export);
    let exported = exporting.env("OUT", path("out")).output().unwrap();
    assert_eq!(exported.status.code(), Some(1), "{exported:?}");
    let said = String::from_utf8(exported.stderr).unwrap();
    assert!(said.contains("output could not be written"), "{said}");
}

#[test]
fn a_data_directory_that_is_deleted_is_noticed() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let server = with_data(&dir).start();
    assert_eq!(publish(&server, "kept").0, 200);
    std::fs::remove_dir_all(&dir).unwrap();
    let (status, said) = publish(&server, "lost");
    assert_eq!(status, 503, "{said}");
    eventually("it is in the log", SOON, || {
        let said = server.process.stderr();
        said.contains("deleted under the server").then_some(())
    });
    drop(server);
    let server = with_data(&dir).start();
    assert_eq!(publish(&server, "kept").0, 200);
}
