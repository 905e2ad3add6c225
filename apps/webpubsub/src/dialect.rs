//! Dialects: how the frames of subprotocols are written.

use polywire_core::delivery::{Around, Few, Numbering};

/// How the frames of subprotocols are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Json,
    Protobuf,
}

/// In protobuf a message is the field 2 of what goes down, and its sequence id the field 4 of the message.
const MESSAGE_KEY: u8 = 2 << 3 | 2;
const SEQUENCE_ID_KEY: u8 = 4 << 3;

impl Dialect {
    /// How sequence ids are put into messages, whose bodies the encoders of this dialect wrote.
    pub(crate) fn numbering(self) -> Numbering {
        match self {
            Self::Json => json,
            Self::Protobuf => protobuf,
        }
    }
}

/// The last member of the object, and its brace.
fn json(_: usize, id: u64) -> Around {
    let mut behind = Few::default();
    behind.push(br#","sequenceId":"#);
    behind.push_decimal(id);
    behind.push(b"}");
    Around::text(Few::default(), behind)
}

fn protobuf(body: usize, id: u64) -> Around {
    let (mut before, mut behind) = (Few::default(), Few::default());
    behind.push(&[SEQUENCE_ID_KEY]);
    behind.push_varint(id);
    before.push(&[MESSAGE_KEY]);
    before.push_varint((body + behind.as_slice().len()) as u64);
    Around::binary(before, behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(dialect: Dialect, body: &[u8], id: u64) -> Vec<u8> {
        let message = dialect.numbering()(body.len(), id).message(body);
        message.as_bytes().to_vec()
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
