//! A proxy before Redis that can leave out what Redis sends unasked, hand on what it answers, and cut connections.

#![allow(dead_code, reason = "not every test loses in every way")]

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    sync::Notify,
};

/// What is left out of the messages that Redis sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    Nothing,
    Everything,
    /// Publications, and no heartbeats.
    Publications,
    /// Each publication of which the number is a multiple of this.
    OneOf(u64),
}

pub(crate) struct LossyProxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    redis: u16,
    loss: Mutex<Loss>,
    publications: AtomicU64,
    lost: AtomicU64,
    refuses: AtomicBool,
    cut: Notify,
}

impl LossyProxy {
    /// Starts before the Redis on this port.
    pub(crate) async fn start(redis: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            redis,
            loss: Mutex::new(Loss::Nothing),
            publications: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            cut: Notify::new(),
        });
        let serving = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve_until_cut(client));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Leaves this out from now on.
    pub(crate) fn lose(&self, loss: Loss) {
        *self.state.loss.lock().unwrap() = loss;
    }

    /// Publications that were left out.
    pub(crate) fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }

    /// Closes new connections at once from now on, or not any more.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Cuts the connections that there are.
    pub(crate) fn cut(&self) {
        self.state.cut.notify_waiters();
    }
}

impl State {
    async fn serve_until_cut(self: Arc<Self>, client: TcpStream) {
        tokio::select! {
            () = self.serve(client) => {}
            () = self.cut.notified() => {}
        }
    }

    async fn serve(&self, client: TcpStream) {
        if self.refuses.load(Ordering::Relaxed) {
            return;
        }
        let redis = TcpStream::connect(("127.0.0.1", self.redis)).await.unwrap();
        let ((mut from_client, mut to_client), (from_redis, mut to_redis)) =
            (client.into_split(), redis.into_split());
        let forth = async { copy(&mut from_client, &mut to_redis).await.ok() };
        let back = async {
            let mut from_redis = BufReader::new(from_redis);
            while let Ok(frame) = frame(&mut from_redis).await {
                if !self.is_left_out(&frame) && to_client.write_all(&frame).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(forth, back);
    }

    fn is_left_out(&self, frame: &[u8]) -> bool {
        let is_push = frame.starts_with(b">");
        let text = String::from_utf8_lossy(&frame[..frame.len().min(40)]);
        if !is_push || !(text.contains("\r\nmessage") || text.contains("\r\npmessage")) {
            return false;
        }
        let loss = *self.loss.lock().unwrap();
        let begin = String::from_utf8_lossy(&frame[..frame.len().min(100)]).into_owned();
        if begin.contains("heartbeat") {
            return matches!(loss, Loss::Everything);
        }
        let number = self.publications.fetch_add(1, Ordering::Relaxed) + 1;
        let is_left_out = match loss {
            Loss::Nothing => false,
            Loss::Everything | Loss::Publications => true,
            Loss::OneOf(count) => number.is_multiple_of(count),
        };
        self.lost
            .fetch_add(u64::from(is_left_out), Ordering::Relaxed);
        is_left_out
    }
}

/// One frame of RESP3, whole.
async fn frame(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let (mut frame, mut parts) = (Vec::new(), 1);
    while parts > 0 {
        parts -= 1;
        let begin = frame.len();
        if from.read_until(b'\n', &mut frame).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let sort = frame[begin];
        let number = std::str::from_utf8(&frame[begin + 1..]).unwrap_or_default();
        let count = number.trim_end().parse::<usize>().unwrap_or(0);
        match sort {
            b'*' | b'>' | b'~' => parts += count,
            b'%' => parts += 2 * count,
            // A length of -1 is no number, and has no content.
            b'$' | b'=' if !number.starts_with('-') => {
                let length = frame.len();
                frame.resize(length + count + 2, 0);
                from.read_exact(&mut frame[length..]).await?;
            }
            _ => {}
        }
    }
    Ok(frame)
}
