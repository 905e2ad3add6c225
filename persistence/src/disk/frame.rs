//! Frames of records in a file, so that what is damaged is told from what is not.
//!
//! ```text
//! <magic: 4> <checksum: 4> <length of the content: 4> <kind: 1> <flags: 1> <0: 2>
//! <batch: 8> <records of the batch that follow: 4> <content>
//! ```
//!
//! The checksum covers everything behind it, and begins with the salt of the directory: what a client
//! publishes cannot pass for a record, also where the reader has to look for the next one behind damage.

use bytes::BytesMut;
use memchr::memmem;

/// Bytes in front of the content.
pub(super) const HEADER: usize = 28;
const MAGIC: [u8; 4] = [0xd7, b'p', b'w', 0x1e];

/// The secret of a directory that its checksums begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Salt(pub(super) u64);

impl Salt {
    pub(super) fn checksum(self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.0.to_le_bytes());
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// A record whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'f> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// Records that are synced together have the same number; it rises.
    pub(super) batch: u64,
    /// Records of the batch behind this one.
    pub(super) left: u32,
    pub(super) content: &'f [u8],
}

impl Frame<'_> {
    /// Bytes of the whole record.
    pub(super) fn len(&self) -> usize {
        HEADER + self.content.len()
    }
}

/// Makes room for a header; returns where the record begins.
pub(super) fn begin(to: &mut BytesMut) -> usize {
    let start = to.len();
    to.resize(start + HEADER, 0);
    start
}

/// What a header says besides the length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) batch: u64,
    pub(super) left: u32,
}

/// Fills in the header of a whole record; `None` when it is too long.
pub(super) fn finish(frame: &mut [u8], label: Label, salt: Salt) -> Option<u32> {
    let len = u32::try_from(frame.len()).ok()?;
    frame[..4].copy_from_slice(&MAGIC);
    frame[8..12].copy_from_slice(&(len - HEADER as u32).to_le_bytes());
    frame[12] = label.kind;
    frame[13] = label.flags;
    frame[14..16].fill(0);
    frame[16..24].copy_from_slice(&label.batch.to_le_bytes());
    frame[24..28].copy_from_slice(&label.left.to_le_bytes());
    let checksum = salt.checksum(&frame[8..]);
    frame[4..8].copy_from_slice(&checksum.to_le_bytes());
    Some(len)
}

/// The record at the beginning of `bytes`; `None` when there is none that is whole and right.
pub(super) fn parse(bytes: &[u8], salt: Salt) -> Option<Frame<'_>> {
    let header = bytes.get(..HEADER)?;
    if header[..4] != MAGIC {
        return None;
    }
    let content = number(&header[8..12]);
    let end = HEADER.checked_add(usize::try_from(content).ok()?)?;
    let covered = bytes.get(8..end)?;
    if number(&header[4..8]) != u64::from(salt.checksum(covered)) {
        return None;
    }
    Some(Frame {
        kind: header[12],
        flags: header[13],
        batch: number(&header[16..24]),
        left: u32::try_from(number(&header[24..28])).ok()?,
        content: &bytes[HEADER..end],
    })
}

/// A number of up to eight bytes, the lowest first.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A piece of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'f> {
    Record(Frame<'f>),
    /// Bytes that are no record; this many.
    Garbage(usize),
}

/// Goes through all of `bytes`; garbage ends where the next whole record begins.
pub(super) struct Pieces<'f> {
    bytes: &'f [u8],
    salt: Salt,
}

impl<'f> Pieces<'f> {
    pub(super) fn of(bytes: &'f [u8], salt: Salt) -> Self {
        Self { bytes, salt }
    }
}

impl<'f> Iterator for Pieces<'f> {
    type Item = Piece<'f>;

    fn next(&mut self) -> Option<Piece<'f>> {
        if self.bytes.is_empty() {
            return None;
        }
        if let Some(frame) = parse(self.bytes, self.salt) {
            self.bytes = &self.bytes[frame.len()..];
            return Some(Piece::Record(frame));
        }
        let next = memmem::find_iter(&self.bytes[1..], &MAGIC)
            .map(|at| at + 1)
            .find(|at| parse(&self.bytes[*at..], self.salt).is_some())
            .unwrap_or(self.bytes.len());
        self.bytes = &self.bytes[next..];
        Some(Piece::Garbage(next))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT: Salt = Salt(77);

    fn put(to: &mut BytesMut, batch: u64, content: &[u8]) {
        let start = begin(to);
        to.extend_from_slice(content);
        let label = Label {
            kind: b'P',
            flags: 1,
            batch,
            left: 2,
        };
        finish(&mut to[start..], label, SALT).unwrap();
    }

    #[test]
    fn records_are_found_again_behind_damage() {
        let mut bytes = BytesMut::new();
        put(&mut bytes, 1, b"one");
        put(&mut bytes, 2, b"two");
        put(&mut bytes, 3, b"");
        bytes[HEADER + 3 + 9] ^= 4;
        let pieces: Vec<_> = Pieces::of(&bytes, SALT).collect();
        assert!(matches!(pieces[0], Piece::Record(frame) if frame.content == b"one"));
        assert_eq!(pieces[1], Piece::Garbage(HEADER + 3));
        assert!(matches!(pieces[2], Piece::Record(frame) if frame.batch == 3 && frame.left == 2));
        assert_eq!(pieces.len(), 3);
    }

    #[test]
    fn a_record_of_another_directory_is_none() {
        let mut bytes = BytesMut::new();
        put(&mut bytes, 1, b"one");
        assert_eq!(parse(&bytes, Salt(78)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_pieces(bytes: Vec<u8>, records in 0usize..4, at: prop::sample::Index) {
            let mut all = BytesMut::new();
            for batch in 0..records {
                put(&mut all, batch as u64, &bytes);
            }
            let at = at.index(all.len() + 1);
            let mixed = [&all[..at], &bytes, &all[at..]].concat();
            let length = |piece| match piece {
                Piece::Record(frame) => frame.len(),
                Piece::Garbage(length) => length,
            };
            prop_assert_eq!(Pieces::of(&mixed, SALT).map(length).sum::<usize>(), mixed.len());
        }

        #[test]
        fn one_flipped_bit_is_always_noticed(content: Vec<u8>, bit: prop::sample::Index) {
            let mut bytes = BytesMut::new();
            put(&mut bytes, 1, &content);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(parse(&bytes, SALT), None);
        }
    }
}
