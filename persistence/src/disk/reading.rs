//! Reading of publications from the log.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt, sync::Arc};

use bytes::{Bytes, BytesMut};
use polywire_core::{HistoryError, Page, Publication, Query, Stored, Target, Timetoken};

use super::{
    channel::Item,
    frame,
    place::Place,
    record::{Note, PUBLICATION, decode_publication},
    store::{Store, now},
};

/// Records that lie as near to each other as this are read at once.
const GAP_MAX: u64 = 4096;
/// Bytes that are read at once.
const READ_BYTES_MAX: u64 = 1 << 20;

/// What a page is made from.
#[derive(Debug)]
struct Plan {
    items: Vec<(Item, Vec<polywire_core::Annotation>)>,
    files: BTreeMap<u32, Arc<File>>,
    more: bool,
}

impl Store {
    /// Reads a page. Blocks on the disk.
    pub(super) fn read(&self, target: &Target, query: &Query) -> Result<Page, HistoryError> {
        loop {
            let plan = self.plan(target, query);
            let asked = !plan.items.is_empty();
            let page = self.carry_out(target, plan)?;
            // All of it was damaged, and is known to be by now.
            if page.entries.is_empty() && asked {
                continue;
            }
            return Ok(page);
        }
    }

    fn plan(&self, target: &Target, query: &Query) -> Plan {
        let now = now();
        let mut query = *query;
        query.span = self.live(target, query.span, now);
        let index = self.index.lock();
        let (items, more) = match index.channels.get(target) {
            Some(channel) => channel.page(&query, now),
            None => (Vec::new(), false),
        };
        let mut files = BTreeMap::new();
        for item in &items {
            if let Item::Written(place) = item
                && let Some(segment) = index.segments.get(place.segment)
            {
                files.insert(place.segment, segment.file.clone());
            }
        }
        let attached = |item: &Item| {
            let channel = index.channels.get(target);
            channel.map_or(Vec::new(), |channel| channel.attached.of(item.timetoken()))
        };
        let items = items.into_iter().map(|item| {
            let attached = attached(&item);
            (item, attached)
        });
        Plan {
            items: items.collect(),
            files,
            more,
        }
    }

    /// A page ends before a publication that is damaged, and does not jump over it: a reader that goes on
    /// behind the page sees the gap in the numbers.
    fn carry_out(&self, target: &Target, plan: Plan) -> Result<Page, HistoryError> {
        let places = plan.items.iter().filter_map(|(item, _)| match item {
            Item::Written(place) => Some(*place),
            Item::Unwritten(_) => None,
        });
        let mut written = read_all(&plan.files, &places.collect::<Vec<_>>())
            .map_err(HistoryError::store)?
            .into_iter();
        let mut page = Page {
            entries: Vec::with_capacity(plan.items.len()),
            more: plan.more,
        };
        for (item, annotations) in plan.items {
            let publication = match item {
                Item::Unwritten(publication) => publication,
                Item::Written(place) => {
                    let bytes = written.next().flatten();
                    match bytes.and_then(|bytes| self.decode(target, &place, bytes)) {
                        Some(publication) => Arc::new(publication),
                        None => {
                            self.report_damage(target, &place);
                            if page.entries.is_empty() {
                                continue;
                            }
                            page.more = true;
                            break;
                        }
                    }
                }
            };
            page.entries
                .push(Stored::new(publication).annotations(annotations));
        }
        Ok(page)
    }

    /// The publication that lies at `place`, if it is the one that should lie there.
    fn decode(&self, target: &Target, place: &Place, bytes: Bytes) -> Option<Publication> {
        let frame = frame::parse(&bytes, self.directory.salt)?;
        if frame.kind != PUBLICATION {
            return None;
        }
        let publication = decode_publication(bytes.slice_ref(frame.content)).ok()?;
        let found = publication.position().timetoken.0;
        (publication.target == *target && found == place.timetoken).then_some(publication)
    }

    /// A publication cannot be read any more: it is taken away, and the next start begins a new epoch there.
    pub(super) fn report_damage(&self, target: &Target, place: &Place) {
        let index = &mut *self.index.lock();
        let found = index.with_known(target, |channel, segments| {
            // It may have been moved or deleted meanwhile.
            channel.remove(place, segments).then_some(channel.head)
        });
        let Some(position) = found.flatten() else {
            return;
        };
        tracing::warn!(
            ?target,
            "A publication on disk is damaged and was taken away."
        );
        let at = Timetoken(place.timetoken);
        self.found.lock().extend([
            Note::Deletion {
                target: target.clone(),
                span: (at..=at).into(),
            },
            Note::Head {
                target: target.clone(),
                position,
                broken: true,
            },
        ]);
    }
}

/// The bytes of each place; `None` where the file ends before.
fn read_all(files: &BTreeMap<u32, Arc<File>>, places: &[Place]) -> io::Result<Vec<Option<Bytes>>> {
    let mut read = Vec::with_capacity(places.len());
    let mut rest = places;
    while let Some(first) = rest.first() {
        let (mut start, mut end) = extent(first);
        let mut count = 1;
        for place in &rest[1..] {
            let (from, to) = extent(place);
            let near = from <= end + GAP_MAX && start <= to + GAP_MAX;
            let (low, high) = (start.min(from), end.max(to));
            if place.segment != first.segment || !near || high - low > READ_BYTES_MAX {
                break;
            }
            (start, end) = (low, high);
            count += 1;
        }
        let (group, others) = rest.split_at(count);
        rest = others;
        let Some(file) = files.get(&first.segment) else {
            read.extend(group.iter().map(|_| None));
            continue;
        };
        let bytes = read_from(file, start, end)?;
        read.extend(group.iter().map(|place| {
            let (from, to) = extent(place);
            let range = usize::try_from(from - start).ok()?..usize::try_from(to - start).ok()?;
            (range.end <= bytes.len()).then(|| bytes.slice(range))
        }));
    }
    Ok(read)
}

fn extent(place: &Place) -> (u64, u64) {
    let start = u64::from(place.offset);
    (start, start + u64::from(place.len))
}

/// The bytes of a file from `start` to `end`, or fewer where it ends.
pub(super) fn read_from(file: &File, start: u64, end: u64) -> io::Result<Bytes> {
    let len = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
    let mut bytes = BytesMut::zeroed(len);
    let mut done = 0;
    while done < len {
        match file.read_at(&mut bytes[done..], start + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    Ok(bytes.freeze())
}
