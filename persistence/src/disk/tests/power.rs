//! Power that fails: of what was not synced any part may be on disk, in any order.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
};

use parking_lot::Mutex;
use polywire_core::Rule;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::disk::output::{Medium, Output};

const SECTOR: usize = 512;
const ROUNDS: u64 = 100;
/// Publications that each room keeps.
const KEPT: usize = 60;

/// What each file held when it was last synced, and how far it was written since.
#[derive(Debug, Default)]
struct Unsynced {
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// Nothing is synced any more.
    failing: bool,
}

#[derive(Debug, Clone, Default)]
struct Power(Arc<Mutex<Unsynced>>);

#[derive(Debug)]
struct PoweredFile {
    path: PathBuf,
    inner: Box<dyn Output>,
    power: Power,
}

impl Medium for Power {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        Ok(Box::new(PoweredFile {
            path: path.to_owned(),
            inner: Files.open(path)?,
            power: self.clone(),
        }))
    }
}

impl Output for PoweredFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let files = &mut self.power.0.lock().files;
        if !files.contains_key(&self.path) {
            files.insert(self.path.clone(), fs::read(&self.path)?);
        }
        self.inner.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let mut unsynced = self.power.0.lock();
        if unsynced.failing {
            return Err(io::Error::other("the power fails"));
        }
        unsynced.files.remove(&self.path);
        self.inner.sync()
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        if self.power.0.lock().failing {
            return Err(io::Error::other("the power fails"));
        }
        self.inner.cut(len)
    }

    fn is_there(&self) -> io::Result<bool> {
        self.inner.is_there()
    }
}

impl Power {
    /// Leaves of what was not synced any sectors, and zeros for others.
    fn fail(&self, random: &mut StdRng) {
        for (path, old) in std::mem::take(&mut self.0.lock().files) {
            // It may have got its name since; files that were begun in vain were taken away.
            let path = if path.exists() {
                path
            } else {
                path.with_extension("")
            };
            let Ok(new) = fs::read(&path) else {
                continue;
            };
            let len = random.random_range(old.len().min(new.len())..=new.len());
            let mut bytes = new[..len].to_vec();
            // Often all of it is lost, or nothing.
            let lost = [0.0, 0.3, 1.0][random.random_range(0..3)];
            for start in (0..len).step_by(SECTOR) {
                if !random.random_bool(lost) {
                    continue;
                }
                let sector = bytes.iter_mut().enumerate().skip(start).take(SECTOR);
                for (at, byte) in sector {
                    *byte = old.get(at).copied().unwrap_or(0);
                }
            }
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(len as u64).unwrap();
            file.write_all_at(&bytes, 0).unwrap();
        }
    }
}

#[test]
fn nothing_acknowledged_is_missing_after_the_power_failed() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules::all(Rule {
        entries_max: Some(KEPT),
        ..Rule::default()
    });
    let mut random = StdRng::seed_from_u64(3);
    let mut publisher = Publisher::new();
    let mut acknowledged: BTreeMap<usize, Vec<Arc<Publication>>> = BTreeMap::new();
    let (mut epochs, mut compactions) = (BTreeMap::new(), 0);
    for round in 0..ROUNDS {
        let power = Power::default();
        let medium = Box::new(power.clone());
        let mut log = recovery::open(&settings(dir.path()), rules.clone(), medium).unwrap();
        let batches = random.random_range(1..12);
        for batch in 0..=batches {
            power.0.lock().failing = batch == batches;
            let mut last: BTreeMap<usize, Option<Position>> = BTreeMap::new();
            let batch: Vec<_> = (0..random.random_range(1..30))
                .map(|_| {
                    let number = random.random_range(0..6);
                    let before = last
                        .entry(number)
                        .or_insert_with(|| log.store.last_position(&room(number)));
                    let text = "x".repeat(random.random_range(0..900));
                    let draft = Draft::new(room(number), Payload::text(text));
                    let publication = publisher.place_after(*before, draft);
                    *before = Some(publication.position());
                    (number, publication)
                })
                .collect();
            let records: Vec<_> = batch
                .iter()
                .map(|(_, publication)| Record::Publication(publication.clone(), false))
                .collect();
            for ((number, publication), done) in batch.into_iter().zip(log.append(&records)) {
                if done.is_ok() {
                    let epoch = publication.position().epoch;
                    assert_eq!(
                        *epochs.entry(number).or_insert(epoch),
                        epoch,
                        "round {round}"
                    );
                    acknowledged.entry(number).or_default().push(publication);
                }
            }
        }
        match round % 20 {
            // The power fails right behind it, or meanwhile.
            9 => {
                let files = || log.store.index.lock().segments.in_order().len();
                let before = files();
                power.0.lock().failing = false;
                log.store.compact().unwrap();
                compactions += usize::from(files() < before);
            }
            19 => {
                // Fails where there is something to do.
                let _ = log.store.compact();
            }
            _ => {}
        }
        drop(log);
        power.fail(&mut random);

        let log = open(dir.path(), &rules);
        for (number, kept) in &mut acknowledged {
            let read = read_all(&log, &room(*number));
            let mut rest = read.iter();
            let last = log.store.last_position(&room(*number)).unwrap();
            // Some of the batch that failed may be there, and have taken the place of the oldest.
            let oldest = last.seq.0.saturating_sub(KEPT as u64);
            let expected = kept.iter().filter(|p| p.position().seq.0 > oldest);
            for publication in expected {
                assert!(
                    rest.any(|read| read == publication),
                    "round {round}: room {number}"
                );
            }
            assert_eq!(
                last.epoch, epochs[number],
                "round {round}: the epoch is kept"
            );
            assert!(last.seq >= kept[kept.len() - 1].position().seq);
            // They count from now on.
            *kept = read;
        }
    }
    assert!(compactions >= 2, "{compactions} compactions");
}
