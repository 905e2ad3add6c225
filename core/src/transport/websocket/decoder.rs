//! Incoming frames, sans IO: RFC 6455 sections 5 and 7, server side.

use std::io::Cursor;

use bytes::Bytes;
use bytestring::ByteString;
use simdutf8::compat;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{CloseCode, Control, Data, OpCode},
};

use crate::{
    delivery::Message,
    memory::{Draw, Held},
    transport::CloseReason,
};

/// Bytes of the longest frame header: 2, a length of 8 and a mask of 4.
const HEADER_MAX: usize = 14;

/// Seconds for which control frames and empty fragments are counted.
const IDLE_PERIOD_SECS: u64 = 10;

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message, however it was fragmented.
    Message(Message),
    /// A ping, to be answered with this payload.
    Ping(Bytes),
    /// An answer to a ping.
    Pong,
    /// The client closes; code 1005 stands for no code.
    Close(CloseReason),
}

/// What a client did wrong, with the close code that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Section 5: framing rules; 1002.
    #[error("{0}")]
    Framing(&'static str),
    /// Section 8.1: a text is not UTF-8; 1007.
    #[error("A text message must be valid UTF-8.")]
    NotUtf8,
    /// More control frames and empty fragments came than are taken in a while; 1008.
    #[error("Too many frames came that carry no data.")]
    TooManyIdleFrames,
    /// The server holds as much as its memory budget allows; 1013.
    #[error("The server has no room for the message now; try again later.")]
    NoRoom,
    /// A message is longer than the limit; 1009.
    #[error("The message is longer than the limit.")]
    TooLong,
}

impl ProtocolError {
    /// The close code and reason for the client.
    pub fn close_reason(self) -> CloseReason {
        let code = match self {
            Self::Framing(_) => 1002,
            Self::NotUtf8 => 1007,
            Self::TooManyIdleFrames => 1008,
            Self::TooLong => 1009,
            Self::NoRoom => 1013,
        };
        CloseReason {
            code,
            reason: self.to_string().into(),
        }
    }
}

/// Turns bytes, cut anywhere, into messages.
///
/// Nothing is allocated for a declared length: buffers grow with the bytes that arrive. An idle decoder
/// owns no memory.
#[derive(Debug)]
pub struct Decoder {
    message_bytes_max: usize,
    idle_frames_max: u32,
    /// Control frames and empty fragments since `period` began.
    idle_frames: u32,
    /// In seconds.
    period: u64,
    header: [u8; HEADER_MAX],
    header_len: u8,
    frame: Option<Frame>,
    /// The message whose fragments are arriving.
    message: Option<Box<Partial>>,
    /// The payload of the control frame that is arriving.
    control: Vec<u8>,
}

#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    mask: [u8; 4],
    mask_at: usize,
    left: u64,
}

#[derive(Debug)]
struct Partial {
    is_text: bool,
    bytes: Vec<u8>,
    /// How much of a text is known to be UTF-8.
    valid: usize,
    /// What has arrived so far, of the memory budget; nothing for a message that arrives at once.
    draw: Draw,
}

impl Decoder {
    /// A decoder for messages up to this length, and so many control frames and empty fragments in ten seconds.
    pub fn new(message_bytes_max: usize, idle_frames_max: u32) -> Self {
        Self {
            message_bytes_max,
            idle_frames_max,
            idle_frames: 0,
            period: 0,
            header: [0; HEADER_MAX],
            header_len: 0,
            frame: None,
            message: None,
            control: Vec::new(),
        }
    }

    /// True when a message or a frame has begun that is not whole.
    pub fn is_partial(&self) -> bool {
        self.message.is_some() || self.frame.is_some() || self.header_len > 0
    }

    /// Tells the time, in seconds of any clock that goes forward.
    pub fn set_now(&mut self, secs: u64) {
        if secs.saturating_sub(self.period) >= IDLE_PERIOD_SECS {
            self.period = secs;
            self.idle_frames = 0;
        }
    }

    /// Takes bytes off `input` until something is complete; `None` when all were taken.
    ///
    /// # Errors
    /// After an error the stream cannot be read any further.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, ProtocolError> {
        loop {
            if self.frame.is_none() && !self.read_header(input)? {
                return self.wait();
            }
            if let Some(incoming) = self.read_payload(input)? {
                return Ok(Some(incoming));
            }
            if input.is_empty() {
                return self.wait();
            }
        }
    }

    /// Nothing is complete: what has arrived of a message is held until the rest comes.
    fn wait(&mut self) -> Result<Option<Incoming>, ProtocolError> {
        let has_room = self.message.as_mut().is_none_or(|message| {
            let Partial { bytes, draw, .. } = &mut **message;
            draw.resize(bytes.len())
        });
        if has_room {
            Ok(None)
        } else {
            Err(ProtocolError::NoRoom)
        }
    }

    /// True when a whole header was read.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<bool, ProtocolError> {
        let known = usize::from(self.header_len);
        let taken = input.len().min(HEADER_MAX - known);
        self.header[known..known + taken].copy_from_slice(&input[..taken]);
        let mut cursor = Cursor::new(&self.header[..known + taken]);
        match FrameHeader::parse(&mut cursor) {
            Ok(Some((header, length))) => {
                // What follows the header stays in the input; what was known before was no header.
                let used = usize::try_from(cursor.position()).unwrap_or(known);
                *input = &input[used.saturating_sub(known)..];
                self.header_len = 0;
                self.frame = Some(self.check(&header, length)?);
                Ok(true)
            }
            Ok(None) => {
                *input = &input[taken..];
                self.header_len += taken as u8;
                Ok(false)
            }
            Err(_) => Err(ProtocolError::Framing("The opcode is reserved.")),
        }
    }

    fn check(&mut self, header: &FrameHeader, length: u64) -> Result<Frame, ProtocolError> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(ProtocolError::Framing("Reserved bits must be 0."));
        }
        let Some(mask) = header.mask else {
            return Err(ProtocolError::Framing("A client must mask its frames."));
        };
        match header.opcode {
            OpCode::Control(_) => {
                if !header.is_final || length > 125 {
                    return Err(ProtocolError::Framing(
                        "A control frame must be whole and at most 125 bytes long.",
                    ));
                }
            }
            OpCode::Data(data) => {
                match (data, &self.message) {
                    (Data::Continue, None) => {
                        return Err(ProtocolError::Framing("There is no message to continue."));
                    }
                    (Data::Continue, Some(_)) => {}
                    (_, Some(_)) => {
                        return Err(ProtocolError::Framing(
                            "The message before must be finished first.",
                        ));
                    }
                    (_, None) => {
                        self.message = Some(Box::new(Partial {
                            is_text: data == Data::Text,
                            bytes: Vec::new(),
                            valid: 0,
                            draw: Draw::new(Held::Requests),
                        }));
                    }
                }
                let have = self
                    .message
                    .as_ref()
                    .map_or(0, |message| message.bytes.len());
                if length > self.message_bytes_max.saturating_sub(have) as u64 {
                    return Err(ProtocolError::TooLong);
                }
            }
        }
        let is_idle = match header.opcode {
            OpCode::Control(_) => true,
            // An empty one that is final makes a message whole.
            OpCode::Data(_) => length == 0 && !header.is_final,
        };
        if is_idle {
            self.idle_frames += 1;
            if self.idle_frames > self.idle_frames_max {
                return Err(ProtocolError::TooManyIdleFrames);
            }
        }
        Ok(Frame {
            opcode: header.opcode,
            is_final: header.is_final,
            mask,
            mask_at: 0,
            left: length,
        })
    }

    fn read_payload(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, ProtocolError> {
        let Some(frame) = &mut self.frame else {
            return Ok(None);
        };
        let take = usize::try_from(frame.left)
            .unwrap_or(usize::MAX)
            .min(input.len());
        let (taken, rest) = input.split_at(take);
        *input = rest;
        frame.left -= take as u64;
        let is_control = matches!(frame.opcode, OpCode::Control(_));
        match (&mut self.message, is_control) {
            (_, true) => unmask_into(&mut self.control, taken, frame),
            (Some(message), false) => {
                unmask_into(&mut message.bytes, taken, frame);
                if message.is_text {
                    message.check_utf8(frame.is_final && frame.left == 0)?;
                }
            }
            (None, false) => {}
        }
        if frame.left > 0 {
            return Ok(None);
        }
        let (opcode, is_final) = (frame.opcode, frame.is_final);
        self.frame = None;
        match opcode {
            OpCode::Control(control) => {
                let payload = std::mem::take(&mut self.control);
                match control {
                    Control::Ping => Ok(Some(Incoming::Ping(payload.into()))),
                    Control::Pong => Ok(Some(Incoming::Pong)),
                    _ => close(&payload).map(|reason| Some(Incoming::Close(reason))),
                }
            }
            OpCode::Data(_) if is_final => Ok(self
                .message
                .take()
                .map(|message| Incoming::Message(message.finish()))),
            OpCode::Data(_) => Ok(None),
        }
    }
}

impl Partial {
    /// Fails as soon as the bytes cannot become UTF-8 any more.
    fn check_utf8(&mut self, complete: bool) -> Result<(), ProtocolError> {
        match compat::from_utf8(&self.bytes[self.valid..]) {
            Ok(_) => self.valid = self.bytes.len(),
            // A character is cut at the end of what has arrived.
            Err(error) if error.error_len().is_none() && !complete => {
                self.valid += error.valid_up_to();
            }
            Err(_) => return Err(ProtocolError::NotUtf8),
        }
        Ok(())
    }

    fn finish(self) -> Message {
        let bytes = Bytes::from(self.bytes);
        if self.is_text {
            // Checked already; a second look is the price of forbidding unsafe code.
            if let Ok(text) = ByteString::try_from(bytes.clone()) {
                return Message::Text(text);
            }
        }
        Message::Binary(bytes)
    }
}

fn unmask_into(out: &mut Vec<u8>, masked: &[u8], frame: &mut Frame) {
    let start = out.len();
    out.extend_from_slice(masked);
    let mut mask = frame.mask;
    mask.rotate_left(frame.mask_at);
    if mask != [0; 4] {
        let wide = u64::from_ne_bytes([
            mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
        ]);
        let mut words = out[start..].chunks_exact_mut(8);
        for word in &mut words {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
        }
        for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
    }
    frame.mask_at = (frame.mask_at + masked.len()) % 4;
}

/// Section 5.5.1 and 7.4.
fn close(payload: &[u8]) -> Result<CloseReason, ProtocolError> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(CloseReason::new(1005, ""))
        } else {
            Err(ProtocolError::Framing("A close code has 2 bytes."))
        };
    };
    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() {
        return Err(ProtocolError::Framing("The close code may not be sent."));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::NotUtf8)?;
    Ok(CloseReason {
        code,
        reason: reason.to_owned().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client_frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            len @ 0..=125 => out.push(0x80 | len as u8),
            len @ 126..=0xffff => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&mask);
        out.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        out
    }

    /// Everything that a stream holds, read in pieces of these lengths, up to the first error.
    fn decode_in(
        stream: &[u8],
        lengths: &[usize],
        max: usize,
    ) -> (Vec<Incoming>, Option<ProtocolError>) {
        let mut decoder = Decoder::new(max, 1000);
        let (mut found, mut rest, mut lengths) = (Vec::new(), stream, lengths.iter().cycle());
        while !rest.is_empty() {
            let take = lengths
                .next()
                .map_or(rest.len(), |len| (*len).clamp(1, rest.len()));
            let (mut piece, after) = rest.split_at(take);
            rest = after;
            loop {
                match decoder.decode(&mut piece) {
                    Ok(Some(incoming)) => found.push(incoming),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error)),
                }
            }
        }
        (found, None)
    }

    fn decode(stream: &[u8]) -> (Vec<Incoming>, Option<ProtocolError>) {
        decode_in(stream, &[], 1 << 16)
    }

    fn text(value: &str) -> Incoming {
        Incoming::Message(Message::Text(value.to_owned().into()))
    }

    #[test]
    fn fragments_make_one_message_and_pings_come_between() {
        let mut stream = client_frame(0x01, b"Hel", [1, 2, 3, 4]);
        stream.extend(client_frame(0x89, b"p", [9, 9, 9, 9]));
        stream.extend(client_frame(0x80, b"lo", [5, 6, 7, 8]));
        let (found, error) = decode(&stream);
        assert_eq!(
            found,
            [Incoming::Ping(Bytes::from_static(b"p")), text("Hello")]
        );
        assert_eq!(error, None);
    }

    #[test]
    fn each_fault_has_its_code() {
        let mask = [1, 2, 3, 4];
        let code = |stream: &[u8]| decode(stream).1.map(|error| error.close_reason().code);
        assert_eq!(
            code(&client_frame(0xc1, b"", mask)),
            Some(1002),
            "reserved bit"
        );
        assert_eq!(code(&[0x81, 0]), Some(1002), "no mask");
        assert_eq!(
            code(&client_frame(0x83, b"", mask)),
            Some(1002),
            "reserved opcode"
        );
        assert_eq!(
            code(&client_frame(0x8b, b"", mask)),
            Some(1002),
            "reserved control opcode"
        );
        assert_eq!(
            code(&client_frame(0x09, b"", mask)),
            Some(1002),
            "fragmented ping"
        );
        assert_eq!(
            code(&client_frame(0x89, &[0; 126], mask)),
            Some(1002),
            "long ping"
        );
        assert_eq!(
            code(&client_frame(0x80, b"", mask)),
            Some(1002),
            "nothing to continue"
        );
        let mut stream = client_frame(0x01, b"", mask);
        stream.extend(client_frame(0x81, b"", mask));
        assert_eq!(code(&stream), Some(1002), "message inside a message");
        assert_eq!(
            code(&client_frame(0x81, b"\xff", mask)),
            Some(1007),
            "not UTF-8"
        );
        assert_eq!(
            code(&client_frame(0x81, b"\xc3", mask)),
            Some(1007),
            "cut character"
        );
        assert_eq!(
            code(&client_frame(0x01, b"\xed\xa0", mask)),
            Some(1007),
            "fails early"
        );
        assert_eq!(
            code(&client_frame(0x88, b"x", mask)),
            Some(1002),
            "half a close code"
        );
        assert_eq!(
            code(&client_frame(0x88, &[3, 236], mask)),
            Some(1002),
            "close code 1004"
        );
        assert_eq!(
            code(&client_frame(0x88, &[3, 232, 0xff], mask)),
            Some(1007),
            "close reason"
        );
        assert_eq!(
            code(&client_frame(0x82, &[0; 65537], mask)),
            Some(1009),
            "too long"
        );
    }

    /// What a decoder that takes three of them says to the fourth.
    fn after_three(frame: &[u8]) -> (Decoder, Result<Option<Incoming>, ProtocolError>) {
        let mut decoder = Decoder::new(100, 3);
        decoder.set_now(7);
        let mut first: &[u8] = &client_frame(0x01, b"x", [1; 4]);
        assert_eq!(decoder.decode(&mut first), Ok(None));
        for _ in 0..3 {
            assert!(decoder.decode(&mut &*frame).is_ok());
        }
        let fourth = decoder.decode(&mut &*frame);
        (decoder, fourth)
    }

    #[test]
    fn frames_without_data_have_a_budget() {
        for opcode in [0x00, 0x89, 0x8a] {
            let frame = client_frame(opcode, b"", [1; 4]);
            let (_, fourth) = after_three(&frame);
            assert_eq!(fourth, Err(ProtocolError::TooManyIdleFrames), "{opcode}");
        }
        assert_eq!(ProtocolError::TooManyIdleFrames.close_reason().code, 1008);
        // Fragments that carry something are messages, and have the bounds of messages.
        let (_, fourth) = after_three(&client_frame(0x00, b"y", [1; 4]));
        assert_eq!(fourth, Ok(None));
    }

    #[test]
    fn the_budget_of_frames_without_data_begins_anew_with_the_next_ten_seconds() {
        let pong = client_frame(0x8a, b"", [1; 4]);
        let mut decoder = Decoder::new(100, 1);
        for now in [20, 30, 40] {
            decoder.set_now(now);
            assert_eq!(decoder.decode(&mut &*pong), Ok(Some(Incoming::Pong)));
        }
        decoder.set_now(49);
        assert!(decoder.decode(&mut &*pong).is_err());
    }

    #[test]
    fn a_declared_length_alone_allocates_nothing() {
        let mut decoder = Decoder::new(usize::MAX, 1000);
        let mut header: &[u8] = &[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(decoder.decode(&mut header), Ok(None));
        assert!(decoder.message.unwrap().bytes.capacity() < 64);
    }

    proptest! {
        #[test]
        fn any_split_of_any_messages_gives_the_same(
            texts in prop::collection::vec(".{0,300}", 0..5),
            mask: [u8; 4],
            lengths in prop::collection::vec(1usize..40, 0..8),
        ) {
            let mut stream = Vec::new();
            for value in &texts {
                // Cut inside characters too: fragments need not be UTF-8 on their own.
                let (first, second) = value.as_bytes().split_at(value.len() / 2);
                stream.extend(client_frame(0x01, first, mask));
                stream.extend(client_frame(0x80, second, mask));
            }
            let expected: Vec<_> = texts.iter().map(|value| text(value)).collect();
            prop_assert_eq!(decode_in(&stream, &lengths, 1 << 16), (expected, None));
        }

        #[test]
        fn any_split_of_any_bytes_gives_the_same(
            stream in prop::collection::vec(any::<u8>(), 0..200),
            lengths in prop::collection::vec(1usize..20, 1..8),
        ) {
            prop_assert_eq!(decode_in(&stream, &lengths, 64), decode_in(&stream, &[], 64));
        }
    }
}
