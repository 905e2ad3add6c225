//! The real sockjs-client, in Node, against the `sockjs_test_server` example.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

/// The example on a free port; ended when dropped.
struct TestServer {
    process: Child,
    url: String,
}

impl TestServer {
    fn start() -> Self {
        let mut process = Command::new(example())
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let stdout = process.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let url = line.trim().strip_prefix("listening on ");
        let url = url.expect("the address").to_owned();
        Self { process, url }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The example, built as this test was: cargo builds it itself only when all tests are asked for.
fn example() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let test = std::env::current_exe().expect("the path of this test");
            let profile_dir = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
            let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
                Some("debug") | None => "dev",
                Some(profile) => profile,
            };
            let built = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--package", "polywire"])
                .args(["--example", "sockjs_test_server", "--profile", profile])
                .arg("--target-dir")
                .arg(profile_dir.parent().expect("target/PROFILE"))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status();
            assert!(
                built.is_ok_and(|status| status.success()),
                "the example builds"
            );
            profile_dir.join("examples/sockjs_test_server")
        })
        .clone()
}

/// The folder of the scripts, with what they need installed.
fn scripts() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED
        .get_or_init(|| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
            if !folder.join("node_modules/sockjs-client").exists() {
                let installed = Command::new("npm")
                    .args(["install", "--no-audit", "--no-fund"])
                    .current_dir(&folder)
                    .status();
                assert!(
                    installed.is_ok_and(|status| status.success()),
                    "this test needs Node 20 and npm, and once the npm registry"
                );
            }
            folder
        })
        .clone()
}

fn run_client(transport: &str) {
    let folder = scripts();
    let server = TestServer::start();
    let output = Command::new("node")
        .args(["sockjs_client.js", &server.url, transport])
        .current_dir(folder)
        .output()
        .expect("this test needs Node 20");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn websocket() {
    run_client("websocket");
}

#[test]
fn xhr_streaming() {
    run_client("xhr-streaming");
}

#[test]
fn eventsource() {
    run_client("eventsource");
}

#[test]
fn xhr_polling() {
    run_client("xhr-polling");
}
