//! What was attached to the publications of a channel.

use std::collections::BTreeMap;

use polywire_core::{Annotation, HistoryError, Span, Timetoken};

/// What an annotation costs besides its texts: its fields, their memory, and its place in the order of attaching.
const OVERHEAD: usize = 400;

/// The annotations of a channel.
#[derive(Debug, Default)]
pub(super) struct Attached {
    /// By publication, each in the order of attaching.
    of: BTreeMap<Timetoken, Vec<Annotation>>,
    /// The publications, by the time of attaching.
    order: BTreeMap<Timetoken, Timetoken>,
    bytes: usize,
}

fn bytes(annotation: &Annotation) -> usize {
    annotation.kind.len() + annotation.value.len() + OVERHEAD
}

impl Attached {
    /// Bytes that they occupy, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn of(&self, publication: Timetoken) -> &[Annotation] {
        self.of.get(&publication).map_or(&[], Vec::as_slice)
    }

    pub(super) fn add(
        &mut self,
        publication: Timetoken,
        annotation: Annotation,
    ) -> Result<(), HistoryError> {
        let there = self.of(publication);
        if let Some(same) = there.iter().find(|other| other.says_the_same(&annotation)) {
            return Err(HistoryError::Exists(same.at));
        }
        if there.len() >= Annotation::PER_PUBLICATION_MAX {
            return Err(HistoryError::Full);
        }
        // Without what else was read together with it.
        let annotation = Annotation {
            kind: (*annotation.kind).into(),
            value: (*annotation.value).into(),
            ..annotation
        };
        self.bytes += bytes(&annotation);
        self.order.insert(annotation.at, publication);
        let all = self.of.entry(publication).or_default();
        let place = all.partition_point(|other| other.at <= annotation.at);
        all.insert(place, annotation);
        Ok(())
    }

    pub(super) fn remove(&mut self, publication: Timetoken, at: Timetoken) -> Option<Annotation> {
        let all = self.of.get_mut(&publication)?;
        let place = all.iter().position(|annotation| annotation.at == at)?;
        let annotation = all.remove(place);
        if all.is_empty() {
            self.of.remove(&publication);
        }
        self.order.remove(&at);
        self.bytes -= bytes(&annotation);
        Some(annotation)
    }

    /// The publication is gone.
    pub(super) fn detach(&mut self, publication: Timetoken) {
        for annotation in self.of.remove(&publication).unwrap_or_default() {
            self.order.remove(&annotation.at);
            self.bytes -= bytes(&annotation);
        }
    }

    /// What was attached within a span, with its publication, the newest first.
    pub(super) fn within(&self, span: Span) -> impl Iterator<Item = (Timetoken, &Annotation)> {
        let of_span = (!span.is_empty()).then(|| self.order.range(span.from..=span.to));
        let newest_first = of_span.into_iter().flatten().rev();
        newest_first.filter_map(|(at, publication)| {
            let annotation = self.of(*publication).iter().find(|a| a.at == *at)?;
            Some((*publication, annotation))
        })
    }
}
