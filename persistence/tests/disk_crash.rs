//! Kill -9 while much is published: nothing that was acknowledged is missing afterwards.
//!
//! The process that is killed is this test itself, started again with the directory in its environment.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use polywire_core::{
    Channel, Clock, Draft, Durability, Epoch, History, Pattern, Payload, PersistencePolicy,
    Position, Publication, Query, Rule, Rules, Seq, Target,
};
use polywire_persistence::{DiskHistory, DiskSettings};

const DIR: &str = "POLYWIRE_CRASH_TEST_DIR";
const CHANNELS: u64 = 100;
const PER_SECOND: u64 = 20_000;
const ROUNDS: usize = 50;
/// How long a process lives after its first acknowledgement.
const LIFE: Duration = Duration::from_millis(250);

fn room(number: u64) -> Target {
    Channel::new(&format!("room-{number}")).unwrap().into()
}

fn behind() -> Target {
    Channel::new("behind/1").unwrap().into()
}

fn open(dir: &Path) -> DiskHistory {
    let memory = Rule {
        durability: Some(Durability::Memory),
        ..Rule::default()
    };
    let rules = Rules::default().with(Pattern::mqtt("behind/#").unwrap(), memory);
    DiskHistory::open(DiskSettings::new(dir), rules).unwrap()
}

fn text(target: &Target, position: Position) -> String {
    let Position { seq, timetoken, .. } = position;
    format!("{target:?} {} {}", seq.0, timetoken.0)
}

/// Gives places as the hub does.
struct Places {
    clock: Clock,
    last: BTreeMap<Target, Position>,
}

impl Places {
    fn publication(&mut self, target: &Target) -> Arc<Publication> {
        let timetoken = self.clock.tick();
        let last = self.last.entry(target.clone()).or_insert(Position {
            epoch: Epoch(timetoken.0),
            ..Position::default()
        });
        *last = Position {
            seq: Seq(last.seq.0 + 1),
            timetoken,
            ..*last
        };
        let draft = Draft::new(target.clone(), Payload::text(text(target, *last)));
        Arc::new(draft.at(*last))
    }
}

/// Publishes until it is killed, and prints what was acknowledged.
async fn publish_until_killed(dir: &Path) {
    let disk = open(dir);
    let mut places = Places {
        clock: Clock::default(),
        last: BTreeMap::new(),
    };
    let history = disk.history().unwrap();
    places
        .clock
        .observe(history.last_timetoken().await.unwrap());
    for target in (0..CHANNELS).map(room).chain([behind()]) {
        if let Some(last) = history.last_position(&target).await.unwrap() {
            places.last.insert(target, last);
        }
    }
    let (start, mut published) = (Instant::now(), 0);
    let mut out = std::io::stdout().lock();
    loop {
        let due = start.elapsed().as_micros() as u64 * PER_SECOND / 1_000_000;
        let batch: Vec<_> = (published..due)
            .map(|n| places.publication(&room(n % CHANNELS)))
            .collect();
        published = due.max(published);
        if batch.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        let unsynced = places.publication(&behind());
        assert_eq!(disk.persist_now(&unsynced).unwrap(), Durability::Memory);
        let kept = disk.persist_all(&batch).await;
        let mut lines = String::new();
        for (publication, kept) in batch.iter().zip(kept) {
            assert_eq!(kept.unwrap(), Durability::Synced);
            let Position {
                epoch,
                seq,
                timetoken,
            } = publication.position();
            let name = publication.target.channel().unwrap();
            lines += &format!("ack {name} {} {} {}\n", epoch.0, seq.0, timetoken.0);
        }
        out.write_all(lines.as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

/// Starts a process, kills it, and returns what it was told is kept.
fn live_and_die(dir: &Path) -> Vec<(Target, Position)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "nothing_acknowledged_is_missing_after_a_kill",
            "--nocapture",
        ])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut acknowledged, mut killed_at) = (Vec::new(), None);
    // A last line that is not whole was not read by anybody.
    while let Some(Ok(line)) = lines.next() {
        let mut words = line.split(' ');
        if words.next() != Some("ack") {
            continue;
        }
        let target = Channel::new(words.next().unwrap()).unwrap().into();
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        let [epoch, seq, timetoken] = numbers[..] else {
            break;
        };
        let position = Position {
            epoch: Epoch(epoch),
            seq: Seq(seq),
            timetoken: polywire_core::Timetoken(timetoken),
        };
        acknowledged.push((target, position));
        let at = *killed_at.get_or_insert_with(|| Instant::now() + LIFE);
        if Instant::now() >= at {
            // SIGKILL; what it has written to the pipe is read to the end.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}

async fn check(disk: &dyn History, acknowledged: &[(Target, Position)]) {
    let mut by_room: BTreeMap<&Target, Vec<Position>> = BTreeMap::new();
    for (target, position) in acknowledged {
        by_room.entry(target).or_default().push(*position);
    }
    for (target, positions) in by_room {
        let last = disk.last_position(target).await.unwrap().unwrap();
        let latest = positions.last().unwrap();
        assert_eq!(last.epoch, latest.epoch, "{target:?}: the epoch is kept");
        assert!(last.seq >= latest.seq);
        let count = usize::try_from(last.seq.0 - positions[0].seq.0 + 1).unwrap();
        let page = disk.read(target, &Query::last(count)).await.unwrap();
        let mut read = page.entries.iter().rev().map(|entry| &entry.publication);
        for position in positions {
            let found = read.find(|publication| publication.position() == position);
            let found = found.unwrap_or_else(|| panic!("{target:?} {position:?} is missing"));
            assert_eq!(found.payload, Payload::text(text(target, position)));
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_missing_after_a_kill() {
    if let Some(dir) = std::env::var_os(DIR) {
        return publish_until_killed(Path::new(&dir)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut total, mut epochs) = (0, BTreeMap::new());
    for round in 0..ROUNDS {
        let acknowledged = live_and_die(dir.path());
        assert!(
            !acknowledged.is_empty(),
            "round {round}: nothing was published"
        );
        total += acknowledged.len();
        for (target, position) in &acknowledged {
            let epoch = *epochs.entry(target.clone()).or_insert(position.epoch);
            assert_eq!(
                epoch, position.epoch,
                "round {round}: one epoch over all rounds"
            );
        }
        let disk = open(dir.path());
        let history = disk.history().unwrap();
        check(history, &acknowledged).await;
        let unsynced = history.last_position(&behind()).await.unwrap();
        assert_eq!(
            unsynced, None,
            "round {round}: what was not synced begins anew"
        );
        disk.stop().await;
    }
    println!("{total} acknowledged publications in {ROUNDS} rounds");
}
