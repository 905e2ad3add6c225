//! A link between a node and the server, which loses, stalls and breaks.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, RedisConnectionInfo, RedisError,
    RedisResult, aio::MultiplexedConnection,
};
use tokio::{
    io::{AsyncWriteExt, BufReader, DuplexStream, split},
    sync::{Notify, mpsc},
    time::sleep,
};

use super::{
    resp::{Reply, command},
    server::Server,
};

/// Bytes that are under way on a link.
const UNDER_WAY: usize = 1 << 16;

/// A link between a node and the server.
#[derive(Clone)]
pub(in crate::redis) struct SimulatedLink(Arc<Link>);

struct Link {
    server: Arc<Server>,
    dice: Mutex<StdRng>,
    /// Of so many publications one is lost; 0 for none.
    loses_one_of: AtomicU64,
    is_stalled: AtomicBool,
    refuses: AtomicBool,
    cut: Notify,
    latency_max: u64,
}

impl fmt::Debug for SimulatedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedLink")
    }
}

impl SimulatedLink {
    pub(super) fn new(server: Arc<Server>, seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        Self(Arc::new(Link {
            server,
            latency_max: *[1, 2_000, 50_000]
                .get(dice.random_range(0..3))
                .unwrap_or(&1),
            dice: Mutex::new(dice),
            loses_one_of: AtomicU64::new(0),
            is_stalled: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            cut: Notify::new(),
        }))
    }

    pub(super) fn lose_one_of(&self, count: u64) {
        self.0.loses_one_of.store(count, Ordering::Relaxed);
    }

    pub(super) fn stall(&self, stalls: bool) {
        self.0.is_stalled.store(stalls, Ordering::Relaxed);
    }

    pub(super) fn refuse(&self, refuses: bool) {
        self.0.refuses.store(refuses, Ordering::Relaxed);
    }

    pub(super) fn cut(&self) {
        self.0.cut.notify_waiters();
    }

    /// Connects as to a real server.
    pub(in crate::redis) async fn connect(
        &self,
        config: AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        if self.0.refuses.load(Ordering::Relaxed) || !self.0.server.is_up() {
            return Err(RedisError::from((ErrorKind::Io, "nobody listens")));
        }
        let (near, far) = tokio::io::duplex(UNDER_WAY);
        let link = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = link.clone().serve(far) => {}
                () = link.cut.notified() => {}
                () = link.server.downed() => {}
            }
        });
        let info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&info, near, config).await?;
        tokio::spawn(driver);
        Ok(connection)
    }
}

impl Link {
    async fn serve(self: Arc<Self>, stream: DuplexStream) {
        let (from, mut to) = split(stream);
        let (out, mut outgoing) = mpsc::unbounded_channel::<Reply>();
        let id = self.server.connected(out.clone());
        let incoming = async {
            let mut from = BufReader::new(from);
            while let Ok(command) = command(&mut from).await {
                self.wait().await;
                for reply in self.server.execute(id, &command) {
                    if out.send(reply).is_err() {
                        return;
                    }
                }
            }
        };
        let written = async {
            while let Some(reply) = outgoing.recv().await {
                if self.loses(&reply) {
                    continue;
                }
                self.wait().await;
                let mut bytes = Vec::new();
                reply.write(&mut bytes);
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = incoming => {}
            () = written => {}
        }
        self.server.disconnected(id);
    }

    fn loses(&self, reply: &Reply) -> bool {
        let Reply::Push(values) = reply else {
            return false;
        };
        let is_publication = match (values.first(), values.get(1)) {
            (Some(Reply::Bulk(sort)), Some(Reply::Bulk(channel))) => {
                sort.ends_with(b"message") && !channel.starts_with(b"polywire:heartbeat")
            }
            _ => false,
        };
        let one_of = self.loses_one_of.load(Ordering::Relaxed);
        is_publication && one_of > 0 && self.dice.lock().random_range(0..one_of) == 0
    }

    async fn wait(&self) {
        let micros = self.dice.lock().random_range(0..self.latency_max);
        sleep(Duration::from_micros(micros)).await;
        while self.is_stalled.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(10)).await;
        }
    }
}
