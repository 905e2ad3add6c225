//! Cells of one size in segments of a pool: what is small and changes in its place.

use std::collections::BTreeSet;

use super::pool::Pool;

/// Numbers of 64 bits that a cell has.
pub(super) const WORDS: usize = 16;

/// Bytes of a cell.
const CELL: usize = WORDS * size_of::<u64>();

/// Which cell; good until it is freed.
pub(super) type CellId = u32;

#[derive(Debug, Default)]
pub(super) struct Cells {
    segments: Vec<Segment>,
    /// Segments with a cell that nobody has. The first is used, so that the last ones get free.
    open: BTreeSet<usize>,
    held: usize,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    used: usize,
    free: Vec<u16>,
}

impl Cells {
    /// Bytes of memory that it has.
    pub(super) fn bytes(&self, pool: &Pool) -> usize {
        self.held * (pool.size() + pool.size() / CELL * size_of::<u16>())
    }

    /// A cell whose words are all 0.
    pub(super) fn allocate(&mut self, pool: &Pool) -> CellId {
        let count = pool.size() / CELL;
        let index = self.open.first().copied().unwrap_or_else(|| {
            let index = self.segments.len();
            self.segments.push(Segment::default());
            self.open.insert(index);
            index
        });
        let segment = &mut self.segments[index];
        if segment.bytes.capacity() == 0 {
            segment.bytes = pool.take();
            self.held += 1;
        }
        let slot = segment.free.pop().map_or_else(
            || {
                segment.bytes.resize(segment.bytes.len() + CELL, 0);
                segment.bytes.len() / CELL - 1
            },
            usize::from,
        );
        segment.used += 1;
        if segment.used == count {
            self.open.remove(&index);
        }
        let cell = (index * count + slot) as CellId;
        self.words_mut(cell, pool).fill(0);
        cell
    }

    pub(super) fn free(&mut self, cell: CellId, pool: &Pool) {
        let count = pool.size() / CELL;
        let (index, slot) = (cell as usize / count, cell as usize % count);
        let segment = &mut self.segments[index];
        segment.used -= 1;
        segment.free.push(slot as u16);
        self.open.insert(index);
        if segment.used == 0 {
            self.held -= 1;
            pool.give(std::mem::take(segment).bytes);
            while self.segments.last().is_some_and(|last| last.used == 0) {
                self.segments.pop();
                self.open.remove(&self.segments.len());
            }
        }
    }

    pub(super) fn get(&self, cell: CellId, word: usize, pool: &Pool) -> u64 {
        let count = pool.size() / CELL;
        let at = cell as usize % count * CELL + word * size_of::<u64>();
        let bytes = &self.segments[cell as usize / count].bytes[at..];
        bytes
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    pub(super) fn set(&mut self, cell: CellId, word: usize, value: u64, pool: &Pool) {
        let at = word * size_of::<u64>();
        self.words_mut(cell, pool)[at..][..size_of::<u64>()].copy_from_slice(&value.to_le_bytes());
    }

    fn words_mut(&mut self, cell: CellId, pool: &Pool) -> &mut [u8] {
        let count = pool.size() / CELL;
        let at = cell as usize % count * CELL;
        &mut self.segments[cell as usize / count].bytes[at..][..CELL]
    }
}
