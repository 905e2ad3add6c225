//! Seth-Pusher: subscribers on raw WebSockets, publishers on the HTTP API, one request after another
//! without waiting for answers.

use std::io::Write;

use super::{Opening, Protocol, channel, excerpt};

pub(super) struct Seth {
    host: String,
}

impl Seth {
    pub(super) fn new(authority: &str) -> Self {
        Self {
            host: authority.to_owned(),
        }
    }
}

impl Protocol for Seth {
    fn name(&self) -> &'static str {
        "seth"
    }

    fn open(&self, opening: &mut Opening, out: &mut Vec<u8>) -> Result<bool, String> {
        if !opening.is_subscriber() {
            return Ok(true);
        }
        match opening.stage {
            0 => {
                // The key is that of RFC 6455; nobody looks whether it was chosen at random.
                let _ = write!(
                    out,
                    "GET /connect/websocket HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    self.host
                );
                opening.stage = 1;
            }
            1 => {
                let upgraded = b"HTTP/1.1 101";
                let came = opening.received.len().min(upgraded.len());
                if opening.received[..came] != upgraded[..came] {
                    return Err(excerpt(&opening.received));
                }
                if opening.has("\r\n\r\n") {
                    let number = opening.client.number;
                    text_frame(
                        &format!(r#"{{"type":"connect","subscriber_id":"bench-{number}"}}"#),
                        out,
                    );
                    let channel = channel(opening.client.channel);
                    text_frame(
                        &format!(r#"{{"type":"subscribe","channel":"{channel}"}}"#),
                        out,
                    );
                    opening.stage = 2;
                }
            }
            _ => {
                if opening.has(r#""type":"error""#) {
                    return Err("an error for its subscription".into());
                }
                return Ok(opening.has(r#""type":"subscribe""#));
            }
        }
        Ok(false)
    }

    fn publish(&self, number: usize, text: &str, out: &mut Vec<u8>) {
        let (channel, length) = (channel(number), text.len() + r#"{"m":""}"#.len());
        let _ = write!(
            out,
            "POST /api/channels/{channel}/ HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{{\"m\":\"{text}\"}}",
            self.host
        );
    }

    fn answer(&self, bytes: &[u8]) -> Result<(), String> {
        // An answer may begin anywhere in a read; one that begins it is enough to notice a refusal.
        match bytes.strip_prefix(b"HTTP/1.1 ") {
            Some(rest) if !rest.starts_with(b"200") && rest.len() >= 3 => Err(excerpt(bytes)),
            _ => Ok(()),
        }
    }
}

/// A masked text frame of RFC 6455 section 5.2. A mask of zeroes is a mask, and costs nothing.
fn text_frame(text: &str, out: &mut Vec<u8>) {
    out.push(0x81);
    match text.len() {
        length @ ..126 => out.push(0x80 | length as u8),
        length => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(text.as_bytes());
}
