//! The programs under `examples/`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::{HttpConnection, Process, SOON};

/// A running example.
pub(crate) struct Example {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Example {
    /// Starts an example and reads where it listens.
    pub(crate) fn start(name: &str, args: &[&str]) -> Self {
        let mut process = Process::start(name, Command::new(folder().join(name)).args(args));
        let address = listening(&mut process);
        Self { process, address }
    }

    /// Reads the next address that the example says.
    pub(crate) fn next_address(&mut self) -> SocketAddr {
        listening(&mut self.process)
    }

    pub(crate) fn http(&self) -> HttpConnection {
        HttpConnection::open(self.address)
    }

    /// Asks it to stop, which must go well.
    pub(crate) fn stop(mut self) {
        self.process.signal("TERM");
        let status = self.process.wait(SOON);
        assert!(status.success(), "{status}");
    }
}

fn listening(process: &mut Process) -> SocketAddr {
    process.wait_for_line(SOON, |line| {
        line.strip_prefix("listening on http://")?.parse().ok()
    })
}

/// Where the examples are, built as this test was: cargo builds them itself only when all tests are asked
/// for.
fn folder() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile_dir = test.ancestors().nth(2).unwrap();
        let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--package",
                "polywire",
                "--all-features",
            ])
            .args(["--examples", "--profile", profile])
            .arg("--target-dir")
            .arg(profile_dir.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "the examples build"
        );
        profile_dir.join("examples")
    })
}
