//! Recovery: what there is on disk at the start.
//!
//! The lists say what the log contains; where a list ends early the log itself is read. What is gone is known
//! from the other of the two, so only the channels that lost something begin a new epoch. When both are
//! damaged at the same place nobody can know which channels lost something, and all begin a new one.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use polywire_core::{Epoch, PersistenceError, Position, Rules, Target, Timetoken};

use super::{
    directory::{Directory, FILE_HEADER, explain, file_header, logs},
    frame::{Frame, Piece, Pieces, Salt},
    index::Index,
    list::{self, BEHIND, Listed, Listener, Lister},
    log::{Log, Record},
    names::FileName,
    output::Medium,
    place::{Place, Ttl},
    reading::read_from,
    record::{Invalid, Note, PUBLICATION, decode_publication},
    segments::Segment,
    settings::DiskSettings,
    store::{Store, now},
};

/// Opens a data directory.
///
/// # Errors
/// One sentence that says what to do.
pub(super) fn open(
    settings: &DiskSettings,
    rules: Rules,
    medium: Box<dyn Medium>,
) -> Result<Log, PersistenceError> {
    settings.check()?;
    let directory = Directory::open(&settings.dir)?;
    let failed = |error| PersistenceError::Configuration(explain(&settings.dir, &error));
    let (names, missing) = clean_up(&directory.path).map_err(failed)?;
    let mut recovery = Recovery {
        index: Index::default(),
        salt: directory.salt,
        lost: Vec::new(),
        unknown: false,
        repairs: Vec::new(),
        empty: Vec::new(),
        clean: true,
    };
    for name in &names {
        let is_missing = missing.contains(name);
        recovery
            .load(&directory.path, *name, is_missing)
            .map_err(failed)?;
        recovery.index.enforce(settings.bounds.index_bytes_max);
    }
    let mut after = None;
    loop {
        after = recovery.index.sweep(after.as_ref(), 10_000, &rules, now());
        if after.is_none() {
            break;
        }
    }
    recovery.verify(settings.bounds.verify_bytes);
    let mut found = recovery.damage();
    found.extend(recovery.discontinued(&rules));
    let last = names.iter().map(|name| name.last).max().unwrap_or(0);
    let store = Arc::new(Store {
        directory,
        bounds: settings.bounds.clone(),
        rules,
        index: Mutex::new(recovery.index),
        medium,
        found: Mutex::default(),
        full: AtomicBool::new(false),
        gone: AtomicBool::new(false),
        closed: AtomicBool::new(false),
    });
    let mut log = Log::new(store, last + 1);
    log.begin().map_err(failed)?;
    let found: Vec<_> = found.into_iter().map(Record::Note).collect();
    if log.append(&found).iter().all(Result::is_ok) {
        // Only now: until then the next start has to find the same.
        for repair in recovery.repairs {
            repair.make();
        }
    }
    for (segment, name) in recovery.empty {
        log.store.index.lock().segments.remove(segment);
        let _ = fs::remove_file(name.log(&settings.dir));
        let _ = fs::remove_file(name.list(&settings.dir));
    }
    Ok(log)
}

/// Takes away what was left over, and returns what is of use, in order, and which of it has a list and no log.
fn clean_up(dir: &std::path::Path) -> io::Result<(Vec<FileName>, Vec<FileName>)> {
    let all = logs(dir)?;
    let replaced = |name: &FileName| all.iter().any(|other| other.replaces(*name));
    // Its log was to stand for these, which are there: it was not finished.
    let in_vain = |name: &FileName| all.iter().any(|other| name.replaces(*other));
    let mut missing = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let list = FileName::of_list(&path).filter(|name| !all.contains(name));
        let name = FileName::of_log(&path).or_else(|| FileName::of_list(&path));
        let useless =
            name.is_some_and(|name| replaced(&name)) || list.is_some_and(|name| in_vain(&name));
        if useless || FileName::is_unfinished(&path) {
            fs::remove_file(path)?;
        } else {
            missing.extend(list);
        }
    }
    let mut names: Vec<_> = all.iter().copied().filter(|name| !replaced(name)).collect();
    names.extend(&missing);
    names.sort();
    Ok((names, missing))
}

/// An empty file in the place of a log that is gone.
fn stand_in(path: &std::path::Path, salt: Salt) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)?;
    file.write_all_at(&file_header(salt), 0)?;
    Ok(file)
}

struct Recovery {
    index: Index,
    salt: Salt,
    /// Parts of files that are gone: file, start, end.
    lost: Vec<(u32, u64, u64)>,
    /// Records are gone, and no list says which.
    unknown: bool,
    repairs: Vec<Repair>,
    empty: Vec<(u32, FileName)>,
    /// The last file was ended by a process that stopped in order.
    clean: bool,
}

/// What a list lacks.
struct Repair {
    path: PathBuf,
    header: Option<[u8; FILE_HEADER]>,
    at: u64,
    bytes: BytesMut,
}

impl Repair {
    fn make(self) {
        let write = || {
            let file = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&self.path)?;
            file.set_len(self.at.max(FILE_HEADER as u64))?;
            if let Some(header) = self.header {
                file.write_all_at(&header, 0)?;
            }
            file.write_all_at(&self.bytes, self.at)
        };
        if let Err(error) = write() {
            // The next start does the same work again.
            tracing::warn!(%error, "A list of the history on disk could not be repaired.");
        }
    }
}

impl Recovery {
    /// Takes up a file. Of one whose log is missing the list still tells what is gone.
    fn load(&mut self, dir: &std::path::Path, name: FileName, is_missing: bool) -> io::Result<()> {
        let file = Arc::new(if is_missing {
            stand_in(&name.log(dir), self.salt)?
        } else {
            File::open(name.log(dir))?
        });
        let len = file.metadata()?.len();
        let listed: Bytes = match fs::read(name.list(dir)) {
            Ok(bytes) => bytes.into(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Bytes::new(),
            Err(error) => return Err(error),
        };
        let segment = self.index.segments.add(Segment {
            name,
            file: file.clone(),
            len: 0,
            live: 0,
            fixed: 0,
            sealed: true,
        });
        let mut loader = Loader {
            index: &mut self.index,
            segment,
            channels: Vec::new(),
        };
        let extent = list::read(&listed, self.salt, &mut loader);
        loader.flush();
        let channels = loader.channels;
        self.clean = extent.end == Some(true);
        let told = extent.log > FILE_HEADER as u64;
        if is_missing && told {
            tracing::error!(log = %name.log(dir).display(), "A file of the history on disk is missing.");
            // What was written last may not have come into the list.
            self.unknown |= extent.end.is_none();
        }
        let mut end = extent.log;
        if len < extent.log {
            self.lost.push((segment, len, extent.log));
        }
        if extent.end.is_none() {
            let mut lister = Lister::default();
            for (number, channel) in (0..).zip(&channels) {
                lister.known(number, &channel.target, channel.epoch);
            }
            let tail = Tail {
                segment,
                start: extent.log,
                lister,
                list: BytesMut::new(),
            };
            let (bytes, tail_end) = self.load_tail(tail, &read_from(&file, extent.log, len)?);
            end = tail_end;
            let header = file_header(self.salt);
            self.repairs.push(Repair {
                path: name.list(dir),
                header: (!listed.starts_with(&header)).then_some(header),
                at: extent.list.max(FILE_HEADER) as u64,
                bytes,
            });
        }
        if let Some(segment) = self.index.segments.get_mut(segment) {
            segment.len = end;
        }
        if end <= FILE_HEADER as u64 {
            self.empty.push((segment, name));
        }
        Ok(())
    }

    /// Takes up the records that no list tells of. Returns what the list lacks, and the end of the log.
    fn load_tail(&mut self, mut tail: Tail, bytes: &Bytes) -> (BytesMut, u64) {
        let mut pieces = Vec::new();
        let mut at = 0;
        for piece in Pieces::of(bytes, self.salt) {
            let len = match &piece {
                Piece::Record(frame) => frame.len(),
                Piece::Garbage(len) => *len,
            };
            pieces.push((at, piece));
            at += len;
        }
        let mut taken = Vec::new();
        let mut end = 0;
        for (n, (at, piece)) in pieces.iter().enumerate() {
            match piece {
                Piece::Record(frame) => {
                    if self.unknown_kind(frame) {
                        continue;
                    }
                    taken.push((*at, *frame));
                    end = at + frame.len();
                }
                Piece::Garbage(_) if is_torn(&pieces[..n], &pieces[n + 1..]) => break,
                Piece::Garbage(_) => self.unknown = true,
            }
        }
        let log_end = tail.start + end as u64;
        let batch = Lister::begin(&mut tail.list, tail.start, log_end);
        for (at, frame) in taken {
            let content = bytes.slice_ref(frame.content);
            if tail.take(&mut self.index, at, &frame, content).is_err() {
                // Its checksum is right, so it was written so: by a version that knows more kinds.
                self.unknown = true;
            }
        }
        Lister::end(&mut tail.list, false);
        Lister::finish(&mut tail.list, batch, self.salt);
        (tail.list, log_end)
    }

    fn unknown_kind(&mut self, frame: &Frame<'_>) -> bool {
        let known = [PUBLICATION, b'D', b'A', b'R', b'H'].contains(&frame.kind);
        self.unknown |= !known;
        !known
    }

    /// Checks what the lists tell of against the log, the newest files first.
    fn verify(&mut self, bytes_max: u64) {
        let mut left = bytes_max;
        for (number, segment) in self.index.segments.in_order().into_iter().rev() {
            if segment.live == 0 {
                continue;
            }
            let Some(rest) = left.checked_sub(segment.len) else {
                break;
            };
            left = rest;
            let start = FILE_HEADER as u64;
            let bytes = match read_from(&segment.file, start, segment.len) {
                Ok(bytes) => bytes,
                Err(error) => {
                    // Reading will say so too, and may find the disk well again.
                    tracing::error!(%error, "A file of the history on disk cannot be read.");
                    continue;
                }
            };
            let mut at = start;
            for piece in Pieces::of(&bytes, self.salt) {
                at += match piece {
                    Piece::Record(frame) => frame.len() as u64,
                    Piece::Garbage(len) => {
                        self.lost.push((number, at, at + len as u64));
                        len as u64
                    }
                };
            }
        }
    }

    /// Takes away what lay in lost parts. Returns what has to be written down about that.
    fn damage(&mut self) -> Vec<Note> {
        let mut notes = Vec::new();
        if self.lost.is_empty() {
            return notes;
        }
        let is_lost = |place: &Place| {
            let (from, to) = (
                u64::from(place.offset),
                u64::from(place.offset) + u64::from(place.len),
            );
            let overlaps = |(segment, start, end): &(u32, u64, u64)| {
                *segment == place.segment && from < *end && *start < to
            };
            self.lost.iter().any(overlaps)
        };
        let mut damaged: Vec<(Target, Vec<(u64, u64)>)> = Vec::new();
        for (target, channel) in &self.index.channels {
            // Neighbours go in one span.
            let mut spans: Vec<(u64, u64)> = Vec::new();
            let mut before_lost = false;
            for place in channel.places() {
                let lost = is_lost(place);
                match spans.last_mut().filter(|_| before_lost && lost) {
                    Some((_, end)) => *end = place.timetoken,
                    None if lost => spans.push((place.timetoken, place.timetoken)),
                    None => {}
                }
                before_lost = lost;
            }
            if !spans.is_empty() {
                damaged.push((target.clone(), spans));
            }
        }
        for (target, spans) in damaged {
            tracing::warn!(
                ?target,
                "Publications on disk are damaged; the channel begins a new epoch."
            );
            for (from, to) in spans {
                let span = (Timetoken(from)..=Timetoken(to)).into();
                let target = target.clone();
                notes.push(Note::Deletion { target, span });
            }
            notes.extend(self.broken(&target));
        }
        // In memory too, should they not get to the disk.
        for note in &notes {
            self.index.note(note.clone(), (u32::MAX, 0));
        }
        notes
    }

    /// Channels whose numbers may have been given to publications that are gone.
    fn discontinued(&mut self, rules: &Rules) -> Vec<Note> {
        if self.unknown {
            tracing::warn!(
                "The history on disk is damaged so that all channels begin a new epoch."
            );
        }
        let discontinued = |target: &Target, behind: bool| {
            let durability = rules.of(target).durability;
            let in_memory = durability.is_some_and(|d| d <= polywire_core::Durability::Memory);
            self.unknown || (!self.clean && (behind || in_memory))
        };
        let found: Vec<_> = self
            .index
            .channels
            .iter()
            .filter(|(target, channel)| !channel.broken && discontinued(target, channel.behind))
            .map(|(target, _)| target.clone())
            .collect();
        let notes: Vec<_> = found
            .iter()
            .filter_map(|target| self.broken(target))
            .collect();
        for note in &notes {
            self.index.note(note.clone(), (u32::MAX, 0));
        }
        notes
    }

    fn broken(&self, target: &Target) -> Option<Note> {
        let channel = self.index.channels.get(target)?;
        Some(Note::Head {
            target: target.clone(),
            position: channel.head,
            broken: true,
        })
    }
}

/// Whether garbage between records is a batch that was never synced, and not damage: then no later batch
/// was written behind it.
fn is_torn(before: &[(usize, Piece<'_>)], behind: &[(usize, Piece<'_>)]) -> bool {
    let record = |(_, piece): &(usize, Piece<'_>)| match piece {
        Piece::Record(frame) => Some((frame.batch, frame.left)),
        Piece::Garbage(_) => None,
    };
    let mut batches = behind.iter().filter_map(record).map(|(batch, _)| batch);
    let Some(first) = batches.next() else {
        return true;
    };
    let same = batches.all(|batch| batch == first);
    match before.iter().rev().find_map(record) {
        // The batch before goes on in the garbage.
        Some((batch, left)) if left > 0 => same && batch == first,
        Some((batch, _)) => same && first == batch + 1,
        None => same,
    }
}

/// A part of the log that no list tells of.
struct Tail {
    segment: u32,
    start: u64,
    lister: Lister,
    list: BytesMut,
}

impl Tail {
    fn take(
        &mut self,
        index: &mut Index,
        at: usize,
        frame: &Frame<'_>,
        content: Bytes,
    ) -> Result<(), Invalid> {
        let offset = u32::try_from(self.start + at as u64).map_err(|_| Invalid)?;
        let len = u32::try_from(frame.len()).map_err(|_| Invalid)?;
        if frame.kind != PUBLICATION {
            let note = Note::decode(frame.kind, content)?;
            Lister::note(&mut self.list, &note, offset, len);
            index.note(note, (self.segment, len));
            return Ok(());
        }
        let publication = decode_publication(content)?;
        let listed = Listed {
            position: publication.position(),
            flags: frame.flags,
            offset,
            len,
            ttl: Ttl::of(publication.retention.ttl),
        };
        // The name alone: the publication holds the whole file in memory.
        self.lister
            .publication(&mut self.list, &publication.target, &listed);
        add(index, &publication.target, listed, self.segment);
        Ok(())
    }
}

fn add(index: &mut Index, target: &Target, listed: Listed, segment: u32) {
    let place = Place {
        timetoken: listed.position.timetoken.0,
        segment,
        offset: listed.offset,
        len: listed.len,
        ttl: listed.ttl,
    };
    index.add(target, listed.position, place, listed.flags & BEHIND != 0);
}

/// Takes a list into the index, many publications of a channel at once.
struct Loader<'i> {
    index: &'i mut Index,
    segment: u32,
    channels: Vec<Loaded>,
}

struct Loaded {
    target: Target,
    epoch: Epoch,
    waiting: Vec<Listed>,
}

impl Loader<'_> {
    fn flush(&mut self) {
        for number in 0..self.channels.len() {
            self.flush_one(number);
        }
    }

    fn flush_one(&mut self, number: usize) {
        let Loaded {
            target,
            epoch,
            waiting,
        } = &mut self.channels[number];
        if waiting.is_empty() {
            return;
        }
        let (epoch, segment) = (*epoch, self.segment);
        let mut latest = 0;
        self.index.with(target, |channel, segments| {
            for listed in waiting.drain(..) {
                let position = Position {
                    epoch,
                    ..listed.position
                };
                latest = latest.max(position.timetoken.0);
                let place = Place {
                    timetoken: position.timetoken.0,
                    segment,
                    offset: listed.offset,
                    len: listed.len,
                    ttl: listed.ttl,
                };
                channel.add(place, segments);
                channel.advance(position, Some(segment));
                channel.behind = listed.flags & BEHIND != 0;
            }
        });
        self.index.observe(Timetoken(latest));
    }
}

impl Listener for Loader<'_> {
    fn channel(&mut self, number: u32, target: Target, epoch: Epoch) {
        let number = number as usize;
        if number < self.channels.len() {
            self.flush_one(number);
            self.channels[number].epoch = epoch;
            return;
        }
        // Numbers are given in order.
        self.channels.push(Loaded {
            target,
            epoch,
            waiting: Vec::new(),
        });
    }

    fn publication(&mut self, number: u32, listed: Listed) -> Result<(), Invalid> {
        let channel = self.channels.get_mut(number as usize).ok_or(Invalid)?;
        channel.waiting.push(listed);
        Ok(())
    }

    fn note(&mut self, note: Note, _offset: u32, len: u32) {
        self.flush();
        self.index.note(note, (self.segment, len));
    }
}
