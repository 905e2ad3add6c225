//! The files of the log, and how much of each is still of use.

use std::{collections::BTreeMap, fs::File, sync::Arc};

use super::{names::FileName, place::Place};

/// One file of the log, open for reading.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) name: FileName,
    pub(super) file: Arc<File>,
    /// Bytes up to the end of the last record.
    pub(super) len: u64,
    /// Bytes of records that the index points to.
    pub(super) live: u64,
    /// Bytes of other records that the last compaction had to keep.
    pub(super) fixed: u64,
    /// Nothing is appended any more.
    pub(super) sealed: bool,
}

impl Segment {
    pub(super) fn wasted(&self) -> u64 {
        self.len.saturating_sub(self.live + self.fixed)
    }
}

/// All files, by the number that the index knows them by. The numbers mean nothing on disk.
#[derive(Debug, Default)]
pub(super) struct Segments {
    all: BTreeMap<u32, Segment>,
    next: u32,
}

impl Segments {
    pub(super) fn add(&mut self, segment: Segment) -> u32 {
        let number = self.next;
        self.next += 1;
        self.all.insert(number, segment);
        number
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Segment> {
        self.all.remove(&number)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Segment> {
        self.all.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Segment> {
        self.all.get_mut(&number)
    }

    pub(super) fn use_bytes(&mut self, number: u32, len: u32) {
        if let Some(segment) = self.all.get_mut(&number) {
            segment.live += u64::from(len);
        }
    }

    pub(super) fn free_bytes(&mut self, number: u32, len: u32) {
        if let Some(segment) = self.all.get_mut(&number) {
            segment.live = segment.live.saturating_sub(u64::from(len));
        }
    }

    pub(super) fn free(&mut self, place: &Place) {
        self.free_bytes(place.segment, place.len);
    }

    /// The files in the order of the log.
    pub(super) fn in_order(&self) -> Vec<(u32, Segment)> {
        let mut all: Vec<_> = self.all.iter().map(|(n, s)| (*n, s.clone())).collect();
        all.sort_by_key(|(_, segment)| segment.name);
        all
    }
}
