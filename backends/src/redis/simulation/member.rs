//! A member, and the proof that it got what it is owed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use polywire_core::{
    Interest, Payload, Publication, Target, Timetoken,
    testkit::{Joined, Recorder},
};
use tokio::time::Instant;

/// What was published by somebody.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) node: usize,
    /// Its publisher was told that everybody gets it.
    pub(super) is_acknowledged: bool,
}

/// All that happened.
pub(super) struct Truth {
    /// By text.
    pub(super) published: BTreeMap<String, Published>,
    /// What Redis announced, in order, and when.
    pub(super) announced: Vec<(Publication, Instant)>,
    /// The server may have forgotten something.
    pub(super) forgets: bool,
}

pub(super) struct Member {
    pub(super) node: usize,
    pub(super) interest: Interest,
    pub(super) recorder: Arc<Recorder>,
    pub(super) joined: Joined,
    /// What is later than this is owed to it.
    pub(super) owed_from: Timetoken,
}

/// How long it may take until it is noticed that the server was emptied.
const NOTICED: Duration = Duration::from_secs(3);

pub(super) fn text(publication: &Publication) -> String {
    match &publication.payload {
        Payload::Text(text) => text.value().to_string(),
        other => panic!("{other:?}"),
    }
}

fn wants(interest: &Interest, target: &Target) -> bool {
    match (interest, target) {
        (Interest::Channel(channel), Target::Channel(other)) => channel == other,
        (Interest::Pattern(pattern), Target::Channel(other)) => pattern.matches(other.as_str()),
        _ => false,
    }
}

fn is_about(gap: &Interest, target: &Target) -> bool {
    match gap {
        // On whatever channel it was.
        Interest::Pattern(_) => true,
        gap => *gap == Interest::from(target.clone()),
    }
}

impl Member {
    /// Proves that it got what it is owed, in order and once, or was told of a gap before what follows.
    pub(super) fn prove(&self, truth: &Truth) -> Result<(), String> {
        let delivered = self.recorder.publications();
        let mut seen = BTreeMap::new();
        for (at, publication) in delivered.iter().enumerate() {
            let text = text(publication);
            if !truth.published.contains_key(&text) {
                return Err(format!("{text} was never published"));
            }
            if let Some(before) = seen.insert(text.clone(), at) {
                return Err(format!("{text} came twice, at {before} and {at}"));
            }
        }
        let announced = truth.announced.iter();
        let announced = announced.filter(|(one, _)| wants(&self.interest, &one.target));
        let mut channels: BTreeMap<&Target, Vec<(&Publication, Instant)>> = BTreeMap::new();
        for (one, at) in announced {
            channels.entry(&one.target).or_default().push((one, *at));
        }
        let gaps = self.recorder.gaps_of();
        if !truth.forgets && !gaps.is_empty() {
            return Err(format!(
                "was told of gaps though nothing was forgotten: {gaps:?}"
            ));
        }
        for (target, announced) in channels {
            self.prove_channel(target, &announced, &seen, truth)?;
        }
        Ok(())
    }

    fn prove_channel(
        &self,
        target: &Target,
        announced: &[(&Publication, Instant)],
        seen: &BTreeMap<String, usize>,
        truth: &Truth,
    ) -> Result<(), String> {
        let gaps = self.recorder.gaps_of();
        // What its own node has served from memory is not where it would be.
        let is_from_memory = |text: &str| {
            let published = &truth.published[text];
            published.node == self.node && !published.is_acknowledged
        };
        let mut last = None;
        let mut missing: Vec<(&Publication, Instant)> = Vec::new();
        for (one, next) in announced {
            let text = text(one);
            let Some(&at) = seen.get(&text) else {
                if one.position().timetoken > self.owed_from {
                    missing.push((one, *next));
                }
                continue;
            };
            if is_from_memory(&text) {
                continue;
            }
            if last.is_some_and(|last| at < last) {
                return Err(format!("{text} came too early"));
            }
            for (lost, when) in missing.drain(..) {
                let is_told = gaps.iter().any(|(before, of, told)| {
                    let is_in_time = *before <= at || *told <= *next + NOTICED;
                    is_about(of, target) && is_in_time && *told >= when
                });
                if !is_told {
                    let lost = self::text(lost);
                    return Err(format!("{lost} was lost before {text} without a word"));
                }
            }
            last = Some(at);
        }
        for (lost, when) in missing {
            let is_told =
                |(_, of, told): &(usize, Interest, Instant)| is_about(of, target) && *told >= when;
            if !gaps.iter().any(is_told) {
                return Err(format!("{} was lost at the end", text(lost)));
            }
        }
        Ok(())
    }
}
