//! Tests of the whole engine.

mod damage;
mod engine;
mod faults;
mod laws;
mod power;
mod retention;

use std::{path::Path, sync::Arc};

use polywire_core::{
    Channel, Draft, Epoch, Payload, Position, Publication, Query, Rules, Seq, Span, Target,
    Timetoken,
};

use super::{
    log::{Log, Record},
    output::Files,
    recovery,
    settings::DiskSettings,
    store::now,
};

fn room(number: usize) -> Target {
    Channel::new(&format!("room-{number}")).unwrap().into()
}

fn settings(dir: &Path) -> DiskSettings {
    let mut settings = DiskSettings::new(dir);
    settings.bounds.segment_bytes = 64 << 10;
    settings
}

fn open(dir: &Path, rules: &Rules) -> Log {
    recovery::open(&settings(dir), rules.clone(), Box::new(Files)).unwrap()
}

/// Places publications as the hub does.
struct Publisher {
    timetoken: u64,
}

impl Publisher {
    fn new() -> Self {
        Self { timetoken: now() }
    }

    fn place(&mut self, log: &Log, target: &Target, draft: Draft) -> Arc<Publication> {
        self.place_after(log.store.last_position(target), draft)
    }

    fn place_after(&mut self, last: Option<Position>, draft: Draft) -> Arc<Publication> {
        self.timetoken += 7;
        let last = last.unwrap_or(Position {
            epoch: Epoch(self.timetoken),
            ..Position::default()
        });
        Arc::new(draft.at(Position {
            epoch: last.epoch,
            seq: Seq(last.seq.0 + 1),
            timetoken: Timetoken(self.timetoken),
        }))
    }

    fn text(&mut self, log: &Log, target: &Target, text: impl Into<String>) -> Arc<Publication> {
        let draft = Draft::new(target.clone(), Payload::text(text.into()));
        self.place(log, target, draft)
    }
}

fn keep(log: &mut Log, publications: &[Arc<Publication>]) {
    let records: Vec<_> = publications
        .iter()
        .map(|publication| Record::Publication(publication.clone(), false))
        .collect();
    assert!(log.append(&records).iter().all(Result::is_ok));
}

/// All that is read of a channel, page by page.
fn read_all(log: &Log, target: &Target) -> Vec<Arc<Publication>> {
    let mut read = Vec::new();
    let mut next = Some(Query::new(Span::ALL, 50));
    while let Some(query) = next {
        let page = log.store.read(target, &query).unwrap();
        next = page.rest(&query);
        read.extend(page.entries.into_iter().map(|entry| entry.publication));
    }
    read
}
