//! The engine against a naive model, opened again and again.

use std::collections::BTreeMap;

use polywire_core::Annotation;
use proptest::prelude::*;

use super::*;
use crate::disk::record::Note;

/// What a test does to the store and to the model.
#[derive(Debug, Clone)]
enum Step {
    Publish(usize, usize),
    Delete(usize, usize, usize),
    Annotate(usize, usize),
    Compact,
    Reopen,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4usize, 1..3000usize).prop_map(|(room, len)| Step::Publish(room, len)),
        1 => (0..4usize, 0..40usize, 0..40usize).prop_map(|(room, a, b)| Step::Delete(room, a, b)),
        1 => (0..4usize, 0..40usize).prop_map(|(room, at)| Step::Annotate(room, at)),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

#[derive(Default)]
struct Model {
    last: Option<Position>,
    kept: Vec<(Arc<Publication>, Vec<Annotation>)>,
}

struct Run {
    dir: tempfile::TempDir,
    log: Option<Log>,
    publisher: Publisher,
    models: BTreeMap<usize, Model>,
}

impl Run {
    fn step(&mut self, step: Step) {
        let log = self.log.as_mut().unwrap();
        match step {
            Step::Publish(number, len) => {
                let text = format!("{}:", self.publisher.timetoken).repeat(len / 19 + 1);
                let publication = self.publisher.text(log, &room(number), text);
                let model = self.models.entry(number).or_default();
                let seq = model.last.map_or(1, |last| last.seq.0 + 1);
                assert_eq!(
                    publication.position().seq,
                    Seq(seq),
                    "numbers are continued"
                );
                keep(log, std::slice::from_ref(&publication));
                model.last = Some(publication.position());
                model.kept.push((publication, Vec::new()));
            }
            Step::Delete(number, a, b) => {
                let model = self.models.entry(number).or_default();
                let at = |n: usize| {
                    let (publication, _) = model.kept.get(n)?;
                    Some(publication.position().timetoken)
                };
                if let (Some(from), Some(to)) = (at(a), at(b)) {
                    let (target, span) = (room(number), Span { from, to });
                    let note = Note::Deletion { target, span };
                    assert!(log.append(&[Record::Note(note)])[0].is_ok());
                    model
                        .kept
                        .retain(|(p, _)| !span.contains(p.position().timetoken));
                }
            }
            Step::Annotate(number, n) => {
                let model = self.models.entry(number).or_default();
                self.publisher.timetoken += 1;
                let annotation = Annotation {
                    at: Timetoken(self.publisher.timetoken),
                    kind: "reaction".into(),
                    value: "smiley".into(),
                    author: None,
                };
                if let Some((publication, annotations)) = model.kept.get_mut(n) {
                    let note = Note::Annotation {
                        target: room(number),
                        publication: publication.position().timetoken,
                        annotation: annotation.clone(),
                    };
                    assert!(log.append(&[Record::Note(note)])[0].is_ok());
                    annotations.push(annotation);
                }
            }
            Step::Compact => log.store.compact().unwrap(),
            Step::Reopen => {
                log.close();
                self.reopen();
            }
            Step::Crash => self.reopen(),
        }
    }

    fn reopen(&mut self) {
        self.log = None;
        self.log = Some(open(self.dir.path(), &Rules::default()));
    }

    fn check(&self) {
        let log = self.log.as_ref().unwrap();
        for (number, model) in &self.models {
            let target = room(*number);
            assert_eq!(log.store.last_position(&target), model.last);
            let page = log
                .store
                .read(&target, &Query::new(Span::ALL, 1000))
                .unwrap();
            let read: Vec<_> = page
                .entries
                .into_iter()
                .map(|entry| (entry.publication, entry.annotations))
                .collect();
            assert_eq!(read, model.kept);
            let annotated = log.store.annotations(&target, Span::ALL, 1000).len();
            let expected: usize = model.kept.iter().map(|(_, a)| a.len()).sum();
            assert_eq!(annotated, expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn agrees_with_a_model(steps in prop::collection::vec(step(), 1..120)) {
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run {
            log: Some(open(dir.path(), &Rules::default())),
            dir,
            publisher: Publisher::new(),
            models: BTreeMap::new(),
        };
        for step in steps {
            run.step(step);
        }
        run.check();
        run.reopen();
        run.check();
    }
}

#[test]
fn a_torn_tail_is_cut_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), &Rules::default());
    let mut publisher = Publisher::new();
    let first = publisher.text(&log, &room(1), "synced");
    keep(&mut log, std::slice::from_ref(&first));
    let path = log.store.index.lock().segments.in_order()[0]
        .1
        .name
        .log(dir.path());
    drop(log);
    // What a crash leaves of a batch that was not synced.
    let mut bytes = std::fs::read(&path).unwrap();
    let record = bytes[super::super::directory::FILE_HEADER..].to_vec();
    bytes.extend_from_slice(&record[..record.len() - 3]);
    std::fs::write(&path, bytes).unwrap();

    let log = open(dir.path(), &Rules::default());
    assert_eq!(log.store.last_position(&room(1)), Some(first.position()));
    assert_eq!(read_all(&log, &room(1)), [first]);
}
