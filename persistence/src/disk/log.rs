//! Appends to the log: one write and one sync for a batch.

use std::{
    fs::File,
    io,
    sync::{Arc, atomic::Ordering},
};

use bytes::BytesMut;
use polywire_core::Publication;

use super::{
    directory::{FILE_HEADER, file_header},
    frame::{self, Label},
    list::{BEHIND, Listed, Lister},
    names::FileName,
    output::{Gone, Output, is_full, sync_dir},
    place::{Place, Ttl},
    record::{Note, PUBLICATION, encode_publication},
    segments::Segment,
    store::Store,
};

/// Bytes that are written and synced at once; what is more goes in several steps.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// The end of the log. There is one for a store.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) store: Arc<Store>,
    active: Option<Active>,
    next_number: u64,
    next_batch: u64,
    /// The last write failed.
    failing: bool,
    records: BytesMut,
    list: BytesMut,
}

/// The file that is appended to.
#[derive(Debug)]
struct Active {
    segment: u32,
    records: Box<dyn Output>,
    list: Box<dyn Output>,
    records_end: u64,
    list_end: u64,
    lister: Lister,
}

/// Something to be appended.
#[derive(Debug)]
pub(super) enum Record {
    /// A publication, and whether its publisher waits for it.
    Publication(Arc<Publication>, bool),
    Note(Note),
}

/// A record that stands in the buffer: where it begins and ends.
type Laid = (usize, usize);

impl Log {
    pub(super) fn new(store: Arc<Store>, next_number: u64) -> Self {
        Self {
            store,
            active: None,
            next_number,
            next_batch: 1,
            failing: false,
            records: BytesMut::new(),
            list: BytesMut::new(),
        }
    }

    /// Appends, syncs, and only then tells the index. Says of each record whether that was done.
    pub(super) fn append(&mut self, records: &[Record]) -> Vec<Result<(), Arc<io::Error>>> {
        let mut done = Vec::with_capacity(records.len());
        while done.len() < records.len() {
            let before = done.len();
            if let Err(error) = self.append_chunk(&records[before..], &mut done) {
                self.store.full.store(is_full(&error), Ordering::Relaxed);
                // Once until it is well again: there may be thousands of batches a second.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "The history on disk cannot be written.");
                }
                let error = Arc::new(error);
                done.resize_with(records.len(), || Err(error.clone()));
            } else if std::mem::take(&mut self.failing) {
                self.store.full.store(false, Ordering::Relaxed);
                tracing::info!("The history on disk can be written again.");
            }
        }
        let mut index = self.store.index.lock();
        index.enforce(self.store.bounds.index_bytes_max);
        done
    }

    /// Appends as many as are written at once.
    fn append_chunk(
        &mut self,
        records: &[Record],
        done: &mut Vec<Result<(), Arc<io::Error>>>,
    ) -> io::Result<()> {
        self.check_files()?;
        let segment_bytes = self.store.bounds.segment_bytes;
        if let Some(active) = self
            .active
            .take_if(|active| active.records_end >= segment_bytes)
        {
            self.seal(active, false);
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.begin_file()?,
        };
        let room = segment_bytes.saturating_sub(active.records_end);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let laid = self.lay_out(records, room.min(CHUNK_BYTES_MAX));
        if laid.is_empty() {
            // The first one does not fit into any file.
            self.active = Some(active);
            done.push(Err(Arc::new(io::ErrorKind::InvalidData.into())));
            return Ok(());
        }
        let start = active.records_end;
        // A number is never used again, also when the batch fails.
        self.next_batch += 1;
        let written = active.records.write_at(&self.records, start);
        if let Err(error) = written {
            match active.records.cut(start) {
                Ok(()) => self.active = Some(active),
                Err(_) => self.seal(active, false),
            }
            return Err(error);
        }
        if let Err(error) = active.records.sync() {
            // What the system has in memory may be no longer what is on disk: nothing is appended behind it.
            let _ = active.records.cut(start);
            self.seal(active, false);
            return Err(error);
        }
        active.records_end += self.records.len() as u64;
        let listed = self.write_list(&mut active, start, records, &laid);
        self.tell_index(&active, start, records, &laid);
        done.extend(laid.iter().map(|_| Ok(())));
        match listed {
            Ok(()) => self.active = Some(active),
            // The list must not go on behind a hole; the rest is found in the log at the next start.
            Err(error) => {
                tracing::warn!(%error, "The list of the history on disk could not be written.");
                self.close_file(&active);
            }
        }
        if self.records.capacity() > 2 * CHUNK_BYTES_MAX {
            self.records = BytesMut::new();
        }
        Ok(())
    }

    /// Writing goes well where nobody will ever read: into files that were deleted.
    fn check_files(&self) -> io::Result<()> {
        let store = &self.store;
        let is_there = store.directory.is_there()
            && match &self.active {
                Some(active) => active.records.is_there()? && active.list.is_there()?,
                None => true,
            };
        // A new directory would begin with numbers that others have seen already: that is for the next start to sort out.
        if !is_there || store.gone.load(Ordering::Relaxed) {
            store.gone.store(true, Ordering::Relaxed);
            return Err(io::Error::other(Gone));
        }
        Ok(())
    }

    /// Begins the next file, so that it survives a crash.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if self.active.is_none() {
            self.active = Some(self.begin_file()?);
        }
        Ok(())
    }

    fn begin_file(&mut self) -> io::Result<Active> {
        let name = FileName::one(self.next_number);
        // A file that was begun in vain is not begun again: its remains may be there.
        self.next_number += 1;
        let directory = &self.store.directory;
        let header = file_header(directory.salt);
        let (log, list) = (name.log(&directory.path), name.list(&directory.path));
        let open = || -> io::Result<_> {
            let lists = self.store.medium.open(&list)?;
            lists.write_at(&header, 0)?;
            let records = self.store.medium.open(&log)?;
            records.write_at(&header, 0)?;
            records.sync()?;
            sync_dir(&directory.path)?;
            Ok((records, lists, File::open(&log)?))
        };
        let (records, lists, file) = open().inspect_err(|_| {
            // Room for others; what stays is an empty file, which the next start takes away.
            let _ = std::fs::remove_file(&log);
            let _ = std::fs::remove_file(&list);
        })?;
        let segment = self.store.index.lock().segments.add(Segment {
            name,
            file: Arc::new(file),
            len: FILE_HEADER as u64,
            live: 0,
            fixed: 0,
            sealed: false,
        });
        Ok(Active {
            segment,
            records,
            list: lists,
            records_end: FILE_HEADER as u64,
            list_end: FILE_HEADER as u64,
            lister: Lister::default(),
        })
    }

    /// Lays records out in the buffer, as many as have room, but one at least. None when the first one is
    /// too long.
    fn lay_out(&mut self, records: &[Record], room: usize) -> Vec<Laid> {
        let buffer = &mut self.records;
        buffer.clear();
        let mut laid = Vec::with_capacity(records.len());
        for record in records {
            let start = frame::begin(buffer);
            let encoded = record.encode(buffer);
            let too_long = u32::try_from(buffer.len()).is_err();
            let full = !laid.is_empty() && buffer.len() > room;
            if encoded.is_err() || too_long || full {
                buffer.truncate(start);
                break;
            }
            laid.push((start, buffer.len()));
        }
        let mut left = laid.len();
        for ((start, end), record) in laid.iter().zip(records) {
            left -= 1;
            let label = Label {
                kind: record.kind(),
                flags: record.flags(),
                batch: self.next_batch,
                left: u32::try_from(left).unwrap_or(u32::MAX),
            };
            let salt = self.store.directory.salt;
            // The length was checked.
            let _ = frame::finish(&mut buffer[*start..*end], label, salt);
        }
        laid
    }

    fn write_list(
        &mut self,
        active: &mut Active,
        start: u64,
        records: &[Record],
        laid: &[Laid],
    ) -> io::Result<()> {
        self.list.clear();
        let at = Lister::begin(&mut self.list, start, active.records_end);
        for (record, laid) in records.iter().zip(laid) {
            let place = place(start, *laid, active.segment);
            match record {
                Record::Publication(publication, _) => {
                    let listed = Listed {
                        position: publication.position(),
                        flags: record.flags(),
                        offset: place.offset,
                        len: place.len,
                        ttl: Ttl::of(publication.retention.ttl),
                    };
                    let target = &publication.target;
                    active.lister.publication(&mut self.list, target, &listed);
                }
                Record::Note(note) => Lister::note(&mut self.list, note, place.offset, place.len),
            }
        }
        self.put_list(active, at)
    }

    fn put_list(&mut self, active: &mut Active, at: usize) -> io::Result<()> {
        Lister::finish(&mut self.list, at, self.store.directory.salt);
        active.list.write_at(&self.list, active.list_end)?;
        active.list_end += self.list.len() as u64;
        Ok(())
    }

    fn tell_index(&self, active: &Active, start: u64, records: &[Record], laid: &[Laid]) {
        let index = &mut *self.store.index.lock();
        if let Some(segment) = index.segments.get_mut(active.segment) {
            segment.len = active.records_end;
        }
        for (record, laid) in records.iter().zip(laid) {
            let mut place = place(start, *laid, active.segment);
            match record {
                Record::Note(note) => index.note(note.clone(), (place.segment, place.len)),
                Record::Publication(publication, behind) => {
                    let (target, position) = (&publication.target, publication.position());
                    place.timetoken = position.timetoken.0;
                    place.ttl = Ttl::of(publication.retention.ttl);
                    let rule = self.store.rules.of(target);
                    index.observe(position.timetoken);
                    index.with(target, |channel, segments| {
                        // What was taken away while it waited stays away.
                        if !behind || channel.settle_unwritten(position.timetoken) {
                            channel.add(place, segments);
                        }
                        channel.advance(position, Some(place.segment));
                        channel.behind = *behind;
                        channel.trim(rule, position.timetoken.0, segments);
                    });
                }
            }
        }
    }

    /// Nothing more is appended to the file, and its list says so.
    fn seal(&mut self, mut active: Active, clean: bool) {
        self.list.clear();
        let (start, end) = (active.records_end, active.records_end);
        let at = Lister::begin(&mut self.list, start, end);
        Lister::end(&mut self.list, clean);
        let ended = self.put_list(&mut active, at);
        if let Err(error) = ended.and_then(|()| active.list.sync()) {
            // It only helps the next start.
            tracing::warn!(%error, "The list of the history on disk could not be finished.");
        }
        self.close_file(&active);
    }

    fn close_file(&self, active: &Active) {
        let mut index = self.store.index.lock();
        if let Some(segment) = index.segments.get_mut(active.segment) {
            segment.sealed = true;
        }
    }

    /// Ends the log, so that the next start knows that nothing is missing.
    pub(super) fn close(&mut self) {
        if let Err(error) = self.begin() {
            tracing::warn!(%error, "The history on disk could not be finished.");
        }
        // What could not be written is lost, as after a crash.
        let clean = self.store.index.lock().behind.is_empty();
        if let Some(active) = self.active.take() {
            self.seal(active, clean);
        }
    }

    /// What did not wait for the disk and is not written yet.
    pub(super) fn take_behind(&self) -> Vec<Record> {
        let index = self.store.index.lock();
        let behind = index.behind.iter().cloned();
        behind.map(|p| Record::Publication(p, true)).collect()
    }

    /// The first `count` of them were written.
    pub(super) fn settle_behind(&self, count: usize) {
        let index = &mut *self.store.index.lock();
        for publication in index.behind.drain(..count.min(index.behind.len())) {
            index.behind_bytes -= super::index::behind_bytes(&publication);
        }
    }
}

fn place(start: u64, (from, to): Laid, segment: u32) -> Place {
    // Both fit: a file ends before it has 4 GiB.
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        timetoken: 0,
        segment,
        offset: number(start + from as u64),
        len: number((to - from) as u64),
        ttl: Ttl::of(None),
    }
}

impl Record {
    fn kind(&self) -> u8 {
        match self {
            Self::Publication(..) => PUBLICATION,
            Self::Note(note) => note.kind(),
        }
    }

    fn flags(&self) -> u8 {
        match self {
            Self::Publication(_, true) => BEHIND,
            _ => 0,
        }
    }

    fn encode(&self, to: &mut BytesMut) -> Result<(), polywire_core::BinaryError> {
        match self {
            Self::Publication(publication, _) => encode_publication(publication, to),
            Self::Note(note) => {
                note.encode(to);
                Ok(())
            }
        }
    }
}
