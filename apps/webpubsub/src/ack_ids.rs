//! Ack ids: the requests of a connection that were executed, so that none is executed twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Spans of ids that are remembered. An SDK counts, so that one span holds all; ids that jump take one each.
const SPANS_MAX: usize = 10_000;

/// The ids of requests that were executed, as spans. When there are too many spans the lowest is forgotten.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AckIds {
    /// The last id of each span by the first.
    spans: BTreeMap<u64, u64>,
}

impl AckIds {
    /// True when the request was executed before.
    pub(crate) fn contains(&self, id: u64) -> bool {
        let span = self.spans.range(..=id).next_back();
        span.is_some_and(|(_, last)| *last >= id)
    }

    /// The request was executed.
    pub(crate) fn insert(&mut self, id: u64) {
        if self.contains(id) {
            return;
        }
        let (mut first, mut last) = (id, id);
        if let Some(before) = id.checked_sub(1)
            && let Some((start, _)) = self.spans.range(..=before).next_back()
            && self.spans[start] == before
        {
            first = *start;
        }
        if let Some(after) = id.checked_add(1)
            && let Some(end) = self.spans.remove(&after)
        {
            last = end;
        }
        self.spans.insert(first, last);
        if self.spans.len() > SPANS_MAX {
            self.spans.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_that_count_take_no_room() {
        let mut ids = AckIds::default();
        for id in [u64::MAX, 0, 2, 1, u64::MAX - 1] {
            ids.insert(id);
        }
        for id in 3..100_000 {
            ids.insert(id);
        }
        assert_eq!(ids.spans.len(), 2);
        for id in (0..50_000).map(|id| 1_000_000 + 2 * id) {
            ids.insert(id);
        }
        assert_eq!(ids.spans.len(), SPANS_MAX);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(inserted in prop::collection::vec(0u64..50, 0..60)) {
            let (mut ids, mut set) = (AckIds::default(), BTreeSet::new());
            for id in inserted {
                ids.insert(id);
                set.insert(id);
                for probe in 0..52 {
                    prop_assert_eq!(ids.contains(probe), set.contains(&probe));
                }
            }
        }
    }
}
