//! Outgoing frames: RFC 6455 section 5.2, server side, so never masked and never fragmented.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{delivery::Message, transport::CloseReason};

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

/// A text frame of several parts; together they must be UTF-8.
pub fn text_frame_of(parts: &[&[u8]]) -> Bytes {
    frame_of(TEXT, parts)
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
    frame_of(opcode, &[payload])
}

fn frame_of(opcode: u8, parts: &[&[u8]]) -> Bytes {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut out = BytesMut::with_capacity(len + 10);
    out.put_u8(0x80 | opcode);
    match len {
        len @ 0..=125 => out.put_u8(len as u8),
        len @ 126..=0xffff => {
            out.put_u8(126);
            out.put_u16(len as u16);
        }
        len => {
            out.put_u8(127);
            out.put_u64(len as u64);
        }
    }
    parts.iter().for_each(|part| out.put_slice(part));
    out.freeze()
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
