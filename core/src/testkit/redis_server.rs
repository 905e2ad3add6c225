//! A Redis server for tests.

use std::{
    io,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::net::TcpStream;

use super::within;

/// What a [`RedisServer`] is started with.
#[derive(Debug, Clone, Default)]
pub struct RedisServerOptions {
    /// The password that it asks for.
    pub password: Option<String>,
    /// The files of the certificate and of its key, in PEM: then it speaks TLS only.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// It syncs every write, and has everything again when it is restarted.
    pub synced: bool,
    /// It is a node of a cluster, of which there is nothing else.
    pub cluster: bool,
    /// More arguments, such as `--maxmemory` and `64mb`.
    pub arguments: Vec<String>,
}

/// The variable that names another program than `redis-server`, such as `valkey-server`.
const PROGRAM: &str = "POLYWIRE_TEST_REDIS_SERVER";

/// A process `redis-server` of its own, on a free port of this machine, with a directory that is removed
/// in the end. Nothing is kept over a restart unless the options say so. The process ends when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    directory: PathBuf,
    options: RedisServerOptions,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server and waits until it listens.
    ///
    /// # Panics
    /// When the program `redis-server` is not installed, or does not start.
    pub async fn start() -> Self {
        Self::start_with(RedisServerOptions::default()).await
    }

    /// Starts a server with these options and waits until it listens.
    ///
    /// # Panics
    /// When the program `redis-server` is not installed, or does not start.
    pub async fn start_with(options: RedisServerOptions) -> Self {
        let mut server = Self::reserve(options);
        server.restart().await;
        server
    }

    /// Chooses a port and does not start yet; [`restart`](Self::restart) does.
    ///
    /// # Panics
    /// When there is no free port, or no place for temporary files.
    pub fn reserve(options: RedisServerOptions) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("polywire-redis-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory for the Redis server");
        Self {
            port: free_port().expect("a free port for the Redis server"),
            directory,
            options,
            process: None,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address as a URL, without the password.
    pub fn url(&self) -> String {
        let scheme = match self.options.tls {
            Some(_) => "rediss",
            None => "redis",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Starts the server again on the same port, empty unless it syncs, and waits until it listens.
    ///
    /// # Panics
    /// When the program `redis-server` is not installed, or does not start.
    pub async fn restart(&mut self) {
        self.kill();
        let program = std::env::var(PROGRAM).unwrap_or_else(|_| "redis-server".to_owned());
        let mut command = Command::new(program);
        let port = self.port.to_string();
        if self.options.cluster {
            command.args(["--cluster-enabled", "yes"]);
        }
        match &self.options.tls {
            None => command.args(["--port", &port]),
            Some((certificate, key)) => command
                .args([
                    "--port",
                    "0",
                    "--tls-port",
                    &port,
                    "--tls-auth-clients",
                    "no",
                ])
                .arg("--tls-cert-file")
                .arg(certificate)
                .arg("--tls-key-file")
                .arg(key)
                // It insists on one, and asks nobody for a certificate.
                .arg("--tls-ca-cert-file")
                .arg(certificate),
        };
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly"])
            .arg(if self.options.synced { "yes" } else { "no" })
            .args(["--appendfsync", "always"])
            .arg("--dir")
            .arg(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(password) = &self.options.password {
            command.arg("--requirepass").arg(password);
        }
        command.args(&self.options.arguments);
        let process = command
            .spawn()
            .expect("the program redis-server is installed (Debian: apt-get install redis-server)");
        self.process = Some(process);
        within("the start of redis-server", self.until_it_listens()).await;
    }

    async fn until_it_listens(&mut self) {
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let process = self.process.as_mut();
            let ended = process.is_some_and(|process| matches!(process.try_wait(), Ok(Some(_))));
            assert!(!ended, "redis-server ended; is port {} taken?", self.port);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the server at once, without a farewell.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Ends the server and takes away what it kept.
    ///
    /// # Panics
    /// When that cannot be taken away.
    pub fn empty(&mut self) {
        self.kill();
        std::fs::remove_dir_all(&self.directory).expect("what the Redis server kept goes");
        std::fs::create_dir_all(&self.directory).expect("a directory for the Redis server");
    }

    /// Makes the server hang: connections stay open and nothing is answered.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("the server runs");
        let status = Command::new("kill")
            .args([signal, &process.id().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "kill {signal} works"
        );
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Below the range of the ports that outgoing connections get: none of them may sit on it while the server is
/// down.
fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut result = Err(io::ErrorKind::AddrInUse.into());
    for _ in 0..100 {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(7).wrapping_add(next) % 15_000;
        let port = 15_000 + u16::try_from(offset).unwrap_or_default();
        result = TcpListener::bind(("127.0.0.1", port)).map(|_| port);
        if result.is_ok() {
            break;
        }
    }
    result
}
