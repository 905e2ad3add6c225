//! Files that were damaged: there is always a start, what is read is right, and only channels that lost
//! something begin a new epoch.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::disk::record::Note;

const ROUNDS: u64 = 500;
const ROOMS: usize = 12;

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    files
}

/// Flips a bit, cuts the tail or writes zeros, anywhere.
fn damage(dir: &Path, random: &mut StdRng) -> String {
    let files = files(dir);
    let total: usize = files.iter().map(|file| fs::read(file).unwrap().len()).sum();
    let mut at = random.random_range(0..total);
    for file in &files {
        let mut bytes = fs::read(file).unwrap();
        if at >= bytes.len() {
            at -= bytes.len();
            continue;
        }
        let what = match random.random_range(0..3) {
            0 => {
                bytes[at] ^= 1 << random.random_range(0..8);
                "a bit flipped"
            }
            1 => {
                bytes.truncate(at);
                "cut"
            }
            _ => {
                let end = bytes.len().min(at + random.random_range(1..6000));
                bytes[at..end].fill(0);
                "zeroed"
            }
        };
        fs::write(file, bytes).unwrap();
        return format!("{} {what} at {at}", file.display());
    }
    unreachable!("the place lies in one of the files")
}

struct Before {
    kept: BTreeMap<usize, Vec<Arc<Publication>>>,
    last: BTreeMap<usize, Option<Position>>,
}

/// Several files of batches, some of an earlier run, some rewritten.
fn fill(dir: &Path, clean: bool) -> Before {
    let mut publisher = Publisher::new();
    let mut log = open(dir, &Rules::default());
    for round in 0..60 {
        if round == 30 {
            log.close();
            drop(log);
            log = open(dir, &Rules::default());
        }
        if round == 40 {
            // Files of which little is of use any more.
            for number in 0..8 {
                let (target, span) = (room(number), Span::ALL);
                log.append(&[Record::Note(Note::Deletion { target, span })]);
            }
            let before = log.store.index.lock().segments.in_order().len();
            log.store.compact().unwrap();
            let after = log.store.index.lock().segments.in_order().len();
            assert!(after < before, "{after} of {before} files");
        }
        let mut last: BTreeMap<usize, Option<Position>> = BTreeMap::new();
        let batch: Vec<_> = (0..20)
            .map(|n| {
                // One room falls silent early.
                let number = if round > 5 {
                    (n * 7 + round) % (ROOMS - 1)
                } else {
                    n % ROOMS
                };
                let before = last
                    .entry(number)
                    .or_insert_with(|| log.store.last_position(&room(number)));
                let text = format!("{round}.{n} ").repeat(1 + (n * round) % 40);
                let draft = Draft::new(room(number), Payload::text(text));
                let publication = publisher.place_after(*before, draft);
                *before = Some(publication.position());
                publication
            })
            .collect();
        keep(&mut log, &batch);
    }
    let kept = (0..ROOMS).map(|n| (n, read_all(&log, &room(n)))).collect();
    let last = (0..ROOMS)
        .map(|n| (n, log.store.last_position(&room(n))))
        .collect();
    if clean {
        log.close();
    }
    Before { kept, last }
}

/// Opens what is left, and returns the rooms that lost something.
fn check(dir: &Path, before: &Before, what: &str) -> BTreeSet<usize> {
    let log = open(dir, &Rules::default());
    let mut lost = BTreeSet::new();
    for number in 0..ROOMS {
        let all = &before.kept[&number];
        let read = read_all(&log, &room(number));
        let mut rest = all.iter();
        for publication in &read {
            assert!(
                rest.any(|kept| kept == publication),
                "{what}: it was never published"
            );
        }
        let last = log.store.last_position(&room(number));
        if read.len() == all.len() {
            assert_eq!(last, before.last[&number], "{what}: room {number} is whole");
        } else {
            assert_eq!(last, None, "{what}: room {number} lost something");
            lost.insert(number);
        }
    }
    lost
}

fn rounds(seed: u64, clean: bool) {
    let original = tempfile::tempdir().unwrap();
    let before = fill(original.path(), clean);
    let mut random = StdRng::seed_from_u64(seed);
    let mut losses = 0;
    for _ in 0..ROUNDS / 2 {
        let copy = tempfile::tempdir().unwrap();
        for file in files(original.path()) {
            fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
        }
        let what = damage(copy.path(), &mut random);
        let lost = check(copy.path(), &before, &what);
        losses += usize::from(!lost.is_empty());
        // The second start finds the same, and so does one after the room was used again.
        assert_eq!(check(copy.path(), &before, &what), lost, "{what}: again");
        let mut log = open(copy.path(), &Rules::default());
        let mut publisher = Publisher::new();
        publisher.timetoken = log.store.last_timetoken().0;
        for number in &lost {
            let publication = publisher.text(&log, &room(*number), "new");
            let epoch = before.last[number].unwrap().epoch;
            assert_ne!(publication.position().epoch, epoch, "{what}: a new epoch");
            keep(&mut log, std::slice::from_ref(&publication));
            drop(log);
            log = open(copy.path(), &Rules::default());
            let last = log.store.last_position(&room(*number));
            assert_eq!(
                last,
                Some(publication.position()),
                "{what}: the new epoch stays"
            );
        }
    }
    // Else the test would show nothing.
    assert!(losses > 20, "only {losses} rounds hit publications");
}

#[test]
fn damage_after_a_stop_hits_only_what_it_hits() {
    rounds(1, true);
}

#[test]
fn damage_after_a_crash_hits_only_what_it_hits() {
    rounds(2, false);
}

#[test]
fn damage_that_is_found_late_is_not_read_and_ends_the_epoch_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), &Rules::default());
    let mut publisher = Publisher::new();
    let mut kept = Vec::new();
    for n in 0..5 {
        kept.push(publisher.text(&log, &room(1), format!("number {n}")));
        keep(&mut log, &kept[n..]);
    }
    let path = log.store.index.lock().segments.in_order()[0]
        .1
        .name
        .log(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|w| w == b"number 2").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();

    let page = log
        .store
        .read(&room(1), &Query::new(Span::ALL, 10))
        .unwrap();
    let first: Vec<_> = page.entries.iter().map(|e| e.publication.clone()).collect();
    assert_eq!(
        (first.as_slice(), page.more),
        (&kept[..2], true),
        "no page jumps over it"
    );
    assert_eq!(read_all(&log, &room(1)).len(), 4);
    assert_eq!(log.store.last_position(&room(1)), Some(kept[4].position()));
    let found = std::mem::take(&mut *log.store.found.lock());
    let found: Vec<_> = found.into_iter().map(Record::Note).collect();
    log.append(&found);
    drop(log);
    // It was written down: also a start that does not look at the file knows.
    let mut settings = settings(dir.path());
    settings.bounds.verify_bytes = 0;
    let log = recovery::open(&settings, Rules::default(), Box::new(Files)).unwrap();
    assert_eq!(log.store.last_position(&room(1)), None);
    assert_eq!(log.store.count(&room(1), Span::ALL), 4);
}

#[test]
fn a_log_that_is_missing_ends_the_epochs_of_its_channels() {
    for clean in [true, false] {
        let original = tempfile::tempdir().unwrap();
        let before = fill(original.path(), clean);
        let logs: Vec<_> = files(original.path())
            .into_iter()
            .filter(|file| file.extension().is_some_and(|extension| extension == "log"))
            .collect();
        assert!(logs.len() > 1, "{logs:?}");
        for log in &logs {
            let copy = tempfile::tempdir().unwrap();
            for file in files(original.path()) {
                if file != *log {
                    fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
                }
            }
            let what = format!("{} is missing", log.display());
            let newest = Some(log) == logs.last();
            let lost = if newest && !clean {
                // What was written last may not be in the list: numbers must not be given twice.
                let log = open(copy.path(), &Rules::default());
                let lasts = (0..ROOMS).filter_map(|n| log.store.last_position(&room(n)));
                assert_eq!(lasts.count(), 0, "{what}");
                continue;
            } else {
                check(copy.path(), &before, &what)
            };
            assert_eq!(check(copy.path(), &before, &what), lost, "{what}: again");
            let held = fs::metadata(log).unwrap().len() > 1000;
            assert_eq!(!lost.is_empty(), held, "{what}");
        }
    }
}

#[test]
fn a_list_of_a_file_that_was_begun_in_vain_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let before = fill(dir.path(), true);
    let salt = open(dir.path(), &Rules::default()).store.directory.salt;
    let header = crate::disk::directory::file_header(salt);
    fs::write(dir.path().join("0000009000-0000009000-0.list"), header).unwrap();
    // A rewriting that ended before its log had its name.
    let all = "0000000001-0000009000-9.list";
    let some = files(dir.path()).into_iter().find(|file| {
        file.extension()
            .is_some_and(|extension| extension == "list")
    });
    fs::copy(some.unwrap(), dir.path().join(all)).unwrap();
    assert!(check(dir.path(), &before, "lists without logs").is_empty());
    assert!(!dir.path().join(all).exists());
}
