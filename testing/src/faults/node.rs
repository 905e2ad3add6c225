//! A node: the real program.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{Endpoint, RECOVERY, eventually, peers::azure::AZURE_KEY};

/// The master key of Emitter that all nodes have.
const MASTER_KEY: &str = "faults-master-key-of-the-tests-1";

/// A node, on a port that stays the same when it is started again.
#[derive(Debug)]
pub(super) struct Node {
    program: PathBuf,
    /// Where it writes its log.
    log: PathBuf,
    arguments: Vec<String>,
    pub(super) address: SocketAddr,
    process: Option<Child>,
}

impl Node {
    /// Starts one whose Redis has this URL, and waits until it has found it.
    pub(super) fn start(program: &Path, log: PathBuf, redis: &str, keeps: bool) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.unwrap();
        let port = address.port().to_string();
        let mut arguments = vec!["serve", "--port", &port, "--backend", redis];
        if keeps {
            arguments.extend(["--persistence", "redis"]);
        }
        let mut node = Self {
            program: program.to_owned(),
            log,
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            address,
            process: None,
        };
        node.restart();
        node.wait_for_redis();
        node
    }

    /// Starts it again, and waits until it listens.
    pub(super) fn restart(&mut self) {
        self.kill();
        let log = File::options().create(true).append(true).open(&self.log);
        let mut child = command(&self.program)
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listens = |line: String| line.starts_with("listening on ");
        let is_up = lines.by_ref().map_while(Result::ok).any(listens);
        assert!(is_up, "the node says where it listens: {:?}", self.log);
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(child);
    }

    /// Waits until it publishes.
    pub(super) fn wait_for_redis(&self) {
        let endpoint = Endpoint {
            address: self.address,
        };
        eventually("the node has found its Redis", RECOVERY, || {
            let answer = endpoint.post("/api/channels/ready/", "{}");
            (answer.status == 200).then_some(())
        });
    }

    /// Ends it as a crash would.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program, with nothing of the caller's configuration.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars() {
        if name.starts_with("POLYWIRE_") {
            command.env_remove(name);
        }
    }
    command
        .env("POLYWIRE_APPS__WEBPUBSUB__ACCESS_KEY", AZURE_KEY)
        .env("POLYWIRE_APPS__EMITTER__MASTER_KEY", MASTER_KEY)
        // Otherwise where messages are kept.
        .env("POLYWIRE_APPS__SETH__CLOSE_ON_GAP", "always")
        .env("POLYWIRE_APPS__KNSOCK__CLOSE_ON_GAP", "always")
        .current_dir(std::env::temp_dir());
    command
}

/// A key of Emitter for every channel.
pub(super) fn emitter_key(program: &Path) -> String {
    let output = command(program)
        .args(["keygen", "#/", "--permissions", "rwslp"])
        .args(["--master-key", MASTER_KEY])
        .output()
        .unwrap();
    assert!(output.status.success(), "keygen: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
