//! The server under test.

use std::{net::SocketAddr, ops::Deref, path::PathBuf, process::Command};

use polywire_testing::Endpoint;
use serde_json::Value;

use super::{Process, RECOVERY, SOON, eventually};

/// A command that runs the program with nothing of the caller's configuration.
pub(crate) fn polywire() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polywire"));
    for (name, _) in std::env::vars() {
        if name.starts_with("POLYWIRE_") {
            command.env_remove(name);
        }
    }
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

/// How to start a server.
pub(crate) struct ServerOptions {
    command: Command,
    config: Option<PathBuf>,
}

impl ServerOptions {
    /// `polywire serve` on a free port of loopback.
    pub(crate) fn new(args: &[&str]) -> Self {
        let mut command = polywire();
        command.arg("serve").args(args);
        if !args.contains(&"--port") {
            command.args(["--port", "0"]);
        }
        Self {
            command,
            config: None,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// With so many file descriptors at most.
    pub(crate) fn descriptors_max(self, max: usize) -> Self {
        self.limited(&format!("-n {max}"))
    }

    /// With files of so many KiB at most, until somebody raises the limit.
    pub(crate) fn file_kib_max(self, max: usize) -> Self {
        self.limited(&format!("-S -f {max}"))
    }

    /// With what `ulimit` of bash sets.
    fn limited(mut self, limit: &str) -> Self {
        let mut limited = Command::new("bash");
        limited
            .args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .current_dir(env!("CARGO_TARGET_TMPDIR"));
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        self.command = limited;
        self
    }

    /// With a configuration file of this text.
    pub(crate) fn config(mut self, text: &str) -> Self {
        let path = config_file(text);
        self.command.arg("--config").arg(&path);
        self.config = Some(path);
        self
    }

    pub(crate) fn start(mut self) -> Server {
        let mut process = Process::start("polywire", &mut self.command);
        let address = process.wait_for_line(SOON, listening);
        Server {
            process,
            endpoint: Endpoint { address },
            config: self.config,
        }
    }
}

/// The address in a line that says what is listened on, whatever is spoken there.
fn listening(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.strip_prefix("listening on ")?.split_once("://")?;
    address.split(' ').next()?.parse().ok()
}

/// Writes a configuration file that is in nobody's way.
pub(crate) fn config_file(text: &str) -> PathBuf {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("config-{}-{number}.toml", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A running server.
pub(crate) struct Server {
    pub(crate) process: Process,
    endpoint: Endpoint,
    config: Option<PathBuf>,
}

impl Server {
    /// In memory, everybody may do everything.
    pub(crate) fn start(args: &[&str]) -> Self {
        ServerOptions::new(args).start()
    }

    /// The next of its further addresses, in the order of the configuration.
    pub(crate) fn next_address(&mut self) -> SocketAddr {
        self.process.wait_for_line(SOON, listening)
    }

    /// Posts until the server has found its Redis, which it looks for in the background.
    pub(crate) fn publish_when_ready(&self, target: &str, message: &Value) {
        eventually("the server has found its Redis", RECOVERY, || {
            let answer = self.post(target, message.to_string());
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
            (answer.status == 200).then_some(())
        });
    }
}

impl Deref for Server {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(path) = &self.config {
            // It lies in the build folder: leaving it would do no harm.
            let _ = std::fs::remove_file(path);
        }
    }
}
