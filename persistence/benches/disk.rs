//! History on disk: reading a page, and starting.

use std::{hint::black_box, sync::Arc, time::Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use polywire_core::{
    Channel, Draft, Epoch, Payload, PersistencePolicy, Position, Publication, Query, Rules, Seq,
    Span, Target, Timetoken,
};
use polywire_persistence::{DiskHistory, DiskSettings};
use tokio::runtime::Runtime;

fn publication(target: &Target, number: u64, payload: &str) -> Arc<Publication> {
    let draft = Draft::new(target.clone(), Payload::text(payload));
    Arc::new(draft.at(Position {
        epoch: Epoch(1),
        seq: Seq(number),
        timetoken: Timetoken(17_000_000_000_000_000 + number),
    }))
}

fn room(number: u64) -> Target {
    Channel::new(&format!("room-{number}"))
        .expect("not empty")
        .into()
}

fn open(dir: &std::path::Path) -> DiskHistory {
    DiskHistory::open(DiskSettings::new(dir), Rules::default()).expect("the directory is new")
}

/// Publishes `count` publications of 200 bytes to `rooms` channels in turn.
fn fill(runtime: &Runtime, disk: &DiskHistory, count: u64, rooms: u64) {
    let payload = "x".repeat(200);
    let rooms: Vec<_> = (0..rooms).map(room).collect();
    let mut next = 0;
    while next < count {
        let batch: Vec<_> = (next..count.min(next + 4096))
            .map(|n| publication(&rooms[(n % rooms.len() as u64) as usize], n + 1, &payload))
            .collect();
        next += batch.len() as u64;
        let kept = runtime.block_on(disk.persist_all(&batch));
        assert!(kept.iter().all(Result::is_ok));
    }
}

fn pages(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let disk = open(dir.path());
    fill(&runtime, &disk, 1_000_000, 1);
    let history = disk.history().expect("it can be read");
    let target = room(0);
    let middle = Timetoken(17_000_000_000_500_000);
    for (name, query) in [
        ("last", Query::last(100)),
        ("from the middle", Query::new(Span::after(middle), 100)),
    ] {
        c.bench_function(&format!("a page of 100 of a million, {name}"), |b| {
            b.iter(|| {
                let page = runtime.block_on(history.read(&target, &query));
                let page = page.expect("it can be read");
                assert_eq!(page.entries.len(), 100);
                black_box(page)
            });
        });
    }
    runtime.block_on(disk.stop());
}

fn start(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let disk = open(dir.path());
    // About 290 bytes each.
    fill(&runtime, &disk, 3_700_000, 100);
    // As a crash leaves it.
    std::mem::forget(disk);
    let copy = tempfile::tempdir().expect("a directory");
    let mut bytes = 0;
    for file in std::fs::read_dir(dir.path()).expect("it is there") {
        let file = file.expect("it can be listed");
        bytes += std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("room");
    }
    println!("{} MB with the lists", bytes >> 20);
    let mut group = c.benchmark_group("starting");
    group.sample_size(10);
    group.bench_function("1 GB of log, 100 channels", |b| {
        b.iter_custom(|times| {
            let mut total = std::time::Duration::ZERO;
            for _ in 0..times {
                let begin = Instant::now();
                let disk = open(copy.path());
                total += begin.elapsed();
                runtime.block_on(disk.stop());
            }
            total
        });
    });
    group.finish();
}

criterion_group!(benches, pages, start);
criterion_main!(benches);
