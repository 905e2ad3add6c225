//! Numbering: the number of a message on one connection, put in when it is written.

use std::fmt;

use crate::framing::{Message, websocket::FrameHead};

/// How a protocol puts a number, which differs from connection to connection, into a message that is the same for
/// all: for a body of this length and this number, what stands around the body.
///
/// It is asked when a message is queued and again when it is written, and must give the same answer.
pub type Numbering = fn(body: usize, number: u64) -> Around;

/// What stands around a body.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    is_text: bool,
    before: Few,
    behind: Few,
}

impl Around {
    /// Around a body that is a text; with it the whole must be UTF-8.
    pub fn text(before: Few, behind: Few) -> Self {
        Self {
            is_text: true,
            before,
            behind,
        }
    }

    /// Around bytes.
    pub fn binary(before: Few, behind: Few) -> Self {
        Self {
            is_text: false,
            before,
            behind,
        }
    }

    /// The whole message.
    pub fn message(&self, body: &[u8]) -> Message {
        let bytes = [self.before.as_slice(), body, self.behind.as_slice()].concat();
        if self.is_text {
            Message::Text(String::from_utf8_lossy(&bytes).into_owned().into())
        } else {
            Message::Binary(bytes.into())
        }
    }

    /// The length of a WebSocket frame of it.
    pub(super) fn frame_length(&self, body: usize) -> usize {
        let payload = self.before.length + body + self.behind.length;
        FrameHead::length_for(payload) + payload
    }

    /// Writes it as a WebSocket frame.
    pub(super) fn write_frame(&self, body: &[u8], to: &mut Vec<u8>) {
        let payload = self.before.length + body.len() + self.behind.length;
        to.extend_from_slice(FrameHead::of_message(self.is_text, payload).as_bytes());
        to.extend_from_slice(self.before.as_slice());
        to.extend_from_slice(body);
        to.extend_from_slice(self.behind.as_slice());
    }
}

/// Bytes that there is room for: some words, and a number of 20 digits.
const ROOM: usize = 40;

/// A few bytes, at most 40. What does not fit is a mistake of the protocol's code, and panics.
#[derive(Clone, Copy)]
pub struct Few {
    bytes: [u8; ROOM],
    length: usize,
}

impl Default for Few {
    fn default() -> Self {
        Self {
            bytes: [0; ROOM],
            length: 0,
        }
    }
}

impl Few {
    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    /// Adds a number in decimal.
    pub fn push_decimal(&mut self, mut number: u64) {
        let digits = number.checked_ilog10().map_or(1, |log| log as usize + 1);
        let end = self.length + digits;
        for byte in self.bytes[self.length..end].iter_mut().rev() {
            *byte = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.length = end;
    }

    /// Adds a number as protobuf and MQTT write it, seven bits after seven bits.
    pub fn push_varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(&[number as u8 | 0x80]);
            number >>= 7;
        }
        self.push(&[number as u8]);
    }

    /// What was added.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Debug for Few {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Few({:?})", self.as_slice().escape_ascii().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 127, 128, 300, 1 << 35, u64::MAX] {
            let mut few = Few::default();
            few.push(b"n=");
            few.push_decimal(number);
            assert_eq!(few.as_slice(), format!("n={number}").as_bytes());
            let mut few = Few::default();
            few.push_varint(number);
            let read = few
                .as_slice()
                .iter()
                .rev()
                .fold(0u64, |read, byte| read << 7 | u64::from(byte & 0x7f));
            assert_eq!(read, number);
        }
    }
}
