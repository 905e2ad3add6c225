//! Retention: what is kept, and that space comes back.

use std::time::Duration;

use polywire_core::{Retention, Rule};

use super::*;
use crate::disk::record::Note;

const HOUR: u64 = 36_000_000_000;

fn bytes_on_disk(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

/// Publishes `count` texts of a kilobyte, ten in a batch.
fn fill(log: &mut Log, publisher: &mut Publisher, target: &Target, count: usize) {
    for _ in 0..count / 10 {
        let mut last = log.store.last_position(target);
        let batch: Vec<_> = (0..10)
            .map(|_| {
                let draft = Draft::new(target.clone(), Payload::text("x".repeat(1000)));
                let publication = publisher.place_after(last, draft);
                last = Some(publication.position());
                publication
            })
            .collect();
        keep(log, &batch);
    }
}

#[test]
fn space_comes_back_and_positions_stay() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules::all(Rule {
        entries_max: Some(100),
        ..Rule::default()
    });
    let mut log = open(dir.path(), &rules);
    let mut publisher = Publisher::new();
    // A room that is written once, and deleted: only its position is left.
    let idle = publisher.text(&log, &room(0), "once");
    keep(&mut log, std::slice::from_ref(&idle));
    let span = Span::ALL;
    let target = room(0);
    log.append(&[Record::Note(Note::Deletion { target, span })]);
    fill(&mut log, &mut publisher, &room(1), 2000);
    let before = bytes_on_disk(dir.path());
    assert!(before > 2 << 20, "{before}");
    log.store.compact().unwrap();
    let after = bytes_on_disk(dir.path());
    assert!(after < 400 << 10, "{after} bytes are left of {before}");
    let read = read_all(&log, &room(1));
    assert_eq!(read.len(), 100);
    for crashed in [true, false, true] {
        let last = log.store.last_position(&room(1));
        if !crashed {
            log.close();
        }
        drop(log);
        log = open(dir.path(), &rules);
        assert_eq!(log.store.last_position(&room(0)), Some(idle.position()));
        assert_eq!(read_all(&log, &room(0)), []);
        assert_eq!(log.store.last_position(&room(1)), last);
        assert_eq!(read_all(&log, &room(1)), read);
        log.store.compact().unwrap();
    }
}

#[test]
fn what_was_deleted_stays_deleted_when_the_deletion_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), &Rules::default());
    let mut publisher = Publisher::new();
    let deleted = publisher.text(&log, &room(0), "deleted");
    keep(&mut log, std::slice::from_ref(&deleted));
    // A file that is of use, and behind it one that has little but the deletion.
    fill(&mut log, &mut publisher, &room(1), 60);
    let (target, span) = (room(2), Span::ALL);
    fill(&mut log, &mut publisher, &target, 40);
    for target in [room(0), target] {
        log.append(&[Record::Note(Note::Deletion { target, span })]);
    }
    fill(&mut log, &mut publisher, &room(1), 100);
    let files = || log.store.index.lock().segments.in_order();
    let before: Vec<_> = files().into_iter().map(|(_, file)| file.name).collect();
    log.store.compact().unwrap();
    let after: Vec<_> = files().into_iter().map(|(_, file)| file.name).collect();
    assert_eq!(before[0], after[0], "the first one is not rewritten");
    assert_ne!(before[1], after[1], "the second one is");
    drop(log);
    let log = open(dir.path(), &Rules::default());
    assert_eq!(read_all(&log, &room(0)), []);
    assert_eq!(log.store.last_position(&room(0)), Some(deleted.position()));
}

#[test]
fn many_starts_leave_few_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    let mut publisher = Publisher::new();
    for _ in 0..40 {
        let mut log = open(dir.path(), &Rules::default());
        kept.push(publisher.text(&log, &room(1), "again"));
        keep(&mut log, &kept[kept.len() - 1..]);
        log.store.compact().unwrap();
    }
    let log = open(dir.path(), &Rules::default());
    let files = log.store.index.lock().segments.in_order().len();
    assert!(files < 12, "{files} files");
    assert_eq!(read_all(&log, &room(1)), kept);
}

#[test]
fn bytes_and_age_are_limits_too() {
    let dir = tempfile::tempdir().unwrap();
    let by_bytes = Rules::all(Rule {
        bytes_max: Some(25_000),
        ..Rule::default()
    });
    let mut log = open(dir.path(), &by_bytes);
    let mut publisher = Publisher::new();
    publisher.timetoken -= 2 * HOUR;
    fill(&mut log, &mut publisher, &room(1), 100);
    assert_eq!(read_all(&log, &room(1)).len(), 25);
    publisher.timetoken += 2 * HOUR;
    fill(&mut log, &mut publisher, &room(1), 10);
    assert_eq!(read_all(&log, &room(1)).len(), 25);
    drop(log);

    let by_age = Rules::all(Rule {
        age_max: Some(Duration::from_secs(3600)),
        ..Rule::default()
    });
    let log = open(dir.path(), &by_age);
    assert_eq!(read_all(&log, &room(1)).len(), 10);
}

#[test]
fn a_time_to_live_ends_on_disk_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), &Rules::default());
    let mut publisher = Publisher::new();
    publisher.timetoken -= HOUR;
    let mut expected = Vec::new();
    for n in 0..100 {
        let seconds = if n % 4 == 0 { 7200 } else { 60 };
        let draft = Draft::new(room(1), Payload::text("x".repeat(3000))).retention(Retention {
            store: true,
            ttl: Some(Duration::from_secs(seconds)),
        });
        let publication = publisher.place(&log, &room(1), draft);
        keep(&mut log, std::slice::from_ref(&publication));
        expected.extend((seconds == 7200).then_some(publication));
    }
    assert_eq!(read_all(&log, &room(1)), expected);
    assert_eq!(log.store.count(&room(1), Span::ALL), 25);
    let before = bytes_on_disk(dir.path());
    log.store.sweep();
    log.store.compact().unwrap();
    let after = bytes_on_disk(dir.path());
    assert!(after < before / 2, "{after} bytes are left of {before}");
    assert_eq!(read_all(&log, &room(1)), expected);
    drop(log);
    let log = open(dir.path(), &Rules::default());
    assert_eq!(read_all(&log, &room(1)), expected);
}

#[test]
fn the_index_keeps_to_its_budget_at_the_cost_of_the_largest() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    settings.bounds.index_bytes_max = 1 << 20;
    let open = || recovery::open(&settings, Rules::default(), Box::new(Files)).unwrap();
    let mut log = open();
    let mut publisher = Publisher::new();
    let small = publisher.text(&log, &room(0), "kept");
    keep(&mut log, std::slice::from_ref(&small));
    for _ in 0..20 {
        let mut last = log.store.last_position(&room(1));
        let batch: Vec<_> = (0..3000)
            .map(|_| {
                let draft = Draft::new(room(1), Payload::text(""));
                let publication = publisher.place_after(last, draft);
                last = Some(publication.position());
                publication
            })
            .collect();
        keep(&mut log, &batch);
    }
    let count = log.store.count(&room(1), Span::ALL);
    assert!(
        (10_000..36_000).contains(&count),
        "{count} are left of 60000"
    );
    assert_eq!(read_all(&log, &room(0)), [small]);
    let last = log.store.last_position(&room(1));
    drop(log);
    assert_eq!(open().store.last_position(&room(1)), last);
}

#[test]
fn a_clock_that_is_set_changes_no_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), &Rules::default());
    // The last run had a clock that was an hour ahead; this one goes on from there.
    let mut ahead = Publisher::new();
    ahead.timetoken += HOUR;
    let first = ahead.text(&log, &room(1), "from the future");
    keep(&mut log, std::slice::from_ref(&first));
    drop(log);
    let mut log = open(dir.path(), &Rules::default());
    let clock = polywire_core::Clock::default();
    clock.observe(log.store.last_timetoken());
    let mut publisher = Publisher {
        timetoken: clock.tick().0,
    };
    let second = publisher.text(&log, &room(1), "now");
    keep(&mut log, std::slice::from_ref(&second));
    assert!(second.position().timetoken > first.position().timetoken);
    assert_eq!(read_all(&log, &room(1)), [first, second]);
}
