//! When nodes could not hear of each other.

use super::{Event, What};

/// Times for which nodes were apart.
#[derive(Debug, Default)]
pub(super) struct Outages(Vec<[u64; 2]>);

impl Outages {
    pub(super) fn of(events: &[Event]) -> Self {
        let mut outages = Vec::new();
        let mut began = None;
        for Event { at, what } in events {
            match what {
                What::Broken { apart: true, .. } => began = Some(*at),
                What::Mended => outages.extend(began.take().map(|began| [began, *at])),
                _ => {}
            }
        }
        Self(outages)
    }

    /// From when on a message can be missed that was acknowledged at this time.
    pub(super) fn missed_from(&self, acknowledged: u64) -> u64 {
        let outage = self
            .0
            .iter()
            .find(|[began, ended]| (*began..*ended).contains(&acknowledged));
        outage.map_or(acknowledged, |[_, ended]| *ended)
    }
}
