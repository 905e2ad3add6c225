//! One publication to many subscribers of one channel: hub, encoder, framing, and the real outboxes.
//!
//! `enqueue` is what a publisher waits for: a place in the channel, one encoding, and a shared frame in
//! every outbox. `deliver` is that and the flush: one vectored write for each subscriber after sixteen
//! publications, to a socket that loses everything. What TCP costs is not in it.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};

use crate::support::{Node, channel, draft, timed};

/// Publications that come together, as from a publisher with a window of sixteen.
const BATCH: u64 = 16;

fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    for subscribers in [1usize, 1_000, 100_000] {
        let node = Node::new();
        let (room, socket) = (channel("room"), node.null_socket());
        node.subscribe(&room, &socket, subscribers);
        let draft = draft(&room);
        let batch = || (0..BATCH).for_each(|_| node.publish(draft.clone()));
        group.throughput(Throughput::Elements(BATCH * subscribers as u64));
        if subscribers > 1_000 {
            group.sample_size(10);
        }
        group.bench_function(BenchmarkId::new("enqueue", subscribers), |bencher| {
            bencher.iter_custom(|times| timed(times, batch, || node.flush()));
        });
        group.bench_function(BenchmarkId::new("deliver", subscribers), |bencher| {
            bencher.iter(|| {
                batch();
                node.flush();
            });
        });
    }
    group.finish();
}

/// Publications on a channel that nobody on this node wants.
fn unseen(criterion: &mut Criterion) {
    let node = Node::new();
    let draft = draft(&channel("nobody"));
    criterion.bench_function("publish/unseen", |bencher| {
        bencher.iter(|| node.publish(draft.clone()));
    });
}

criterion_group! {
    name = benches;
    config = crate::support::short();
    targets = publish, unseen
}
