//! A real Redis.

use std::{net::TcpListener, process::Command};

use super::{Process, SOON, eventually};

/// A Redis server of the test's own, on a port that stays the same when it is started again.
pub(crate) struct Redis {
    port: u16,
    process: Option<Process>,
}

impl Redis {
    /// A port for a Redis that does not run yet.
    pub(crate) fn stopped() -> Self {
        // Taken from below the range of the ports that outgoing connections get: none of them may sit on
        // it while Redis is down.
        let port = eventually("a free port", SOON, || {
            let port = 15_000
                + (std::process::id() as u16)
                    .wrapping_mul(7)
                    .wrapping_add(next())
                    % 15_000;
            TcpListener::bind(("127.0.0.1", port))
                .is_ok()
                .then_some(port)
        });
        Self {
            port,
            process: None,
        }
    }

    pub(crate) fn start() -> Self {
        let mut redis = Self::stopped();
        redis.restart();
        redis
    }

    /// Starts it, empty, on its port.
    pub(crate) fn restart(&mut self) {
        let port = self.port.to_string();
        let args = [
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        let mut command = Command::new("redis-server");
        command.args(args).current_dir(env!("CARGO_TARGET_TMPDIR"));
        let mut process = Process::start("redis-server", &mut command);
        process.wait_for_line(SOON, |line| {
            line.contains("Ready to accept connections").then_some(())
        });
        self.process = Some(process);
    }

    /// Stops it as a crash would.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` says, without the line's end.
    pub(crate) fn command(&self, args: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "redis-cli {args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}

fn next() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NUMBER: AtomicU16 = AtomicU16::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}
