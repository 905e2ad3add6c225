//! A publication as it travels through Redis.
//!
//! ```text
//! pw2 <epoch> <seq> <timetoken> <previous>\n   written by the script, in decimal
//! <node: 8 bytes> <number: 8 bytes>           who published it, and its number there
//! <draft>                                     in the bytes that core gives it
//! ```
//!
//! `previous` is the timetoken of the publication before it on its channel, 0 where it is the first of its epoch. What a
//! node that has another backend keeps in Redis has no predecessor, and begins with `pw1`.
//!
//! Decoding is total: whatever comes is a publication or an error.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use polywire_core::{
    BinaryError, Draft, Epoch, NodeId, Position, Publication, Seq, Timetoken, decode_draft,
    encode_draft,
};

/// What every envelope begins with; the script writes it.
const MAGIC: &[u8] = b"pw2 ";
/// What one without a predecessor begins with.
const MAGIC_ALONE: &[u8] = b"pw1 ";
/// The line of the script is never longer: four numbers of at most 20 digits.
const LINE_MAX: usize = 100;

/// Who published something: the number is never used twice on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PublishId {
    pub(super) node: NodeId,
    pub(super) number: u64,
}

/// A publication as Redis announces and keeps it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Announced {
    pub(super) id: PublishId,
    pub(super) publication: Publication,
    /// The one before it on its channel; 0 for none.
    pub(super) previous: Option<Timetoken>,
}

/// Why bytes are not an envelope, or a draft cannot be put into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnvelopeError {
    #[error("the envelope ends too early")]
    Truncated,
    #[error("it does not begin like an envelope")]
    NotAnEnvelope,
    #[error(transparent)]
    Draft(#[from] BinaryError),
}

/// The body of an envelope: everything but the place.
pub(super) fn encode(id: PublishId, draft: &Draft) -> Result<Bytes, EnvelopeError> {
    let mut to = BytesMut::with_capacity(draft.payload.len() + 128);
    to.put_u64(id.node.0);
    to.put_u64(id.number);
    encode_draft(draft, &mut to)?;
    Ok(to.freeze())
}

/// A whole envelope, as it comes from Redis.
pub(super) fn decode(mut from: Bytes) -> Result<Announced, EnvelopeError> {
    let has_previous = from.starts_with(MAGIC);
    if !has_previous && !from.starts_with(MAGIC_ALONE) {
        return Err(EnvelopeError::NotAnEnvelope);
    }
    from.advance(MAGIC.len());
    let mut line = from.iter().take(LINE_MAX);
    let end = line
        .position(|byte| *byte == b'\n')
        .ok_or(EnvelopeError::NotAnEnvelope)?;
    let line = from.split_to(end);
    from.advance(1);
    let line = std::str::from_utf8(&line).map_err(|_| EnvelopeError::NotAnEnvelope)?;
    let placed = Placed::read(line, has_previous).ok_or(EnvelopeError::NotAnEnvelope)?;
    let (id, draft) = decode_body(from)?;
    Ok(Announced {
        id,
        publication: draft.at(placed.position),
        previous: placed.previous,
    })
}

/// The place of a publication, and the one before it on its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) position: Position,
    pub(super) previous: Option<Timetoken>,
}

impl Placed {
    /// Reads `<epoch> <seq> <timetoken> <previous>`.
    pub(super) fn read(line: &str, has_previous: bool) -> Option<Self> {
        let mut numbers = line.split(' ').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        let position = Position {
            epoch: Epoch(next()?),
            seq: Seq(next()?),
            timetoken: Timetoken(next()?),
        };
        let previous = match has_previous {
            true => Some(Timetoken(next()?)),
            false => None,
        };
        numbers
            .next()
            .is_none()
            .then_some(Self { position, previous })
    }
}

/// A number in decimal digits.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The body of an envelope.
pub(super) fn decode_body(mut from: Bytes) -> Result<(PublishId, Draft), EnvelopeError> {
    let mut take = || from.try_get_u64().map_err(|_| EnvelopeError::Truncated);
    let id = PublishId {
        node: NodeId(take()?),
        number: take()?,
    };
    Ok((id, decode_draft(from)?))
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, ClientId, Target, testkit::sample_drafts};
    use proptest::prelude::*;

    use super::*;

    const ID: PublishId = PublishId {
        node: NodeId(7),
        number: 9,
    };

    fn whole(draft: &Draft) -> Vec<u8> {
        let mut bytes = b"pw2 17000000000000001 3 17000000000000009 17000000000000005\n".to_vec();
        bytes.extend_from_slice(&encode(ID, draft).unwrap());
        bytes
    }

    fn samples() -> Vec<Draft> {
        let room = Channel::new("room/\u{e9}").unwrap();
        let targets = [
            Target::from(room),
            Target::from(ClientId::number(&17.into())),
            Target::from(ClientId::number(
                &serde_json::Number::from_f64(1.5e300).unwrap(),
            )),
        ];
        targets.iter().flat_map(sample_drafts).collect()
    }

    #[test]
    fn every_field_survives() {
        for draft in samples() {
            let announced = decode(whole(&draft).into()).unwrap();
            let (id, publication) = (announced.id, announced.publication);
            assert_eq!(announced.previous, Some(Timetoken(17_000_000_000_000_005)));
            assert_eq!(id, ID);
            assert_eq!(*publication, draft);
            assert_eq!(
                format!("{:?}", publication.position()),
                "Position { epoch: Epoch(17000000000000001), seq: Seq(3), \
                 timetoken: Timetoken(17000000000000009) }"
            );
            let Target::Client(client) = &publication.target else {
                continue;
            };
            assert!(client.is_numeric());
        }
    }

    #[test]
    fn what_another_backend_has_published_has_no_predecessor() {
        let draft = &samples()[0];
        let whole = [b"pw1 1 2 3\n", &encode(ID, draft).unwrap()[..]].concat();
        let announced = decode(whole.into()).unwrap();
        assert_eq!((announced.previous, announced.id), (None, ID));
        for line in [
            &b"pw1 1 2 3 4\n"[..],
            b"pw2 1 2 3\n",
            b"pw2 1 2 3 -4\n",
            b"pw3 1 2 3 4\n",
        ] {
            let whole = [line, &encode(ID, draft).unwrap()[..]].concat();
            assert!(decode(whole.into()).is_err());
        }
    }

    #[test]
    fn fields_of_a_later_version_are_skipped() {
        let draft = &samples()[0];
        let mut bytes = whole(draft);
        bytes.extend_from_slice(b"?\0\0\0\x03abc");
        assert_eq!(*decode(bytes.into()).unwrap().publication, *draft);
    }

    #[test]
    fn a_cut_envelope_is_an_error() {
        for draft in samples().iter().filter(|draft| draft.payload.len() < 100) {
            let bytes = whole(draft);
            for end in 0..bytes.len() {
                assert!(decode(Bytes::copy_from_slice(&bytes[..end])).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_envelope_or_an_error(bytes: Vec<u8>) {
            let _ = decode(bytes.clone().into());
            let _ = decode([b"pw1 1 2 3\n", &bytes[..]].concat().into());
            let _ = decode([b"pw2 1 2 3 0\n", &bytes[..]].concat().into());
        }

        #[test]
        fn any_damage_is_survived(index in 0usize..40, at: prop::sample::Index, byte: u8) {
            let all = samples();
            let mut bytes = whole(&all[index % all.len()]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode(bytes.into());
        }
    }
}
