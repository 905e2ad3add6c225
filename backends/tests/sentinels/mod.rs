//! A master and two replicas, which three Sentinels watch.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use polywire_core::testkit::{RedisServer, RedisServerOptions, until};
use tokio::net::TcpStream;

const SENTINELS: usize = 3;
const REPLICAS: usize = 2;

pub(crate) struct Watched {
    master: RedisServer,
    replicas: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    file: PathBuf,
    process: Child,
}

impl Watched {
    /// Starts all, and waits until the Sentinels know each other and the replica follows.
    pub(crate) async fn start() -> Self {
        let master = RedisServer::start().await;
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            let arguments = ["--replicaof", "127.0.0.1", &master.port().to_string()];
            let options = RedisServerOptions {
                arguments: arguments.map(str::to_owned).to_vec(),
                ..RedisServerOptions::default()
            };
            replicas.push(RedisServer::start_with(options).await);
        }
        let sentinels: Vec<_> = (0..SENTINELS)
            .map(|_| Sentinel::start(master.port()))
            .collect();
        for sentinel in &sentinels {
            while TcpStream::connect(("127.0.0.1", sentinel.port))
                .await
                .is_err()
            {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        let watched = Self {
            master,
            replicas,
            sentinels,
        };
        for sentinel in &watched.sentinels {
            sentinel.until_it_knows_all().await;
        }
        watched.until_it_is_replicated().await;
        watched
    }

    /// Waits until the replica has all that the master has.
    async fn until_it_is_replicated(&self) {
        let client = redis::Client::open(self.master.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        loop {
            let mut wait = redis::cmd("WAIT");
            let replicas: usize = wait
                .arg(REPLICAS)
                .arg(100)
                .query_async(&mut connection)
                .await
                .unwrap();
            if replicas == REPLICAS {
                return;
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        let sentinels = self.sentinels.iter();
        let hosts: Vec<_> = sentinels
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port))
            .collect();
        format!("redis+sentinel://main@{}/0", hosts.join(","))
    }

    /// Kills the master, and waits until a replica takes over.
    pub(crate) async fn kill_master(&mut self) {
        self.master.kill();
        while !self.has_new_master().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn has_new_master(&self) -> bool {
        for replica in &self.replicas {
            let client = redis::Client::open(replica.url()).unwrap();
            // It ends connections when its role changes.
            if let Ok(mut connection) = client.get_multiplexed_async_connection().await
                && let Ok(role) = redis::cmd("ROLE")
                    .query_async::<redis::Value>(&mut connection)
                    .await
                && format!("{role:?}").contains("master")
            {
                return true;
            }
        }
        false
    }

    pub(crate) fn kill_replicas(&mut self) {
        self.replicas.clear();
    }
}

impl Sentinel {
    fn start(master: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let name = format!("polywire-sentinel-{}-{port}.conf", std::process::id());
        let file = std::env::temp_dir().join(name);
        let quorum = SENTINELS / 2 + 1;
        std::fs::write(
            &file,
            format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} {quorum}\n\
                 sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
            ),
        )
        .unwrap();
        let process = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            port,
            file,
            process,
        }
    }

    async fn until_it_knows_all(&self) {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let known = std::cell::Cell::new(false);
        for _ in 0..3000 {
            let masters: Vec<std::collections::HashMap<String, String>> = redis::cmd("SENTINEL")
                .arg("MASTERS")
                .query_async(&mut connection)
                .await
                .unwrap();
            let is = |name: &str, value: usize| {
                masters[0].get(name).map(String::as_str) == Some(&*value.to_string())
            };
            known.set(is("num-slaves", REPLICAS) && is("num-other-sentinels", SENTINELS - 1));
            if known.get() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        until("the Sentinels know each other", || known.get()).await;
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}
