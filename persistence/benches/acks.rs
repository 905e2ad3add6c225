//! Synced acknowledgements a second, against what the same batches cost in bare writes and syncs.
//!
//! ```text
//! taskset -c 0 cargo bench -p polywire-persistence --bench acks
//! ```

use std::{
    fs::File,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use polywire_core::{
    Channel, Clock, Draft, Epoch, Payload, PersistResult, PersistencePolicy, Position, Publication,
    Rules, Seq, Target,
};
use polywire_persistence::{DiskHistory, DiskSettings};
use tokio::sync::{mpsc, oneshot};

const PUBLISHERS: usize = 100;
/// How long a slice takes. A shared disk changes its speed from one second to the next, so slices of both sorts
/// take turns.
const SLICE: Duration = Duration::from_millis(300);
const SLICES: usize = 15;
const PAYLOAD: usize = 200;
/// What a record has besides its payload and the name.
const OVERHEAD: usize = 70;

type Entry = (Arc<Publication>, oneshot::Sender<PersistResult>);

/// Each publisher has `window` publications under way on a channel of its own. Returns how long each waited,
/// and how large the batches were.
async fn publish(disk: &DiskHistory, clock: &Clock, window: usize) -> (Vec<Duration>, Vec<usize>) {
    let (line, mut entries) = mpsc::unbounded_channel::<Entry>();
    let end = Instant::now() + SLICE;
    let publishers = (0..PUBLISHERS).map(|number| {
        let line = line.clone();
        async move {
            let channel = Channel::new(&format!("room-{number}")).expect("not empty");
            let (target, payload) = (Target::from(channel), "x".repeat(PAYLOAD));
            let epoch = Epoch(clock.tick().0);
            let (mut waits, mut seq) = (Vec::new(), 0);
            let mut under_way = std::collections::VecDeque::new();
            while Instant::now() < end {
                while under_way.len() < window {
                    seq += 1;
                    let draft = Draft::new(target.clone(), Payload::text(payload.clone()));
                    let publication = draft.at(Position {
                        epoch,
                        seq: Seq(seq),
                        timetoken: clock.tick(),
                    });
                    let (answer, told) = oneshot::channel();
                    let begin = Instant::now();
                    line.send((Arc::new(publication), answer))
                        .expect("it is served");
                    under_way.push_back((begin, told));
                }
                if let Some((begin, told)) = under_way.pop_front() {
                    told.await.expect("an answer").expect("it is kept");
                    waits.push(begin.elapsed());
                }
            }
            waits
        }
    });
    let publishers = futures_util::future::join_all(publishers);
    drop(line);
    let serve = async {
        let (mut batch, mut sizes) = (Vec::new(), Vec::new());
        while entries.recv_many(&mut batch, 4096).await > 0 {
            let publications: Vec<_> = batch.iter().map(|(p, _)| p.clone()).collect();
            sizes.push(publications.len());
            let kept = disk.persist_all(&publications).await;
            for ((_, answer), kept) in batch.drain(..).zip(kept) {
                // A publisher that is done does not wait.
                let _ = answer.send(kept);
            }
        }
        sizes
    };
    let (waits, sizes) = tokio::join!(publishers, serve);
    (waits.into_iter().flatten().collect(), sizes)
}

/// Writes and syncs batches of these sizes, and nothing else.
fn bare(dir: &std::path::Path, sizes: &[usize]) -> Duration {
    let mut file = File::create(dir.join("bare")).expect("room");
    let begin = Instant::now();
    for size in sizes {
        let bytes = vec![b'x'; size * (PAYLOAD + OVERHEAD + 8)];
        file.write_all(&bytes).expect("room");
        file.sync_data().expect("it syncs");
    }
    begin.elapsed()
}

fn main() {
    // Criterion's flags, as `cargo test --benches` and `cargo bench` give them, mean nothing here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for window in [1, 4, 10] {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = DiskSettings::new(dir.path().join("data"));
        let disk = DiskHistory::open(settings, Rules::default()).expect("the directory is new");
        let (clock, mut waits, mut rates, mut ratios) = (Clock::default(), vec![], vec![], vec![]);
        let mut batch = 0;
        for _ in 0..SLICES {
            let begin = Instant::now();
            let (more, sizes) = runtime.block_on(publish(&disk, &clock, window));
            let took = begin.elapsed().as_secs_f64();
            let alone = bare(dir.path(), &sizes).as_secs_f64();
            batch = more.len() / sizes.len().max(1);
            rates.push(more.len() as f64 / took);
            ratios.push(alone / took);
            waits.extend(more);
        }
        waits.sort_unstable();
        rates.sort_by(f64::total_cmp);
        ratios.sort_by(f64::total_cmp);
        let at = |part: usize| waits[(waits.len() - 1) * part / 1000].as_secs_f64() * 1e3;
        println!(
            "{PUBLISHERS} publishers, {window} under way each, batches of {batch}: {:.0} acks/s ({:.0} to {:.0}), \
             p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms; {:.2} of what the same batches make bare",
            rates[SLICES / 2],
            rates[0],
            rates[SLICES - 1],
            at(500),
            at(990),
            at(999),
            ratios[SLICES / 2],
        );
        runtime.block_on(disk.stop());
    }
}
