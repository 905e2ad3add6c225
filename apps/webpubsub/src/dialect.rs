//! How the frames of subprotocols are written.

use polywire_core::delivery::Spliced;

/// How the frames of subprotocols are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Json,
    Protobuf,
}

/// Room for what a dialect puts around a message: `,"sequenceId":`, 20 digits and a brace.
const ROOM: usize = 36;

/// A few bytes.
struct Few {
    bytes: [u8; ROOM],
    length: usize,
}

impl Few {
    fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            length: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    fn push_decimal(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    /// A number as protobuf writes it, seven bits after seven bits.
    fn push_varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(&[number as u8 | 0x80]);
            number >>= 7;
        }
        self.push(&[number as u8]);
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// In protobuf a message is the field 2 of what goes down, and its sequence id the field 4 of the message.
const MESSAGE_KEY: u8 = 2 << 3 | 2;
const SEQUENCE_ID_KEY: u8 = 4 << 3;

impl Dialect {
    /// Puts a sequence id into a message, whose `body` the encoders of this dialect wrote, and hands the parts on.
    pub(crate) fn splice<T>(self, body: &[u8], id: u64, take: impl FnOnce(Spliced<'_>) -> T) -> T {
        let (mut head, mut tail) = (Few::new(), Few::new());
        match self {
            Self::Json => {
                tail.push(br#","sequenceId":"#);
                tail.push_decimal(id);
                tail.push(b"}");
                take(Spliced::Text(&[body, tail.as_slice()]))
            }
            Self::Protobuf => {
                tail.push(&[SEQUENCE_ID_KEY]);
                tail.push_varint(id);
                head.push(&[MESSAGE_KEY]);
                head.push_varint((body.len() + tail.length) as u64);
                take(Spliced::Binary(&[head.as_slice(), body, tail.as_slice()]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(dialect: Dialect, body: &[u8], id: u64) -> Vec<u8> {
        dialect.splice(body, id, |spliced| match spliced {
            Spliced::Text(parts) | Spliced::Binary(parts) => parts.concat(),
        })
    }

    #[test]
    fn every_id_has_room() {
        for id in [0, 7, 10, 127, 128, 1 << 35, u64::MAX] {
            let expected = format!("{{\"a\":1,\"sequenceId\":{id}}}");
            assert_eq!(joined(Dialect::Json, b"{\"a\":1", id), expected.as_bytes());
            let tail = joined(Dialect::Protobuf, b"", id);
            assert_eq!(
                (tail[0], tail[1] as usize, tail[2]),
                (0x12, tail.len() - 2, 0x20)
            );
        }
        assert_eq!(
            joined(Dialect::Protobuf, b"ab", 300),
            b"\x12\x05ab\x20\xac\x02"
        );
    }
}
