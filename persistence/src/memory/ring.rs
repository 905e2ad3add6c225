//! The ring of one channel: what is kept of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use polywire_core::{
    Annotation, HistoryError, Order, Page, Position, Publication, Query, Rule, Span, Stored,
    Timetoken,
};

/// What a publication costs besides what it says: its own fields, its place in the ring and in the queue of
/// what goes first.
pub(super) const OVERHEAD: usize = 320;
/// What an annotation costs besides its texts.
const ANNOTATION_OVERHEAD: usize = 128;

/// The publications of one channel in the order of their timetokens.
#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<RingEntry>,
    /// Bytes of payload.
    payload: u64,
    last: Position,
    /// The publications of annotations, by the time of attaching.
    annotated: BTreeMap<Timetoken, Timetoken>,
}

#[derive(Debug)]
struct RingEntry {
    publication: Arc<Publication>,
    expires: Timetoken,
    annotations: Vec<Annotation>,
}

impl RingEntry {
    fn timetoken(&self) -> Timetoken {
        self.publication.position().timetoken
    }

    /// Bytes that it occupies, roughly.
    fn len(&self) -> usize {
        let annotations: usize = self.annotations.iter().map(annotation_len).sum();
        self.publication.bytes() + OVERHEAD + annotations
    }
}

fn annotation_len(annotation: &Annotation) -> usize {
    annotation.kind.len() + annotation.value.len() + ANNOTATION_OVERHEAD
}

/// Ticks of a timetoken in a time.
pub(super) fn ticks(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX)
}

impl Ring {
    pub(super) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            payload: 0,
            last: Position::default(),
            annotated: BTreeMap::new(),
        }
    }

    pub(super) fn last(&self) -> Position {
        self.last
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The timetoken of the oldest publication.
    pub(super) fn oldest(&self) -> Option<Timetoken> {
        self.entries.front().map(RingEntry::timetoken)
    }

    /// Adds a publication and takes away what the rule does not keep. Returns the bytes that came and went.
    pub(super) fn push(&mut self, publication: &Arc<Publication>, rule: &Rule) -> (usize, usize) {
        let now = publication.position().timetoken;
        self.last = publication.position();
        let ttl = publication
            .retention
            .ttl
            .into_iter()
            .chain(rule.age_max)
            .min();
        let entry = RingEntry {
            publication: publication.clone(),
            expires: Timetoken(ttl.map_or(u64::MAX, |ttl| now.0.saturating_add(ticks(ttl)))),
            annotations: Vec::new(),
        };
        let came = entry.len();
        self.payload += publication.payload.len() as u64;
        self.entries.push_back(entry);
        let mut went = 0;
        while let Some(oldest) = self.entries.front() {
            let too_many = rule.entries_max.is_some_and(|max| self.entries.len() > max);
            let too_much = rule.bytes_max.is_some_and(|max| self.payload > max);
            if !too_many && !too_much && oldest.expires > now {
                break;
            }
            went += self.pop();
        }
        (came, went)
    }

    /// Takes away the oldest publication; returns its bytes.
    pub(super) fn pop(&mut self) -> usize {
        let Some(entry) = self.entries.pop_front() else {
            return 0;
        };
        self.gone(&entry);
        entry.len()
    }

    fn gone(&mut self, entry: &RingEntry) {
        self.payload -= entry.publication.payload.len() as u64;
        for annotation in &entry.annotations {
            self.annotated.remove(&annotation.at);
        }
    }

    /// The places in the ring that a span has.
    fn places(&self, span: Span) -> std::ops::Range<usize> {
        if span.is_empty() {
            return 0..0;
        }
        let from = self.entries.partition_point(|e| e.timetoken() < span.from);
        let to = self.entries.partition_point(|e| e.timetoken() <= span.to);
        from..to
    }

    pub(super) fn read(&self, query: &Query, now: Timetoken) -> Page {
        let places = self.places(query.span);
        let entries = self.entries.range(places).filter(|e| e.expires > now);
        match query.order {
            Order::OldestFirst => page(entries, query.limit),
            Order::NewestFirst => page(entries.rev(), query.limit),
        }
    }

    pub(super) fn count(&self, span: Span, now: Timetoken) -> u64 {
        let entries = self.entries.range(self.places(span));
        entries.filter(|e| e.expires > now).count() as u64
    }

    /// Returns how many publications and bytes went.
    pub(super) fn delete(&mut self, span: Span) -> (u64, usize) {
        let places = self.places(span);
        let entries: Vec<_> = self.entries.drain(places).collect();
        entries.iter().for_each(|entry| self.gone(entry));
        let bytes = entries.iter().map(RingEntry::len).sum();
        (entries.len() as u64, bytes)
    }

    fn find(&mut self, timetoken: Timetoken, now: Timetoken) -> Option<&mut RingEntry> {
        let place = self
            .entries
            .binary_search_by_key(&timetoken, RingEntry::timetoken)
            .ok()?;
        self.entries
            .get_mut(place)
            .filter(|entry| entry.expires > now)
    }

    /// Returns the bytes that came.
    pub(super) fn annotate(
        &mut self,
        timetoken: Timetoken,
        annotation: Annotation,
        now: Timetoken,
    ) -> Result<usize, HistoryError> {
        let entry = self.find(timetoken, now).ok_or(HistoryError::NotFound)?;
        if let Some(same) = entry
            .annotations
            .iter()
            .find(|other| other.says_the_same(&annotation))
        {
            return Err(HistoryError::Exists(same.at));
        }
        if entry.annotations.len() >= Annotation::PER_PUBLICATION_MAX {
            return Err(HistoryError::Full);
        }
        let (at, bytes) = (annotation.at, annotation_len(&annotation));
        let place = entry.annotations.partition_point(|other| other.at <= at);
        entry.annotations.insert(place, annotation);
        self.annotated.insert(at, timetoken);
        Ok(bytes)
    }

    pub(super) fn remove_annotation(
        &mut self,
        timetoken: Timetoken,
        at: Timetoken,
        now: Timetoken,
    ) -> Option<(Annotation, usize)> {
        let entry = self.find(timetoken, now)?;
        let place = entry.annotations.iter().position(|a| a.at == at)?;
        let annotation = entry.annotations.remove(place);
        self.annotated.remove(&at);
        let bytes = annotation_len(&annotation);
        Some((annotation, bytes))
    }

    pub(super) fn annotations(
        &self,
        attached: Span,
        limit: usize,
        now: Timetoken,
    ) -> Vec<(Timetoken, Annotation)> {
        if attached.is_empty() {
            return Vec::new();
        }
        self.annotated
            .range(attached.from..=attached.to)
            .rev()
            .filter_map(|(at, timetoken)| {
                let place = self
                    .entries
                    .binary_search_by_key(timetoken, RingEntry::timetoken)
                    .ok()?;
                let entry = self.entries.get(place).filter(|e| e.expires > now)?;
                let annotation = entry.annotations.iter().find(|a| a.at == *at)?;
                Some((*timetoken, annotation.clone()))
            })
            .take(limit)
            .collect()
    }
}

fn page<'e>(entries: impl Iterator<Item = &'e RingEntry>, limit: usize) -> Page {
    let mut page = Page::default();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.publication.bytes();
        let full = page.entries.len() >= limit;
        if full || (bytes > Page::BYTES_MAX && !page.entries.is_empty()) {
            page.more = limit > 0;
            break;
        }
        let stored = Stored::new(entry.publication.clone());
        page.entries
            .push(stored.annotations(entry.annotations.clone()));
    }
    page
}
