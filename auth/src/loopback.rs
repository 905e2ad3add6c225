//! A service on this machine for tests, which answers what it is told.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// What a service does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Answers with this status and body.
    Answers(u16, String),
    /// Answers a byte at a time, without an end.
    Dribbles,
    /// Says nothing.
    Waits,
}

/// A service on this machine.
#[derive(Debug)]
pub(crate) struct Loopback {
    pub(crate) address: SocketAddr,
    does: Arc<Mutex<Does>>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Loopback {
    pub(crate) async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let does = Arc::new(Mutex::new(does));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (what, seen) = (does.clone(), requests.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (what, seen) = (what.clone(), seen.clone());
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else {
                        return;
                    };
                    seen.lock().push(request);
                    let does = what.lock().clone();
                    answer(&mut stream, does).await;
                });
            }
        });
        Self {
            address,
            does,
            requests,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/ask?key=s3cr3t-v", self.address)
    }

    /// From now on it does this.
    pub(crate) fn does(&self, does: Does) {
        *self.does.lock() = does;
    }

    /// The requests that have come so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request with its body.
async fn read(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.ok()?;
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
    }
}

async fn answer(stream: &mut tokio::net::TcpStream, does: Does) {
    match does {
        Does::Answers(status, body) => {
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nlocation: /else\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Does::Dribbles => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 x\r\nconnection: close\r\n\r\n{")
                .await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Does::Waits => std::future::pending().await,
    }
}
