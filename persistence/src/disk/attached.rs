//! The annotations of one channel.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use polywire_core::{Annotation, HistoryError, Span, Timetoken};

use super::segments::Segments;

/// The annotations of one channel. They are kept in memory; few channels have any.
#[derive(Debug, Default)]
pub(super) struct Attached(Option<Box<All>>);

#[derive(Debug, Default)]
struct All {
    /// By the timetoken of the publication, then by their own.
    by_publication: BTreeMap<(u64, u64), Kept>,
    by_time: BTreeSet<(u64, u64)>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    annotation: Annotation,
    segment: u32,
    len: u32,
}

/// What an annotation needs besides its texts.
const OVERHEAD: usize = 256;

fn bytes(annotation: &Annotation) -> usize {
    let author = annotation.author.as_ref();
    let author = author.map_or(0, |author| author.as_str().len());
    OVERHEAD + annotation.kind.len() + annotation.value.len() + author
}

fn of(publication: u64) -> RangeInclusive<(u64, u64)> {
    (publication, 0)..=(publication, u64::MAX)
}

impl Attached {
    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |all| all.bytes)
    }

    /// Whether it may be attached when `more` are before.
    pub(super) fn check(
        &self,
        publication: Timetoken,
        new: &Annotation,
        more: usize,
    ) -> Result<(), HistoryError> {
        let Some(all) = &self.0 else {
            return Ok(());
        };
        let mut count = more;
        for kept in all.by_publication.range(of(publication.0)).map(|(_, k)| k) {
            if kept.annotation.says_the_same(new) || kept.annotation.at == new.at {
                return Err(HistoryError::Exists(kept.annotation.at));
            }
            count += 1;
        }
        if count >= Annotation::PER_PUBLICATION_MAX {
            return Err(HistoryError::Full);
        }
        Ok(())
    }

    /// Adds one that lies in `segment`.
    pub(super) fn add(
        &mut self,
        publication: Timetoken,
        annotation: Annotation,
        (segment, len): (u32, u32),
        segments: &mut Segments,
    ) {
        let all = self.0.get_or_insert_default();
        let at = annotation.at.0;
        segments.use_bytes(segment, len);
        all.bytes += bytes(&annotation);
        all.by_time.insert((at, publication.0));
        let kept = Kept {
            annotation,
            segment,
            len,
        };
        if let Some(old) = all.by_publication.insert((publication.0, at), kept) {
            all.bytes -= bytes(&old.annotation);
            segments.free_bytes(old.segment, old.len);
        }
    }

    pub(super) fn get(&self, publication: Timetoken, at: Timetoken) -> Option<&Annotation> {
        let all = self.0.as_ref()?;
        let kept = all.by_publication.get(&(publication.0, at.0))?;
        Some(&kept.annotation)
    }

    /// True when the one that lies in `segment` is the one that counts.
    pub(super) fn lies_in(&self, publication: Timetoken, at: Timetoken, segment: u32) -> bool {
        let kept = |all: &All| {
            let kept = all.by_publication.get(&(publication.0, at.0))?;
            Some(kept.segment)
        };
        self.0.as_ref().and_then(|all| kept(all)) == Some(segment)
    }

    /// It lies in another file now.
    pub(super) fn move_to(
        &mut self,
        publication: Timetoken,
        at: Timetoken,
        (from, to): (u32, u32),
        segments: &mut Segments,
    ) {
        let Some(all) = &mut self.0 else {
            return;
        };
        let kept = all.by_publication.get_mut(&(publication.0, at.0));
        if let Some(kept) = kept.filter(|kept| kept.segment == from) {
            kept.segment = to;
            segments.free_bytes(from, kept.len);
            segments.use_bytes(to, kept.len);
        }
    }

    pub(super) fn remove(
        &mut self,
        publication: Timetoken,
        at: Timetoken,
        segments: &mut Segments,
    ) -> Option<Annotation> {
        let all = self.0.as_mut()?;
        let kept = all.by_publication.remove(&(publication.0, at.0))?;
        all.by_time.remove(&(at.0, publication.0));
        all.bytes -= bytes(&kept.annotation);
        segments.free_bytes(kept.segment, kept.len);
        if all.by_publication.is_empty() {
            self.0 = None;
        }
        Some(kept.annotation)
    }

    /// Removes those of one publication.
    pub(super) fn remove_all(&mut self, publication: u64, segments: &mut Segments) {
        let Some(all) = &self.0 else {
            return;
        };
        let times = all.by_publication.range(of(publication));
        let times: Vec<_> = times.map(|((_, at), _)| *at).collect();
        for at in times {
            self.remove(Timetoken(publication), Timetoken(at), segments);
        }
    }

    /// Those of one publication, by time.
    pub(super) fn of(&self, publication: Timetoken) -> Vec<Annotation> {
        let Some(all) = &self.0 else {
            return Vec::new();
        };
        let kept = all.by_publication.range(of(publication.0));
        kept.map(|(_, kept)| kept.annotation.clone()).collect()
    }

    /// Those that were attached within the span, the newest first, of publications that `lives` lets pass.
    pub(super) fn within(
        &self,
        span: Span,
        limit: usize,
        lives: impl Fn(Timetoken) -> bool,
    ) -> Vec<(Timetoken, Annotation)> {
        let Some(all) = self.0.as_ref().filter(|_| !span.is_empty()) else {
            return Vec::new();
        };
        all.by_time
            .range((span.from.0, 0)..=(span.to.0, u64::MAX))
            .rev()
            .filter(|(_, publication)| lives(Timetoken(*publication)))
            .filter_map(|(at, publication)| {
                let kept = all.by_publication.get(&(*publication, *at))?;
                Some((Timetoken(*publication), kept.annotation.clone()))
            })
            .take(limit)
            .collect()
    }
}
