//! A real Redis, for tests that block.

use std::{path::PathBuf, process::Command};

use polywire_core::testkit::{RedisServer, RedisServerOptions};
use tokio::runtime::{self, Runtime};

/// A Redis server of the test's own, on a port that stays the same when it is started again.
#[derive(Debug)]
pub struct Redis {
    server: RedisServer,
    runtime: Runtime,
    is_tls: bool,
}

impl Redis {
    /// One with these options.
    pub fn start_with(options: RedisServerOptions) -> Self {
        let mut redis = Self::reserve(options);
        redis.restart();
        redis
    }

    fn reserve(options: RedisServerOptions) -> Self {
        Self {
            is_tls: options.tls.is_some(),
            server: RedisServer::reserve(options),
            runtime: runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    /// A port for a Redis that does not run yet.
    pub fn stopped() -> Self {
        Self::reserve(RedisServerOptions::default())
    }

    /// One that keeps nothing.
    pub fn start() -> Self {
        Self::start_with(RedisServerOptions::default())
    }

    /// One that speaks TLS only, with the certificate and the key of these files.
    pub fn start_with_tls(certificate: PathBuf, key: PathBuf) -> Self {
        Self::start_with(RedisServerOptions {
            tls: Some((certificate, key)),
            ..RedisServerOptions::default()
        })
    }

    /// Starts it on its port, empty where its options do not say otherwise.
    pub fn restart(&mut self) {
        self.runtime.block_on(self.server.restart());
    }

    /// Stops it as a crash would.
    pub fn stop(&mut self) {
        self.server.kill();
    }

    /// Stops it, and takes away what it kept.
    pub fn empty(&mut self) {
        self.server.empty();
    }

    /// Makes it hang.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What `redis-cli` says, without the line's end.
    pub fn command(&self, args: &[&str]) -> String {
        let tls: &[&str] = if self.is_tls {
            &["--tls", "--insecure"]
        } else {
            &[]
        };
        let output = Command::new("redis-cli")
            .args(["-p", &self.server.port().to_string()])
            .args(tls)
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "redis-cli {args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}
