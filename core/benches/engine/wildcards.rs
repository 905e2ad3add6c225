//! 100,000 wildcard subscriptions: what it takes to publish to those that match.
//!
//! The receivers only count, so that what is measured is a publication's way through the hub: its topic, its place, and
//! finding who wants it. `warm` publishes to one channel again and again, `cold` to each of many for the first time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group};
use polywire_core::{
    Channel, ClientId, ConnectionId, Interest, Pattern,
    delivery::{Fanout, Receiver},
};

use crate::support::{Node, channel, draft};

struct Counter {
    connection: ConnectionId,
    count: Arc<AtomicUsize>,
}

impl Receiver for Counter {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, _: &mut Fanout<'_>) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % below
    }
}

/// Of a set of filters, names of channels that are published to.
type Names = fn(&mut Dice) -> String;

/// Machines in a plant, each with sensors; up to six levels.
fn plant() -> (Vec<String>, Names) {
    let mut dice = Dice(1);
    let filters = (0..100_000).map(|number| {
        let (site, line) = (dice.roll(50), dice.roll(40));
        let (machine, sensor) = (dice.roll(20_000), dice.roll(20));
        match number % 5 {
            0 => format!("site{site}/line{line}/machine{machine}/#"),
            1 => format!("+/+/machine{machine}/+/temperature/raw"),
            2 => format!("+/line{line}/machine{machine}/sensor{sensor}/#"),
            3 => format!("site{site}/line{line}/+/sensor{sensor}/+/raw"),
            _ => format!("site{site}/+/machine{machine}/sensor{sensor}/temperature/+"),
        }
    });
    let names = |dice: &mut Dice| {
        let (site, line) = (dice.roll(50), dice.roll(40));
        let (machine, sensor) = (dice.roll(20_000), dice.roll(20));
        format!("site{site}/line{line}/machine{machine}/sensor{sensor}/temperature/raw")
    };
    (filters.collect(), names)
}

/// Wildcards first: nothing is known before the last level.
fn ends() -> (Vec<String>, Names) {
    let filters = (0..100_000).map(|number| format!("+/+/+/+/+/{number}"));
    let names = |dice: &mut Dice| format!("a/b/c/d/e/{}", dice.roll(100_000));
    (filters.collect(), names)
}

/// Every filter of six levels that six words, `+` and `#` make: each name takes all turns, and 126 of them match.
fn lattice() -> (Vec<String>, Names) {
    let words = ["a", "b", "c", "d", "e", "f", "+"];
    let mut filters = Vec::new();
    let mut beginnings = vec![String::new()];
    for level in 0..6 {
        let ends = |beginning: &String| format!("{beginning}#");
        filters.extend(beginnings.iter().map(ends));
        let end = if level == 5 { "" } else { "/" };
        let longer = |beginning: String| words.map(|word| format!("{beginning}{word}{end}"));
        beginnings = beginnings.into_iter().flat_map(longer).collect();
    }
    beginnings.retain(|filter| filter.contains('+'));
    filters.extend(beginnings);
    let names = |dice: &mut Dice| {
        let word = |_| ["a", "b", "c", "d", "e", "f"][dice.roll(6) as usize];
        (0..6).map(word).collect::<Vec<_>>().join("/")
    };
    (filters, names)
}

fn wildcards(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wildcards");
    for (set, (filters, names)) in [("plant", plant()), ("ends", ends()), ("lattice", lattice())] {
        let node = Node::new();
        let count = Arc::new(AtomicUsize::new(0));
        for filter in &filters {
            let receiver = Arc::new(Counter {
                connection: ConnectionId::next(node.hub.node()),
                count: count.clone(),
            });
            let interest = Interest::Pattern(Pattern::mqtt(filter).unwrap());
            node.hub.join(&interest, receiver);
        }
        let mut dice = Dice(7);
        let warm = draft(&channel(&names(&mut dice)));
        group.bench_function(BenchmarkId::new("warm", set), |bencher| {
            bencher.iter(|| node.publish(warm.clone()));
        });
        let cold: Vec<Channel> = (0..50_000).map(|_| channel(&names(&mut dice))).collect();
        let mut next = cold.iter().cycle();
        let before = count.load(Ordering::Relaxed);
        let mut published = 0;
        group.bench_function(BenchmarkId::new("cold", set), |bencher| {
            bencher.iter_batched(
                || next.next().map(draft).unwrap(),
                |draft| {
                    published += 1;
                    node.publish(draft);
                },
                BatchSize::SmallInput,
            );
        });
        let hits = (count.load(Ordering::Relaxed) - before) as f64 / f64::from(published);
        println!("{set}: {} filters, {hits:.2} match", filters.len());
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = crate::support::short();
    targets = wildcards
}
