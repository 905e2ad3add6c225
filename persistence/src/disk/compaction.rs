//! Compaction: files of which little is of use are rewritten, together with their neighbours.

use std::{collections::BTreeSet, fs, io, ops::Bound, sync::atomic::Ordering};

use bytes::{Bytes, BytesMut};
use polywire_core::{Target, Timetoken};

use super::{
    directory::{FILE_HEADER, file_header},
    frame::{self, Frame, Label, Piece, Pieces},
    list::{Listed, Lister},
    names::FileName,
    output::{Output, sync_dir},
    place::{Place, Ttl},
    reading::read_from,
    record::{Note, PUBLICATION, decode_publication},
    segments::Segment,
    store::Store,
};

/// Small files that are put together at once.
const SMALL_FILES: usize = 8;
/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;
/// Channels or publications that are gone through under one lock.
const SLICE: usize = 500;

/// A record that was copied.
enum Copied {
    Publication(Target, Place, Place),
    Annotation(Target, Timetoken, Timetoken, u32),
}

struct Rewrite<'s> {
    store: &'s Store,
    old: Vec<(u32, Segment)>,
    name: FileName,
    /// Nothing stands before these files.
    oldest: bool,
    out: Option<Box<dyn Output>>,
    buffer: BytesMut,
    written: u64,
    list: BytesMut,
    list_start: usize,
    lister: Lister,
    copied: Vec<Copied>,
    fixed: u64,
}

impl Store {
    /// Rewrites files that are worth it, until there are no more.
    pub(super) fn compact(&self) -> io::Result<()> {
        while !self.closed.load(Ordering::Relaxed) {
            let Some((run, oldest)) = self.wasteful() else {
                break;
            };
            let mut rewrite = Rewrite::new(self, run, oldest);
            let done = rewrite.run();
            if !matches!(done, Ok(true)) {
                rewrite.forget();
                return done.map(|_| ());
            }
        }
        Ok(())
    }

    /// Neighbouring files that fit into one when only what is of use is kept.
    fn wasteful(&self) -> Option<(Vec<(u32, Segment)>, bool)> {
        let segment_bytes = self.bounds.segment_bytes;
        let segments = self.index.lock().segments.in_order();
        let mut run: Vec<(u32, Segment)> = Vec::new();
        let (mut first, mut kept) = (true, 0);
        let worth = |run: &[(u32, Segment)]| {
            run.len() >= SMALL_FILES || run.iter().any(|(_, segment)| is_wasteful(segment))
        };
        let mut oldest = true;
        for (number, segment) in segments {
            let small = segment.len < segment_bytes / 8;
            let fits = kept + segment.live + segment.fixed <= segment_bytes;
            let joins = segment.sealed && (small || is_wasteful(&segment));
            if (!joins || !fits) && !run.is_empty() {
                if worth(&run) {
                    return Some((run, oldest));
                }
                run.clear();
                kept = 0;
            }
            if joins {
                if run.is_empty() {
                    oldest = first;
                }
                kept += segment.live + segment.fixed;
                run.push((number, segment));
            }
            first = false;
        }
        worth(&run).then_some((run, oldest))
    }
}

/// Half of it or more is of no use.
fn is_wasteful(segment: &Segment) -> bool {
    segment.wasted() > FILE_HEADER as u64 && segment.wasted() * 2 >= segment.len
}

impl<'s> Rewrite<'s> {
    fn new(store: &'s Store, old: Vec<(u32, Segment)>, oldest: bool) -> Self {
        let names = || old.iter().map(|(_, segment)| segment.name);
        let name = FileName {
            first: names().map(|name| name.first).min().unwrap_or(0),
            last: names().map(|name| name.last).max().unwrap_or(0),
            generation: names().map(|name| name.generation).max().unwrap_or(0) + 1,
        };
        let mut list = BytesMut::new();
        list.extend_from_slice(&file_header(store.directory.salt));
        let list_start = Lister::begin(&mut list, FILE_HEADER as u64, 0);
        Self {
            store,
            old,
            name,
            oldest,
            out: None,
            buffer: BytesMut::new(),
            written: 0,
            list,
            list_start,
            lister: Lister::default(),
            copied: Vec::new(),
            fixed: 0,
        }
    }

    /// False when the store is being closed.
    fn run(&mut self) -> io::Result<bool> {
        self.buffer
            .extend_from_slice(&file_header(self.store.directory.salt));
        for (number, segment) in self.old.clone() {
            if segment.live == 0 && self.oldest {
                // All that can be of use are heads, and the index has them.
                continue;
            }
            let bytes = read_from(&segment.file, FILE_HEADER as u64, segment.len)?;
            let mut offset = FILE_HEADER;
            for piece in Pieces::of(&bytes, self.store.directory.salt) {
                match piece {
                    Piece::Garbage(len) => offset += len,
                    Piece::Record(frame) => {
                        let record =
                            bytes.slice(offset - FILE_HEADER..offset - FILE_HEADER + frame.len());
                        self.copy(number, offset, &frame, &record)?;
                        offset += frame.len();
                    }
                }
                if self.store.closed.load(Ordering::Relaxed) {
                    return Ok(false);
                }
            }
        }
        self.copy_heads()?;
        let new = if self.end() > FILE_HEADER as u64 {
            Some(self.finish()?)
        } else {
            None
        };
        self.switch(new);
        self.remove_old();
        Ok(true)
    }

    fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Copies a record that is of use.
    fn copy(
        &mut self,
        number: u32,
        offset: usize,
        frame: &Frame<'_>,
        record: &Bytes,
    ) -> io::Result<()> {
        // Offsets and lengths of records fit: the files were written so.
        let place = |timetoken, ttl, offset: u64| Place {
            timetoken,
            segment: number,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            len: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            ttl,
        };
        let content = record.slice_ref(frame.content);
        if frame.kind == PUBLICATION {
            let Ok(publication) = decode_publication(content) else {
                return Ok(());
            };
            let (target, position) = (&publication.target, publication.position());
            let ttl = Ttl::of(publication.retention.ttl);
            let from = place(position.timetoken.0, ttl, offset as u64);
            let live = {
                let index = self.store.index.lock();
                let channel = index.channels.get(target);
                channel.and_then(|c| c.place(position.timetoken)) == Some(&from)
            };
            if live {
                let to = place(position.timetoken.0, ttl, self.end());
                let listed = Listed {
                    position,
                    flags: frame.flags,
                    offset: to.offset,
                    len: to.len,
                    ttl,
                };
                self.lister.publication(&mut self.list, target, &listed);
                self.copied
                    .push(Copied::Publication(target.clone(), from, to));
                self.put(record)?;
            }
            return Ok(());
        }
        let Ok(note) = Note::decode(frame.kind, content) else {
            return Ok(());
        };
        let keep = match &note {
            // Written anew behind everything else, where they are still needed.
            Note::Head { .. } => false,
            // There is nothing before it that it could be about.
            Note::Deletion { .. } | Note::Removal { .. } => !self.oldest,
            Note::Annotation {
                target,
                publication,
                annotation,
            } => {
                let index = self.store.index.lock();
                let channel = index.channels.get(target);
                channel.is_some_and(|c| c.attached.lies_in(*publication, annotation.at, number))
            }
        };
        if keep {
            let to = place(0, Ttl::of(None), self.end());
            Lister::note(&mut self.list, &note, to.offset, to.len);
            match note {
                Note::Annotation {
                    target,
                    publication,
                    annotation,
                } => {
                    let copied = Copied::Annotation(target, publication, annotation.at, number);
                    self.copied.push(copied);
                }
                _ => self.fixed += frame.len() as u64,
            }
            self.put(record)?;
        }
        Ok(())
    }

    /// Writes down where channels end whose last publication is not of use any more.
    fn copy_heads(&mut self) -> io::Result<()> {
        let mut after = None;
        loop {
            let (heads, last) = self.heads_behind(after.as_ref());
            for note in heads {
                let mut record = BytesMut::new();
                frame::begin(&mut record);
                note.encode(&mut record);
                let label = Label {
                    kind: note.kind(),
                    flags: 0,
                    batch: 0,
                    left: 0,
                };
                let len = frame::finish(&mut record, label, self.store.directory.salt);
                let len = len.ok_or(io::ErrorKind::InvalidData)?;
                let offset = u32::try_from(self.end()).unwrap_or(u32::MAX);
                Lister::note(&mut self.list, &note, offset, len);
                self.fixed += u64::from(len);
                self.put(&record)?;
            }
            after = last;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn heads_behind(&self, after: Option<&Target>) -> (Vec<Note>, Option<Target>) {
        let index = self.store.index.lock();
        let mut last = None;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let heads = index
            .channels
            .range((start, Bound::Unbounded))
            .take(SLICE)
            .filter_map(|(target, channel)| {
                last = Some(target.clone());
                let segment = channel.head_segment?;
                let here = |segment: u32| self.old.iter().any(|(number, _)| *number == segment);
                let live = channel.place(channel.head.timetoken);
                let copied = live.is_some_and(|place| here(place.segment)) && !channel.broken;
                (here(segment) && !copied).then(|| Note::Head {
                    target: target.clone(),
                    position: channel.head,
                    broken: channel.broken,
                })
            })
            .collect();
        (heads, last)
    }

    fn put(&mut self, record: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(record);
        if self.buffer.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let path = FileName::unfinished(&self.name.log(&self.store.directory.path));
        let out = match &mut self.out {
            Some(out) => out,
            none => none.insert(self.store.medium.open(&path)?),
        };
        out.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Syncs the new file and gives it its name; from then on it stands for the old ones.
    fn finish(&mut self) -> io::Result<u32> {
        self.write()?;
        let dir = &self.store.directory.path;
        let salt = self.store.directory.salt;
        let end = self.written;
        // The end of what the list tells of was not known when it was begun.
        let at = self.list_start + frame::HEADER + 8;
        self.list[at..at + 8].copy_from_slice(&end.to_le_bytes());
        Lister::end(&mut self.list, false);
        Lister::finish(&mut self.list, self.list_start, salt);
        let (log, list) = (self.name.log(dir), self.name.list(dir));
        let (new_log, new_list) = (FileName::unfinished(&log), FileName::unfinished(&list));
        let lists = self.store.medium.open(&new_list)?;
        lists.write_at(&self.list, 0)?;
        lists.sync()?;
        if let Some(out) = &self.out {
            out.sync()?;
        }
        // The list first: without its log it is of no use, and known to be.
        fs::rename(new_list, list)?;
        fs::rename(new_log, &log)?;
        sync_dir(dir)?;
        let file = fs::File::open(log)?;
        Ok(self.store.index.lock().segments.add(Segment {
            name: self.name,
            file: file.into(),
            len: end,
            live: 0,
            fixed: self.fixed,
            sealed: true,
        }))
    }

    /// Lets the index point to the new file, a little at a time.
    fn switch(&mut self, new: Option<u32>) {
        if let Some(new) = new {
            for copied in self.copied.chunks(SLICE) {
                let index = &mut *self.store.index.lock();
                for copied in copied {
                    match copied {
                        Copied::Publication(target, from, to) => {
                            let to = Place {
                                segment: new,
                                ..*to
                            };
                            index.with_known(target, |channel, segments| {
                                channel.move_place(from, to, segments)
                            });
                        }
                        Copied::Annotation(target, publication, at, from) => {
                            index.with_known(target, |channel, segments| {
                                let attached = &mut channel.attached;
                                attached.move_to(*publication, *at, (*from, new), segments);
                            });
                        }
                    }
                }
            }
        }
        let old: BTreeSet<u32> = self.old.iter().map(|(number, _)| *number).collect();
        let mut after: Option<Target> = None;
        loop {
            let (last, damaged) = self.leave(&old, new, after.as_ref());
            for (target, place) in damaged {
                self.store.report_damage(&target, &place);
            }
            after = last;
            if after.is_none() {
                return;
            }
        }
    }

    /// Heads move on with the files. Returns what could not be read, as it was not copied though it was of
    /// use, and how far this went.
    fn leave(
        &self,
        old: &BTreeSet<u32>,
        new: Option<u32>,
        after: Option<&Target>,
    ) -> (Option<Target>, Vec<(Target, Place)>) {
        let (mut last, mut damaged) = (None, Vec::new());
        let index = &mut *self.store.index.lock();
        let left = |segments: &super::segments::Segments| {
            let live = |number: &u32| segments.get(*number).map_or(0, |segment| segment.live);
            old.iter().map(live).sum::<u64>() > 0
        };
        let left = left(&index.segments);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let channels = index.channels.range_mut((start, Bound::Unbounded));
        for (target, channel) in channels.take(SLICE) {
            last = Some(target.clone());
            if channel.head_segment.is_some_and(|head| old.contains(&head)) {
                channel.head_segment = new;
            }
            if left {
                let places = channel
                    .places()
                    .filter(|place| old.contains(&place.segment));
                damaged.extend(places.map(|place| (target.clone(), *place)));
            }
        }
        (last, damaged)
    }

    fn remove_old(&self) {
        let dir = &self.store.directory.path;
        for (number, segment) in &self.old {
            self.store.index.lock().segments.remove(*number);
            let removed = fs::remove_file(segment.name.log(dir));
            if let Err(error) = removed.and_then(|()| fs::remove_file(segment.name.list(dir))) {
                // The next start takes it away.
                tracing::warn!(%error, "A file of the history on disk could not be removed.");
            }
        }
    }

    /// Takes away what was begun.
    fn forget(&self) {
        let dir = &self.store.directory.path;
        for path in [self.name.log(dir), self.name.list(dir)] {
            let _ = fs::remove_file(FileName::unfinished(&path));
        }
    }
}
