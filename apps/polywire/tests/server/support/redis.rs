//! A real Redis.

use std::{path::PathBuf, process::Command};

use polywire_core::testkit::{RedisServer, RedisServerOptions};
use tokio::runtime::{self, Runtime};

/// A Redis server of the test's own, on a port that stays the same when it is started again.
pub(crate) struct Redis {
    server: RedisServer,
    runtime: Runtime,
    is_tls: bool,
}

impl Redis {
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
    pub(crate) fn stopped() -> Self {
        Self::reserve(RedisServerOptions::default())
    }

    pub(crate) fn start() -> Self {
        let mut redis = Self::stopped();
        redis.restart();
        redis
    }

    /// One that speaks TLS only, with the certificate and the key of these files.
    pub(crate) fn start_with_tls(certificate: PathBuf, key: PathBuf) -> Self {
        let mut redis = Self::reserve(RedisServerOptions {
            tls: Some((certificate, key)),
            ..RedisServerOptions::default()
        });
        redis.restart();
        redis
    }

    /// Starts it, empty, on its port.
    pub(crate) fn restart(&mut self) {
        self.runtime.block_on(self.server.restart());
    }

    /// Stops it as a crash would.
    pub(crate) fn stop(&mut self) {
        self.server.kill();
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// What `redis-cli` says, without the line's end.
    pub(crate) fn command(&self, args: &[&str]) -> String {
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
