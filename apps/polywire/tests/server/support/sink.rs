//! An HTTP service that keeps what it is sent.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use serde_json::Value;

use super::SOON;

/// An HTTP service that keeps what it is sent. Requests wait while it is held.
pub(crate) struct Sink {
    address: SocketAddr,
    received: Receiver<Received>,
    gate: Arc<Mutex<()>>,
}

/// One request.
pub(crate) struct Received {
    pub(crate) request_line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Value,
}

impl Sink {
    /// Answers 200 to everything.
    pub(crate) fn start() -> Self {
        Self::answering(|_| 200)
    }

    /// Answers the n-th request, counted from 0, with the status that `status` says.
    pub(crate) fn answering(status: impl Fn(usize) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let shared = Arc::new((status, Mutex::new(0), gate.clone()));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, shared) = (sender.clone(), shared.clone());
                thread::spawn(move || {
                    serve(stream, &sender, || {
                        drop(shared.2.lock());
                        let mut count = shared.1.lock().unwrap();
                        *count += 1;
                        (shared.0)(*count - 1)
                    })
                });
            }
        });
        Self {
            address,
            received,
            gate,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request.
    pub(crate) fn next(&self) -> Received {
        let next = self.received.recv_timeout(SOON);
        next.unwrap_or_else(|_| panic!("nothing was posted within {SOON:?}"))
    }

    /// No request is answered while `work` runs.
    pub(crate) fn held<T>(&self, work: impl FnOnce() -> T) -> T {
        let _gate = self.gate.lock().unwrap();
        work()
    }
}

/// Serves a connection until the client ends it or sends something that is not a POST of known length.
fn serve(
    stream: TcpStream,
    sender: &Sender<Received>,
    mut status: impl FnMut() -> u16,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            lines.push(line.to_owned());
        }
        let length = lines.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        })?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let received = Received {
            request_line: lines.remove(0),
            headers: lines,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        sender.send(received).ok()?;
        let answer = format!("HTTP/1.1 {} Word\r\nContent-Length: 0\r\n\r\n", status());
        reader.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}
