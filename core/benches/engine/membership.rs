//! Subscribe and unsubscribe churn in the hub.

use criterion::{Criterion, criterion_group};
use polywire_core::{Interest, Pattern};

use crate::support::{Node, channel};

fn churn(criterion: &mut Criterion) {
    let node = Node::new();
    let socket = node.null_socket();
    let receiver = node.receiver(&socket);
    let mut group = criterion.benchmark_group("join and leave");
    // The topic is made and forgotten each time.
    group.bench_function("empty channel", |bencher| {
        let interest = Interest::Channel(channel("alone"));
        bencher.iter(|| {
            let number = node.hub.join(&interest, receiver.clone());
            node.hub.leave(&interest, number)
        });
    });
    group.bench_function("channel of 100000", |bencher| {
        let room = channel("room");
        node.subscribe(&room, &socket, 100_000);
        let interest = Interest::Channel(room);
        bencher.iter(|| {
            let number = node.hub.join(&interest, receiver.clone());
            node.hub.leave(&interest, number)
        });
    });
    // The oldest leaves and a new one comes, as when clients come and go.
    group.bench_function("oldest of 1000", |bencher| {
        let interest = Interest::Channel(channel("queue"));
        let mut numbers: std::collections::VecDeque<_> = (0..1_000)
            .map(|_| node.hub.join(&interest, receiver.clone()))
            .collect();
        bencher.iter(|| {
            numbers.push_back(node.hub.join(&interest, receiver.clone()));
            let oldest = numbers.pop_front().unwrap();
            node.hub.leave(&interest, oldest)
        });
    });
    group.bench_function("pattern", |bencher| {
        let interest = Interest::Pattern(Pattern::mqtt("building/+/room/#").unwrap());
        bencher.iter(|| {
            let number = node.hub.join(&interest, receiver.clone());
            node.hub.leave(&interest, number)
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = crate::support::short();
    targets = churn
}
