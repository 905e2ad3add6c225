//! The list of what a file of the log contains.
//!
//! It stands in a file of its own beside it, and gets its entries after the records were synced. So starting
//! need not read the log, and damage in one of the two is known from the other: which publications it hit,
//! and that a file ended later once.
//!
//! The list itself consists of records, one for each batch:
//! ```text
//! <start: 8> <end: 8>      the part of the log that it tells of
//! N <number: 4> <epoch: 8> <target>                           a channel
//! P <number: 4> <flags: 1> <seq: 8> <timetoken: 8> <offset: 4> <length: 4> <ttl: 4>
//! O <kind: 1> <offset: 4> <length: 4> <bytes: 4> <content>    another record, with all that it says
//! E <clean: 1>                                                nothing follows
//! ```

use std::collections::HashMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use polywire_core::{Epoch, Position, Seq, Target, Timetoken};

use super::{
    directory::FILE_HEADER,
    frame::{self, Label, Salt},
    place::Ttl,
    record::{Invalid, Note, put_target, take_target},
};

const KIND: u8 = b'L';
/// The publication did not wait for the disk.
pub(super) const BEHIND: u8 = 1;

/// What the list says of a publication.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    pub(super) position: Position,
    pub(super) flags: u8,
    pub(super) offset: u32,
    pub(super) len: u32,
    pub(super) ttl: Ttl,
}

/// Writes lists. Each channel has a number within the file.
#[derive(Debug, Default)]
pub(super) struct Lister {
    numbers: HashMap<Target, (u32, Epoch)>,
}

impl Lister {
    /// A channel has that number already.
    pub(super) fn known(&mut self, number: u32, target: &Target, epoch: Epoch) {
        self.numbers.insert(target.clone(), (number, epoch));
    }

    /// Begins to tell of the part of the log from `start` to `end`.
    pub(super) fn begin(to: &mut BytesMut, start: u64, end: u64) -> usize {
        let at = frame::begin(to);
        to.put_u64_le(start);
        to.put_u64_le(end);
        at
    }

    pub(super) fn publication(&mut self, to: &mut BytesMut, target: &Target, listed: &Listed) {
        let position = listed.position;
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = match self.numbers.get_mut(target) {
            Some((number, epoch)) if *epoch == position.epoch => *number,
            known => {
                let number = match known {
                    Some((number, epoch)) => {
                        *epoch = position.epoch;
                        *number
                    }
                    None => {
                        let entry = (next, position.epoch);
                        self.numbers.insert(target.clone(), entry);
                        next
                    }
                };
                to.put_u8(b'N');
                to.put_u32_le(number);
                to.put_u64_le(position.epoch.0);
                put_target(to, target);
                number
            }
        };
        to.put_u8(b'P');
        to.put_u32_le(number);
        to.put_u8(listed.flags);
        to.put_u64_le(position.seq.0);
        to.put_u64_le(position.timetoken.0);
        to.put_u32_le(listed.offset);
        to.put_u32_le(listed.len);
        to.put_u32_le(listed.ttl.0);
    }

    pub(super) fn note(to: &mut BytesMut, note: &Note, offset: u32, len: u32) {
        to.put_u8(b'O');
        to.put_u8(note.kind());
        to.put_u32_le(offset);
        to.put_u32_le(len);
        let at = to.len();
        to.put_u32_le(0);
        note.encode(to);
        // It was a record, so its length fits.
        let bytes = u32::try_from(to.len() - at - 4).unwrap_or(u32::MAX);
        to[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
    }

    pub(super) fn end(to: &mut BytesMut, clean: bool) {
        to.put_u8(b'E');
        to.put_u8(clean.into());
    }

    /// Finishes what [`begin`](Self::begin) began.
    pub(super) fn finish(to: &mut BytesMut, at: usize, salt: Salt) {
        let label = Label {
            kind: KIND,
            flags: 0,
            batch: 0,
            left: 0,
        };
        // A batch is far below 4 GiB; one that were not would read as damaged.
        let _ = frame::finish(&mut to[at..], label, salt);
    }
}

/// Takes what a list says.
pub(super) trait Listener {
    /// From here on `number` means this target and epoch.
    fn channel(&mut self, number: u32, target: Target, epoch: Epoch);
    /// The epoch of the position is not filled in.
    fn publication(&mut self, number: u32, listed: Listed) -> Result<(), Invalid>;
    fn note(&mut self, note: Note, offset: u32, len: u32);
}

/// What was read of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Bytes of the list that are right.
    pub(super) list: usize,
    /// The end of the part of the log that they tell of.
    pub(super) log: u64,
    /// It ends as it should, and whether the process ended so.
    pub(super) end: Option<bool>,
}

/// Reads a list up to its end, or to where it is damaged.
pub(super) fn read(bytes: &Bytes, salt: Salt, to: &mut impl Listener) -> Extent {
    let mut extent = Extent {
        list: FILE_HEADER.min(bytes.len()),
        log: FILE_HEADER as u64,
        end: None,
    };
    while let Some(frame) = frame::parse(&bytes[extent.list..], salt) {
        let content = bytes.slice_ref(frame.content);
        match read_batch(content, extent.log, to) {
            Ok((log, end)) => {
                extent.log = log;
                extent.end = end;
            }
            Err(Invalid) => break,
        }
        extent.list += frame.len();
    }
    extent
}

fn read_batch(
    mut from: Bytes,
    expected: u64,
    to: &mut impl Listener,
) -> Result<(u64, Option<bool>), Invalid> {
    let (start, log_end) = (from.try_get_u64_le()?, from.try_get_u64_le()?);
    if start != expected || log_end < start {
        return Err(Invalid);
    }
    let mut end = None;
    while from.has_remaining() {
        match from.get_u8() {
            b'N' => {
                let (number, epoch) = (from.try_get_u32_le()?, from.try_get_u64_le()?);
                to.channel(number, take_target(&mut from)?, Epoch(epoch));
            }
            b'P' => {
                let number = from.try_get_u32_le()?;
                let listed = Listed {
                    flags: from.try_get_u8()?,
                    position: Position {
                        epoch: Epoch(0),
                        seq: Seq(from.try_get_u64_le()?),
                        timetoken: Timetoken(from.try_get_u64_le()?),
                    },
                    offset: from.try_get_u32_le()?,
                    len: from.try_get_u32_le()?,
                    ttl: Ttl(from.try_get_u32_le()?),
                };
                to.publication(number, listed)?;
            }
            b'O' => {
                let kind = from.try_get_u8()?;
                let (offset, len) = (from.try_get_u32_le()?, from.try_get_u32_le()?);
                let bytes = from.try_get_u32_le()? as usize;
                if bytes > from.len() {
                    return Err(Invalid);
                }
                to.note(Note::decode(kind, from.split_to(bytes))?, offset, len);
            }
            b'E' => end = Some(from.try_get_u8()? != 0),
            _ => return Err(Invalid),
        }
    }
    Ok((log_end, end))
}
