//! Records: publications as the log has them, and the names of channels that have none.
//!
//! ```text
//! <length of all: 4 bytes> <length of the payload: 4> <hash of the target: 8> <epoch: 8> <number: 8> <timetoken: 8> <draft>
//! ```
//!
//! A draft begins with its target. That of a name has no payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use polywire_core::{
    BinaryError, Draft, Epoch, Payload, Position, Publication, Seq, Target, Timetoken,
    decode_draft, encode_draft,
};

/// Bytes in front of the draft.
pub(super) const HEAD: usize = 40;

/// Bytes of a field's tag and its length.
const FIELD: usize = 5;

/// What stands in front of the draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the whole record.
    pub(super) len: u32,
    /// Bytes of the payload.
    pub(super) payload: u32,
    pub(super) hash: u64,
    pub(super) position: Position,
}

impl Head {
    pub(super) fn read(from: &[u8; HEAD]) -> Self {
        let from: &mut &[u8] = &mut from.as_slice();
        Self {
            len: from.get_u32_le(),
            payload: from.get_u32_le(),
            hash: from.get_u64_le(),
            position: Position {
                epoch: Epoch(from.get_u64_le()),
                seq: Seq(from.get_u64_le()),
                timetoken: Timetoken(from.get_u64_le()),
            },
        }
    }

    fn bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        let mut to = &mut bytes[..];
        to.put_u32_le(self.len);
        to.put_u32_le(self.payload);
        to.put_u64_le(self.hash);
        to.put_u64_le(self.position.epoch.0);
        to.put_u64_le(self.position.seq.0);
        to.put_u64_le(self.position.timetoken.0);
        bytes
    }
}

fn encode_with(
    hash: u64,
    position: Position,
    payload: usize,
    to: &mut BytesMut,
    draft: impl FnOnce(&mut BytesMut) -> Result<(), BinaryError>,
) -> Result<(), BinaryError> {
    to.clear();
    let mut head = Head {
        len: 0,
        payload: u32::try_from(payload).map_err(|_| BinaryError::TooLong)?,
        hash,
        position,
    };
    to.put_slice(&head.bytes());
    draft(to)?;
    head.len = u32::try_from(to.len()).map_err(|_| BinaryError::TooLong)?;
    to[..4].copy_from_slice(&head.len.to_le_bytes());
    Ok(())
}

/// Puts the record of a publication in the place of what is in `to`.
pub(super) fn encode(
    publication: &Publication,
    hash: u64,
    to: &mut BytesMut,
) -> Result<(), BinaryError> {
    let (position, payload) = (publication.position(), publication.payload.len());
    encode_with(hash, position, payload, to, |to| {
        encode_draft(publication, to)
    })
}

/// Puts the record of a name in the place of what is in `to`; the name as [`name_of`] gives it.
pub(super) fn encode_name(
    name: &[u8],
    hash: u64,
    last: Position,
    to: &mut BytesMut,
) -> Result<(), BinaryError> {
    encode_with(hash, last, 0, to, |to| {
        to.put_slice(name);
        encode_nothing(to);
        Ok(())
    })
}

/// A payload without bytes.
fn encode_nothing(to: &mut impl BufMut) {
    to.put_u8(b'B');
    to.put_u32(0);
}

/// The name in a record: the field with the target.
pub(super) fn name_of(record: &[u8]) -> Option<&[u8]> {
    record.get(HEAD..)?.get(..name_len(record)?)
}

/// Bytes of the name in what begins as a record.
pub(super) fn name_len(record: &[u8]) -> Option<usize> {
    let len = record.get(HEAD + 1..)?.first_chunk()?;
    Some(FIELD + u32::from_be_bytes(*len) as usize)
}

/// Bytes of a record in which the length of its name stands.
pub(super) const NAME_FROM: usize = HEAD + FIELD;

/// The name that the records of a target have.
pub(super) fn name(target: &Target) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    let draft = Draft::new(target.clone(), Payload::Binary(Bytes::new()));
    // Longer than 4 GiB is none.
    let _ = encode_draft(&draft, &mut bytes);
    bytes.truncate(bytes.len() - FIELD);
    bytes.to_vec()
}

/// The target that a name says.
pub(super) fn target(mut name: Vec<u8>) -> Result<Target, BinaryError> {
    encode_nothing(&mut name);
    decode_draft(name.into()).map(|draft| draft.target)
}

/// The publication of a record; shares its memory.
pub(super) fn decode(mut record: Bytes) -> Result<Publication, BinaryError> {
    let Some(head) = record.first_chunk() else {
        return Err(BinaryError::Truncated);
    };
    let position = Head::read(head).position;
    record.advance(HEAD);
    Ok(decode_draft(record)?.at(position))
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, ClientId, testkit::sample_drafts};

    use super::*;

    const POSITION: Position = Position {
        epoch: Epoch(7),
        seq: Seq(u64::MAX),
        timetoken: Timetoken(1 << 60),
    };

    #[test]
    fn every_field_survives() {
        let mut bytes = BytesMut::new();
        for draft in sample_drafts(&Channel::new("room").unwrap().into()) {
            let publication = draft.at(POSITION);
            encode(&publication, 17, &mut bytes).unwrap();
            let head = Head::read(bytes.first_chunk().unwrap());
            assert_eq!((head.len as usize, head.hash), (bytes.len(), 17));
            assert_eq!(head.payload as usize, publication.payload.len());
            assert_eq!(decode(bytes.clone().freeze()), Ok(publication));
        }
        assert!(decode(Bytes::from_static(&[0; HEAD - 1])).is_err());
    }

    #[test]
    fn a_name_is_that_of_all_records_of_its_target() {
        let mut bytes = BytesMut::new();
        for of in [
            Target::from(Channel::new("room/\u{e9}").unwrap()),
            ClientId::new("17").unwrap().into(),
            ClientId::number(&17.into()).into(),
        ] {
            let draft = Draft::new(of.clone(), Payload::text("x"));
            encode(&draft.at(POSITION), 1, &mut bytes).unwrap();
            let name = name(&of);
            assert_eq!(name_of(&bytes), Some(&*name));
            assert_eq!(name_of(&bytes[..NAME_FROM]), None);
            encode_name(&name, 1, POSITION, &mut bytes).unwrap();
            assert_eq!(name_of(&bytes), Some(&*name));
            assert_eq!(target(name), Ok(of));
        }
    }
}
