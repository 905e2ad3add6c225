//! Outgoing frames: RFC 6455 section 5.2, server side, so never masked and never fragmented.

use bytes::{BufMut, Bytes, BytesMut};

use super::{CloseReason, Message};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Payload bytes that a control frame has at most (section 5.5).
const CONTROL_MAX: usize = 125;

/// A text or binary frame.
pub fn message_frame(message: &Message) -> Bytes {
    match message {
        Message::Text(text) => frame(TEXT, text.as_bytes()),
        Message::Binary(bytes) => frame(BINARY, bytes),
    }
}

/// A text frame; `text` must be UTF-8.
pub fn text_frame(text: &[u8]) -> Bytes {
    frame(TEXT, text)
}

/// A ping.
pub fn ping_frame() -> Bytes {
    Bytes::from_static(&[0x80 | PING, 0])
}

/// The answer to a ping with this payload.
pub fn pong_frame(payload: &[u8]) -> Bytes {
    frame(PONG, &payload[..payload.len().min(CONTROL_MAX)])
}

/// A close frame (section 5.5.1). Code 1005, which means "no code" and may not be sent, makes an empty
/// one; a reason that is too long is cut between characters.
pub fn close_frame(reason: &CloseReason) -> Bytes {
    if reason.code == 1005 {
        return frame(CLOSE, &[]);
    }
    let mut payload = BytesMut::with_capacity(CONTROL_MAX);
    payload.put_u16(reason.code);
    let end = reason.reason.floor_char_boundary(CONTROL_MAX - 2);
    payload.put_slice(&reason.reason.as_bytes()[..end]);
    frame(CLOSE, &payload)
}

fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let head = FrameHead::new(opcode, payload.len());
    let mut out = BytesMut::with_capacity(HEAD_MAX + payload.len());
    out.put_slice(head.as_bytes());
    out.put_slice(payload);
    out.freeze()
}

/// Bytes of a head: two, and eight of a length.
const HEAD_MAX: usize = 10;

/// What stands before the payload of a frame.
pub(crate) struct FrameHead {
    bytes: [u8; HEAD_MAX],
    length: usize,
}

impl FrameHead {
    fn new(opcode: u8, payload: usize) -> Self {
        let mut bytes = [0; HEAD_MAX];
        bytes[0] = 0x80 | opcode;
        let length = match payload {
            0..=125 => {
                bytes[1] = payload as u8;
                2
            }
            126..=0xffff => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&(payload as u64).to_be_bytes());
                HEAD_MAX
            }
        };
        Self { bytes, length }
    }

    /// The head of a message with this length.
    pub(crate) fn of_message(is_text: bool, payload: usize) -> Self {
        Self::new(if is_text { TEXT } else { BINARY }, payload)
    }

    /// How long the head of a message with this length is.
    pub(crate) fn length_for(payload: usize) -> usize {
        match payload {
            0..=125 => 2,
            126..=0xffff => 4,
            _ => HEAD_MAX,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        let header = |len: usize| {
            let bytes = frame(BINARY, &vec![0; len]);
            bytes[..bytes.len() - len].to_vec()
        };
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(65535), [0x82, 126, 255, 255]);
        assert_eq!(header(65536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        for len in [0, 125, 126, 65535, 65536] {
            assert_eq!(FrameHead::length_for(len), header(len).len());
        }
    }

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        let bytes = close_frame(&CloseReason {
            code: 4000,
            reason: "é".repeat(80).into(),
        });
        assert_eq!(bytes[1], 124);
        assert!(std::str::from_utf8(&bytes[4..]).is_ok());
        assert_eq!(&close_frame(&CloseReason::new(1005, ""))[..], [0x88, 0]);
    }
}
