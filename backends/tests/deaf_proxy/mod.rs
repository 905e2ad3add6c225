//! A proxy before Redis that can leave out what Redis sends unasked, and hand on what it answers.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
};

pub(crate) struct DeafProxy {
    port: u16,
    drops: Arc<AtomicBool>,
}

impl DeafProxy {
    /// Starts before the Redis on this port.
    pub(crate) async fn start(redis: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let drops = Arc::new(AtomicBool::new(false));
        let dropping = drops.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, redis, dropping.clone()));
            }
        });
        Self { port, drops }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Leaves out messages from now on, or not any more.
    pub(crate) fn drop_pushes(&self, drops: bool) {
        self.drops.store(drops, Ordering::Relaxed);
    }
}

async fn serve(client: TcpStream, redis: u16, drops: Arc<AtomicBool>) {
    let redis = TcpStream::connect(("127.0.0.1", redis)).await.unwrap();
    let ((mut from_client, mut to_client), (from_redis, mut to_redis)) =
        (client.into_split(), redis.into_split());
    tokio::spawn(async move { copy(&mut from_client, &mut to_redis).await });
    let mut from_redis = BufReader::new(from_redis);
    while let Ok(frame) = frame(&mut from_redis).await {
        let is_message = frame.starts_with(b">") && frame[4..].starts_with(b"$7\r\nmessage");
        let is_left_out = is_message && drops.load(Ordering::Relaxed);
        if !is_left_out && to_client.write_all(&frame).await.is_err() {
            return;
        }
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
