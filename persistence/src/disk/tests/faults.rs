//! Disks that are full, or fail.

use std::{
    fs, io,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use polywire_core::{Durability, Pattern, PersistenceError, PersistencePolicy, Rule};

use super::*;
use crate::{
    DiskHistory,
    disk::output::{Medium, Output},
};

/// What fails.
const NOTHING: usize = 0;
const FULL: usize = 1;
const SYNC: usize = 2;

/// Lets files fail as a test wants it. A write to a full disk leaves a part behind.
#[derive(Debug, Clone, Default)]
struct Flaky(Arc<AtomicUsize>);

#[derive(Debug)]
struct FlakyFile(Box<dyn Output>, Flaky);

impl Medium for Flaky {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        Ok(Box::new(FlakyFile(Files.open(path)?, self.clone())))
    }
}

impl Flaky {
    fn fails(&self, what: usize) -> bool {
        self.0.load(Ordering::Relaxed) == what
    }
}

impl Output for FlakyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.1.fails(FULL) {
            self.0.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        if self.1.fails(SYNC) {
            return Err(io::Error::other("input/output error"));
        }
        self.0.sync()
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.0.cut(len)
    }

    fn is_there(&self) -> io::Result<bool> {
        self.0.is_there()
    }
}

fn policy(dir: &Path, rules: Rules, flaky: &Flaky) -> DiskHistory {
    let log = recovery::open(&settings(dir), rules, Box::new(flaky.clone())).unwrap();
    DiskHistory::of(log).unwrap()
}

async fn publish(
    disk: &DiskHistory,
    publisher: &mut Publisher,
) -> Result<Arc<Publication>, PersistenceError> {
    let draft = Draft::new(room(1), Payload::text("x".repeat(1000)));
    let publication = publisher.place_after(disk.store.last_position(&room(1)), draft);
    let kept = disk.persist(&publication).await;
    kept.map(|durability| {
        assert_eq!(durability, Durability::Synced);
        publication
    })
}

async fn check(dir: &Path, disk: DiskHistory, kept: &[Arc<Publication>]) {
    let read = disk
        .store
        .read(&room(1), &Query::new(Span::ALL, 1000))
        .unwrap();
    let read: Vec<_> = read.entries.into_iter().map(|e| e.publication).collect();
    assert_eq!(read, kept);
    disk.stop().await;
    let log = open(dir, &Rules::default());
    assert_eq!(read_all(&log, &room(1)), kept);
    let last = kept.last().map(|publication| publication.position());
    assert_eq!(log.store.last_position(&room(1)), last);
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_by_itself() {
    let (dir, flaky) = (tempfile::tempdir().unwrap(), Flaky::default());
    let disk = policy(dir.path(), Rules::default(), &flaky);
    let mut publisher = Publisher::new();
    let mut kept = Vec::new();
    for round in 0..200 {
        // Some failures fall where a new file begins.
        flaky.0.store(
            if round % 3 == 1 { FULL } else { NOTHING },
            Ordering::Relaxed,
        );
        match publish(&disk, &mut publisher).await {
            Ok(publication) => kept.push(publication),
            Err(error) => {
                assert_eq!(round % 3, 1);
                assert!(matches!(error, PersistenceError::Full), "{error}");
            }
        }
    }
    assert_eq!(kept.len(), 133);
    check(dir.path(), disk, &kept).await;
}

#[test]
fn what_was_refused_is_not_there_after_a_crash() {
    let (dir, flaky) = (tempfile::tempdir().unwrap(), Flaky::default());
    let medium = Box::new(flaky.clone());
    let mut log = recovery::open(&settings(dir.path()), Rules::default(), medium).unwrap();
    let mut publisher = Publisher::new();
    let first = publisher.text(&log, &room(1), "kept");
    keep(&mut log, std::slice::from_ref(&first));
    flaky.0.store(FULL, Ordering::Relaxed);
    let refused: Vec<_> = (0..10)
        .map(|_| Record::Publication(publisher.text(&log, &room(1), "refused"), false))
        .collect();
    assert!(log.append(&refused).iter().all(Result::is_err));
    drop(log);
    let log = open(dir.path(), &Rules::default());
    assert_eq!(read_all(&log, &room(1)), [first]);
}

#[tokio::test]
async fn after_a_sync_that_failed_the_log_goes_on_in_a_new_file() {
    let (dir, flaky) = (tempfile::tempdir().unwrap(), Flaky::default());
    let disk = policy(dir.path(), Rules::default(), &flaky);
    let mut publisher = Publisher::new();
    let mut kept = vec![publish(&disk, &mut publisher).await.unwrap()];
    flaky.0.store(SYNC, Ordering::Relaxed);
    for _ in 0..3 {
        let refused = publish(&disk, &mut publisher).await;
        assert!(matches!(refused, Err(PersistenceError::Store(_))));
    }
    flaky.0.store(NOTHING, Ordering::Relaxed);
    kept.push(publish(&disk, &mut publisher).await.unwrap());
    let files = disk.store.index.lock().segments.in_order().len();
    assert!(files >= 2, "{files} files");
    check(dir.path(), disk, &kept).await;
}

#[tokio::test]
async fn what_is_in_memory_is_written_when_the_disk_has_room_again() {
    let (dir, flaky) = (tempfile::tempdir().unwrap(), Flaky::default());
    let rule = Rule {
        durability: Some(Durability::Memory),
        ..Rule::default()
    };
    let disk = policy(dir.path(), Rules::all(rule), &flaky);
    flaky.0.store(FULL, Ordering::Relaxed);
    let mut publisher = Publisher::new();
    let mut kept = Vec::new();
    for _ in 0..5 {
        let draft = Draft::new(room(1), Payload::text("soon"));
        let last = disk.store.last_position(&room(1));
        let publication = publisher.place_after(last, draft);
        assert_eq!(disk.persist_now(&publication).unwrap(), Durability::Memory);
        kept.push(publication);
    }
    flaky.0.store(NOTHING, Ordering::Relaxed);
    check(dir.path(), disk, &kept).await;
}

#[tokio::test]
async fn what_was_acknowledged_from_memory_and_never_written_ends_the_epoch() {
    let (dir, flaky) = (tempfile::tempdir().unwrap(), Flaky::default());
    let rule = Rule {
        durability: Some(Durability::Memory),
        ..Rule::default()
    };
    let disk = policy(dir.path(), Rules::all(rule), &flaky);
    let mut publisher = Publisher::new();
    let draft = || Draft::new(room(1), Payload::text("soon"));
    let first = publisher.place_after(None, draft());
    disk.persist(&first).await.unwrap();
    flaky.0.store(SYNC, Ordering::Relaxed);
    let second = publisher.place_after(Some(first.position()), draft());
    assert_eq!(disk.persist_now(&second).unwrap(), Durability::Memory);
    disk.stop().await;
    let log = open(dir.path(), &Rules::all(rule));
    assert_eq!(read_all(&log, &room(1)), [first]);
    assert_eq!(log.store.last_position(&room(1)), None);
}

/// Mounts a small file system, where the test may do so.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "polywire-test"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(dir)),
            _ => {
                eprintln!("skipped: only root may mount a small file system");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_disk_that_is_really_full() {
    let Some(small) = SmallDisk::mount() else {
        return;
    };
    let (dir, filler) = (small.0.path().join("data"), small.0.path().join("filler"));
    fs::write(&filler, vec![1; 500 << 10]).unwrap();
    let disk = DiskHistory::open(settings(&dir), Rules::default()).unwrap();
    let mut publisher = Publisher::new();
    let mut kept = Vec::new();
    let error = loop {
        match publish(&disk, &mut publisher).await {
            Ok(publication) => kept.push(publication),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, PersistenceError::Full), "{error}");
    assert!(kept.len() > 300, "{} fitted", kept.len());
    let full = refused_start(&small.0.path().join("other"));
    assert!(full.contains("There is no room left on the disk"), "{full}");

    fs::remove_file(filler).unwrap();
    for _ in 0..50 {
        kept.push(publish(&disk, &mut publisher).await.unwrap());
    }
    check(&dir, disk, &kept).await;
}

/// What opening says on a disk without room.
fn refused_start(dir: &Path) -> String {
    // The last bytes too.
    let filler = dir.with_extension("filler");
    let mut bytes = 64 << 10;
    while bytes > 0 {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&filler)
            .unwrap();
        if io::Write::write_all(&mut file, &vec![1; bytes]).is_err() {
            bytes /= 2;
        }
    }
    let error = DiskHistory::open(settings(dir), Rules::default()).unwrap_err();
    let _ = fs::remove_dir_all(dir);
    fs::remove_file(filler).unwrap();
    error.to_string()
}

#[tokio::test]
async fn a_directory_that_is_deleted_is_noticed() {
    let deletions: [fn(&Path); 2] = [
        |dir| fs::remove_dir_all(dir).unwrap(),
        // Only what is written to.
        |dir| {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "log") {
                    fs::remove_file(path).unwrap();
                }
            }
        },
    ];
    for delete in deletions {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("data");
        let quick = Rule {
            durability: Some(Durability::Memory),
            ..Rule::default()
        };
        let rules = Rules::default().with(Pattern::mqtt("room-2").unwrap(), quick);
        let disk = policy(&dir, rules, &Flaky::default());
        let mut publisher = Publisher::new();
        publish(&disk, &mut publisher).await.unwrap();
        delete(&dir);
        for _ in 0..2 {
            let refused = publish(&disk, &mut publisher).await.unwrap_err();
            let said = refused.to_string();
            assert!(said.contains("deleted under the server"), "{said}");
            // Nor does a directory of this name help that somebody makes.
            let _ = fs::create_dir(&dir);
        }
        let draft = Draft::new(room(2), Payload::text("quick"));
        let refused = disk.persist_now(&publisher.place_after(None, draft));
        assert!(
            matches!(refused, Err(PersistenceError::Gone)),
            "{refused:?}"
        );
        disk.stop().await;
        let log = open(&dir, &Rules::default());
        assert_eq!(log.store.last_position(&room(1)), None, "a new epoch");
    }
}
