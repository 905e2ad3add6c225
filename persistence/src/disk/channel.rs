//! One channel in the index, or the private messages of one client.

use std::{collections::VecDeque, sync::Arc};

use polywire_core::{
    Epoch, Order, Page, Position, Publication, Query, Rule, Seq, Span, Target, Timetoken,
};

use super::{
    attached::Attached,
    place::{Place, Ttl},
    record::record_overhead,
    segments::Segments,
};

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    /// What lies in the log, by time.
    places: VecDeque<Place>,
    /// What waits to be written, all of it later than `places`.
    unwritten: VecDeque<Arc<Publication>>,
    /// Bytes of payload of `places` and `unwritten`, with what publishers say about themselves.
    bytes: u64,
    /// What a record of this channel has besides.
    record_overhead: u64,
    /// When the first publication with a time to live of its own ends, or earlier.
    ttl_next: u64,
    pub(super) head: Position,
    /// The file with the last record that says `head`; none while it is unwritten.
    pub(super) head_segment: Option<u32>,
    /// Something is missing: the numbers of this epoch are not continued.
    pub(super) broken: bool,
    /// The last publication did not wait for the disk.
    pub(super) behind: bool,
    pub(super) attached: Attached,
}

/// Something to be put on a page.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Written(Place),
    Unwritten(Arc<Publication>),
}

impl Item {
    pub(super) fn timetoken(&self) -> Timetoken {
        match self {
            Self::Written(place) => Timetoken(place.timetoken),
            Self::Unwritten(publication) => publication.position().timetoken,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Written(place) => place.len as usize,
            Self::Unwritten(publication) => publication.payload.len(),
        }
    }

    fn is_gone(&self, now: u64) -> bool {
        match self {
            Self::Written(place) => place.is_expired(now),
            Self::Unwritten(publication) => {
                let end = Ttl::of(publication.retention.ttl);
                end.end(publication.position().timetoken.0) <= now
            }
        }
    }
}

/// Bytes that an unwritten publication counts for in the limit of a channel.
fn unwritten_bytes(publication: &Publication) -> u64 {
    publication.payload.len() as u64
}

impl Channel {
    /// Bytes in the index besides the name and the places.
    const OVERHEAD: usize = 320;

    pub(super) fn new(target: &Target) -> Self {
        Self {
            places: VecDeque::new(),
            unwritten: VecDeque::new(),
            bytes: 0,
            record_overhead: record_overhead(target),
            ttl_next: u64::MAX,
            head: Position {
                epoch: Epoch(0),
                seq: Seq(0),
                timetoken: Timetoken(0),
            },
            head_segment: None,
            broken: false,
            behind: false,
            attached: Attached::default(),
        }
    }

    /// Nearly the bytes of the payload.
    fn content_len(&self, place: &Place) -> u64 {
        u64::from(place.len).saturating_sub(self.record_overhead)
    }

    /// Bytes that the index needs for it.
    pub(super) fn index_bytes(&self) -> usize {
        Self::OVERHEAD + self.places.len() * Place::BYTES + self.attached.bytes()
    }

    pub(super) fn places_len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.unwritten.is_empty()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter()
    }

    /// The head moves on to `position`; it stays when it is later in the same epoch.
    pub(super) fn advance(&mut self, position: Position, segment: Option<u32>) {
        let head = self.head;
        if head.epoch != position.epoch {
            self.broken = false;
        } else if head.seq > position.seq {
            return;
        }
        self.head = position;
        self.head_segment = segment;
    }

    /// Adds what was written. Nearly always it is the latest.
    pub(super) fn add(&mut self, place: Place, segments: &mut Segments) {
        if place.ttl.is_some() {
            self.ttl_next = self.ttl_next.min(place.ttl.end(place.timetoken));
        }
        self.bytes += self.content_len(&place);
        segments.use_bytes(place.segment, place.len);
        if self.places.len() == self.places.capacity() {
            // Doubling would leave half of a large index empty.
            self.places.reserve_exact((self.places.len() / 4).max(4));
        }
        let after_last = |last: &Place| last.timetoken < place.timetoken;
        if self.places.back().is_none_or(after_last) {
            self.places.push_back(place);
            return;
        }
        let at = self.start_of(place.timetoken);
        match self.places.get_mut(at) {
            Some(same) if same.timetoken == place.timetoken => {
                let old = std::mem::replace(same, place);
                self.bytes -= self.content_len(&old);
                segments.free(&old);
            }
            _ => self.places.insert(at, place),
        }
    }

    /// Adds what will be written.
    pub(super) fn add_unwritten(&mut self, publication: Arc<Publication>) {
        self.bytes += unwritten_bytes(&publication);
        self.unwritten.push_back(publication);
    }

    /// A publication was written, or given up: it waits no more. False when it was taken away before.
    pub(super) fn settle_unwritten(&mut self, timetoken: Timetoken) -> bool {
        let found = |publication: &Arc<Publication>| publication.position().timetoken == timetoken;
        let Some(at) = self.unwritten.iter().position(found) else {
            return false;
        };
        if let Some(publication) = self.unwritten.remove(at) {
            self.bytes -= unwritten_bytes(&publication);
        }
        true
    }

    fn start_of(&self, timetoken: u64) -> usize {
        self.places
            .partition_point(|place| place.timetoken < timetoken)
    }

    fn written_in(&self, span: Span) -> std::ops::Range<usize> {
        let start = self.start_of(span.from.0);
        let end = self
            .places
            .partition_point(|place| place.timetoken <= span.to.0);
        start..end.max(start)
    }

    fn unwritten_in(&self, span: Span) -> impl DoubleEndedIterator<Item = &Arc<Publication>> {
        self.unwritten
            .iter()
            .filter(move |publication| span.contains(publication.position().timetoken))
    }

    pub(super) fn place(&self, timetoken: Timetoken) -> Option<&Place> {
        let place = self.places.get(self.start_of(timetoken.0))?;
        (place.timetoken == timetoken.0).then_some(place)
    }

    /// Points to another place of the same record.
    pub(super) fn move_place(&mut self, from: &Place, to: Place, segments: &mut Segments) -> bool {
        let at = self.start_of(from.timetoken);
        let Some(place) = self.places.get_mut(at).filter(|place| **place == *from) else {
            return false;
        };
        *place = to;
        segments.free(from);
        segments.use_bytes(to.segment, to.len);
        true
    }

    /// True when there is a publication with that timetoken that is not over.
    pub(super) fn has(&self, timetoken: Timetoken, live: Span, now: u64) -> bool {
        let written = self.place(timetoken);
        let unwritten = || self.unwritten_in((timetoken..=timetoken).into()).next();
        live.contains(timetoken)
            && match written {
                Some(place) => !place.is_expired(now),
                None => unwritten().is_some(),
            }
    }

    /// What a page has, and whether there is more.
    pub(super) fn page(&self, query: &Query, now: u64) -> (Vec<Item>, bool) {
        if query.limit == 0 {
            return (Vec::new(), false);
        }
        let span = query.span;
        let written = self.places.range(self.written_in(span));
        let written = written.map(|place| Item::Written(*place));
        let unwritten = self.unwritten_in(span);
        let unwritten = unwritten.map(|publication| Item::Unwritten(publication.clone()));
        match query.order {
            Order::OldestFirst => fill(written.chain(unwritten), query.limit, now),
            Order::NewestFirst => fill(unwritten.rev().chain(written.rev()), query.limit, now),
        }
    }

    pub(super) fn count(&self, span: Span, now: u64) -> u64 {
        let written = self.written_in(span);
        let written = if self.ttl_next > now {
            written.len()
        } else {
            let all = self.places.range(written);
            all.filter(|place| !place.is_expired(now)).count()
        };
        let gone =
            |publication: &&Arc<Publication>| Item::Unwritten(Arc::clone(publication)).is_gone(now);
        let unwritten = self.unwritten_in(span).filter(|p| !gone(p)).count();
        written as u64 + unwritten as u64
    }

    /// Takes away what the span has; says how many of it were not over.
    pub(super) fn delete(&mut self, span: Span, now: u64, segments: &mut Segments) -> u64 {
        let range = self.written_in(span);
        let mut gone = 0;
        let overhead = self.record_overhead;
        for place in self.places.drain(range) {
            gone += u64::from(!place.is_expired(now));
            self.bytes -= u64::from(place.len).saturating_sub(overhead);
            segments.free(&place);
            self.attached.remove_all(place.timetoken, segments);
        }
        gone
    }

    pub(super) fn remove(&mut self, place: &Place, segments: &mut Segments) -> bool {
        if self.place(Timetoken(place.timetoken)) != Some(place) {
            return false;
        }
        let at = Timetoken(place.timetoken);
        self.delete((at..=at).into(), 0, segments);
        true
    }

    /// Takes away the oldest until the limits of the rule hold.
    pub(super) fn trim(&mut self, rule: &Rule, now: u64, segments: &mut Segments) {
        let entries_max = rule.entries_max.unwrap_or(usize::MAX);
        let bytes_max = rule.bytes_max.unwrap_or(u64::MAX);
        while self.places.len() + self.unwritten.len() > entries_max || self.bytes > bytes_max {
            if !self.remove_oldest(segments) {
                break;
            }
        }
        let start = start(rule, now);
        while self.places.front().is_some_and(|p| p.timetoken < start) {
            self.remove_oldest(segments);
        }
    }

    pub(super) fn remove_oldest(&mut self, segments: &mut Segments) -> bool {
        if let Some(place) = self.places.pop_front() {
            self.bytes -= self.content_len(&place);
            segments.free(&place);
            self.attached.remove_all(place.timetoken, segments);
            return true;
        }
        match self.unwritten.pop_front() {
            Some(publication) => {
                self.bytes -= unwritten_bytes(&publication);
                true
            }
            None => false,
        }
    }

    /// Takes away what is over by its own time to live.
    pub(super) fn expire(&mut self, now: u64, segments: &mut Segments) {
        if self.ttl_next > now {
            return;
        }
        let mut next = u64::MAX;
        let (bytes, attached) = (&mut self.bytes, &mut self.attached);
        let overhead = self.record_overhead;
        self.places.retain(|place| {
            if place.is_expired(now) {
                *bytes -= u64::from(place.len).saturating_sub(overhead);
                segments.free(place);
                attached.remove_all(place.timetoken, segments);
                return false;
            }
            next = next.min(place.ttl.end(place.timetoken));
            true
        });
        self.ttl_next = next;
    }

    /// Gives memory back that many removals have left over.
    pub(super) fn shrink(&mut self) {
        if self.places.capacity() > 2 * self.places.len() + 16 {
            self.places.shrink_to_fit();
        }
    }
}

/// The timetoken before which `rule` keeps nothing.
pub(super) fn start(rule: &Rule, now: u64) -> u64 {
    rule.age_max.map_or(0, |age| {
        let ticks = u64::try_from(age.as_nanos() / 100).unwrap_or(u64::MAX);
        now.saturating_sub(ticks)
    })
}

fn fill(items: impl Iterator<Item = Item>, limit: usize, now: u64) -> (Vec<Item>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0usize);
    for item in items.filter(|item| !item.is_gone(now)) {
        bytes = bytes.saturating_add(item.len());
        if page.len() >= limit || (bytes > Page::BYTES_MAX && !page.is_empty()) {
            return (page, true);
        }
        page.push(item);
    }
    (page, false)
}
