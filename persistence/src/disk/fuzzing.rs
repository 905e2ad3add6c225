//! Fuzzing: everything that reads files, as a fuzzer drives it.

use bytes::{Bytes, BytesMut};
use polywire_core::{Epoch, Target};

use super::{
    frame::{self, Label, Piece, Pieces, Salt},
    list::{self, Listed, Listener},
    record::{Invalid, Note, decode_publication},
};

const SALT: Salt = Salt(0);

/// Reads any bytes as a file, and as the content of records and lists whose checksums are right. Whatever they
/// are, nothing panics, and pieces make up the whole.
#[doc(hidden)]
pub fn read_anything(bytes: &[u8]) {
    let length = |piece| match piece {
        Piece::Record(frame) => frame.len(),
        Piece::Garbage(length) => length,
    };
    let lengths = Pieces::of(bytes, SALT).map(length).sum::<usize>();
    assert_eq!(lengths, bytes.len(), "pieces make up the whole");
    let Some((kind, content)) = bytes.split_first() else {
        return;
    };
    let content = Bytes::copy_from_slice(content);
    let _ = Note::decode(*kind, content.clone());
    let _ = decode_publication(content.clone());

    let header = super::directory::file_header(SALT);
    let mut file = BytesMut::from(&header[..]);
    let start = frame::begin(&mut file);
    file.extend_from_slice(&(header.len() as u64).to_le_bytes());
    file.extend_from_slice(&content);
    let label = Label {
        kind: *kind,
        flags: 0,
        batch: 0,
        left: 0,
    };
    frame::finish(&mut file[start..], label, SALT);
    let extent = list::read(&file.freeze(), SALT, &mut Anybody(0));
    assert!(extent.log >= header.len() as u64);
}

/// Counts channels, as the index does.
struct Anybody(u32);

impl Listener for Anybody {
    fn channel(&mut self, number: u32, _: Target, _: Epoch) {
        self.0 = self.0.max(number.saturating_add(1));
    }

    fn publication(&mut self, number: u32, _: Listed) -> Result<(), Invalid> {
        if number < self.0 {
            Ok(())
        } else {
            Err(Invalid)
        }
    }

    fn note(&mut self, _: Note, _: u32, _: u32) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Bytes from a small set: tags and lengths that fit are then often found.
        #[test]
        fn any_bytes_are_read(
            kind in prop::sample::select(&b"PDARHL"[..]),
            wild: Vec<u8>,
            tame in prop::collection::vec(prop::sample::select(&b"\0\0\0\x01\x02NPOEcuUDARH7"[..]), 0..200),
        ) {
            let start = [&[kind][..], &20u64.to_le_bytes(), &50u64.to_le_bytes()].concat();
            for content in [&wild, &tame] {
                read_anything(content);
                read_anything(&[&start[..1], content].concat());
                // As a list, behind the part of the log that it tells of.
                read_anything(&[&start[..1], &start[9..], content].concat());
            }
        }
    }
}
