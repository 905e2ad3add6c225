//! What keeping a publication in memory costs its publisher, and what reading a page costs, where the bound is reached.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that panics has failed, as it should"
)]

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use polywire_core::{
    Channel, Clock, Draft, Epoch, Payload, PersistencePolicy, Position, Publication, Query, Rules,
    Seq, Target,
};
use polywire_persistence::MemoryHistory;
use tokio::runtime::Runtime;

const BYTES_MAX: usize = 128 << 20;
const BATCH: usize = 10_000;

/// Publications of `len` bytes on channels in turn, as publishers make them: each with a target and a payload of its own.
fn publications(clock: &Clock, channels: usize, len: usize) -> Vec<Arc<Publication>> {
    (0..BATCH)
        .map(|n| {
            let target: Target = Channel::new(&format!("room/{}", n % channels))
                .unwrap()
                .into();
            let draft = Draft::new(target, Payload::text(format!("{n:0len$}")));
            let position = Position {
                epoch: Epoch(1),
                seq: Seq(1 + n as u64),
                timetoken: clock.tick(),
            };
            Arc::new(draft.at(position))
        })
        .collect()
}

fn keep(policy: &MemoryHistory, publications: Vec<Arc<Publication>>) {
    for publication in publications {
        policy.persist_now(&publication).unwrap();
    }
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("memory");
    for (channels, len) in [(1, 50), (1, 128), (1, 10_240), (10_000, 128)] {
        let clock = Clock::default();
        let policy = MemoryHistory::new(Rules::default(), BYTES_MAX);
        // As often as it takes to reach the bound.
        while policy.bytes() < BYTES_MAX * 9 / 10 {
            keep(&policy, publications(&clock, channels, len));
        }
        keep(&policy, publications(&clock, channels, len));
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(format!("{channels} channels, {len} bytes"), |b| {
            b.iter_batched(
                || publications(&clock, channels, len),
                |all| keep(&policy, all),
                criterion::BatchSize::PerIteration,
            );
        });
        if channels > 1 {
            continue;
        }
        let runtime = Runtime::new().unwrap();
        let room: Target = Channel::new("room/0").unwrap().into();
        group.throughput(Throughput::Elements(100));
        group.bench_function(format!("a page of 100 of {len} bytes"), |b| {
            b.iter(|| {
                let history = policy.history().unwrap();
                black_box(
                    runtime
                        .block_on(history.read(&room, &Query::last(100)))
                        .unwrap(),
                )
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
