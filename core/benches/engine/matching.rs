//! One name against 100,000 wildcard patterns.
//!
//! Through the hub, with a subscriber on each pattern whose outbox takes the frame: what is measured is
//! matching, and one delivery for each hit.

use criterion::{BenchmarkId, Criterion, criterion_group};
use polywire_core::{Interest, Pattern};

use crate::support::{Node, channel, draft};

fn matching(criterion: &mut Criterion) {
    let node = Node::new();
    let socket = node.null_socket();
    for building in 0..100 {
        for room in 0..1_000 {
            // Names of the same shape as what is published, with the wildcard in every place.
            let filter = match room % 4 {
                0 => format!("building/{building}/room/{room}/+"),
                1 => format!("building/{building}/+/{room}/light"),
                2 => format!("building/+/room/{building}-{room}/#"),
                _ => format!("building/{building}/room/{room}/#"),
            };
            let pattern = Interest::Pattern(Pattern::mqtt(&filter).unwrap());
            node.hub.join(&pattern, node.receiver(&socket));
        }
    }
    let mut group = criterion.benchmark_group("match/100000 patterns");
    for (hits, name) in [
        ("none", "garden/7/tree/11/apple"),
        ("none, same beginning", "building/7/room/none/light"),
        ("one", "building/7/room/11/light"),
        ("one at the end", "building/7/room/7-2/light/on/since"),
    ] {
        let name = channel(name);
        // A subscriber of the name itself: so its topic stays.
        node.join(&name, &node.receiver(&socket));
        let draft = draft(&name);
        group.bench_function(BenchmarkId::from_parameter(hits), |bencher| {
            bencher.iter(|| {
                node.publish(draft.clone());
                node.flush();
            });
        });
    }
    group.finish();
}

/// The matcher of one pattern alone.
fn one_pattern(criterion: &mut Criterion) {
    let pattern = Pattern::mqtt("building/+/room/#").unwrap();
    criterion.bench_function("match/1 pattern", |bencher| {
        bencher.iter(|| std::hint::black_box(&pattern).matches("building/7/room/11/light"));
    });
}

criterion_group! {
    name = benches;
    config = crate::support::short();
    targets = matching, one_pattern
}
