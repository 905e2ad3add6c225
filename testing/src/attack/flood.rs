//! Floods: a connection that says the same again and again, as fast as the server takes it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use super::{Attack, Progress, frames::upgrade};

/// Bytes that are written at once.
const PIECE_BYTES: usize = 256 << 10;

/// How long a write may wait before the end of the attack is looked for.
const PATIENCE: Duration = Duration::from_millis(200);

/// A connection that says the same again and again. Whatever comes back is read, so that it is no slow consumer.
#[derive(Debug, Clone)]
pub struct Flood {
    opening: Vec<u8>,
    piece: Vec<u8>,
    ends_of: fn(&[u8]) -> Option<String>,
}

impl Flood {
    /// One that begins with `opening` and repeats `what`.
    pub fn new(opening: impl Into<Vec<u8>>, what: impl AsRef<[u8]>) -> Self {
        let what = what.as_ref();
        Self {
            opening: opening.into(),
            piece: what.repeat((PIECE_BYTES / what.len()).max(1)),
            ends_of: |_| None,
        }
    }

    /// One over a WebSocket at `path` that repeats a frame, masked with zeros.
    pub fn websocket(path: &str, subprotocol: &str, first: &[u8], frame: impl AsRef<[u8]>) -> Self {
        let opening = upgrade(path, subprotocol);
        let mut flood = Self::new([&opening, first].concat(), frame);
        flood.ends_of = close_code;
        flood
    }

    /// The attack of which each attacker does this, on one connection after another.
    pub fn attack(self, name: &'static str) -> Attack {
        Attack::new(name, move |server, _, progress| self.run(server, progress))
    }

    /// What one attacker does: how its last connection ended.
    pub(super) fn run(&self, server: SocketAddr, progress: &Progress) -> String {
        let mut end = "open".into();
        while !progress.is_over() {
            if let Some(ended) = self.connection(server, progress) {
                end = ended;
            }
        }
        end
    }

    /// How the server ended the connection; `None` when it did not.
    fn connection(&self, server: SocketAddr, progress: &Progress) -> Option<String> {
        let Ok(mut stream) = TcpStream::connect(server) else {
            std::thread::park_timeout(PATIENCE);
            return Some("not accepted".into());
        };
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let mut answers = stream.try_clone().ok()?;
        let ends_of = self.ends_of;
        let reader = std::thread::spawn(move || {
            let mut tail = Vec::new();
            let mut buffer = vec![0; 64 << 10];
            loop {
                match answers.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        tail.extend_from_slice(&buffer[..count]);
                        tail.drain(..tail.len().saturating_sub(200));
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            ends_of(&tail)
        });
        let mut is_ended = stream.write_all(&self.opening).is_err();
        let mut at = 0;
        while !is_ended && !progress.is_over() {
            match stream.write(&self.piece[at..]) {
                Ok(count) => {
                    progress.sent(count);
                    at = (at + count) % self.piece.len();
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => is_ended = true,
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
        let code = reader.join().ok().flatten();
        is_ended.then(|| code.unwrap_or_else(|| "closed".into()))
    }
}

/// The code of the close frame that a WebSocket ended with.
fn close_code(tail: &[u8]) -> Option<String> {
    let at = tail
        .windows(2)
        .rposition(|two| two[0] == 0x88 && two[1] >= 2)?;
    let code = tail.get(at + 2..at + 4)?;
    Some(u16::from_be_bytes([code[0], code[1]]).to_string())
}
