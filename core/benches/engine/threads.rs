//! Two threads that publish to disjoint channels, against one: what is shared on the way shows here.
//!
//! Each thread has its own channels, subscribers and null socket, and does all of the work: place,
//! encoding, outboxes, flush. After the criterion measurement the ratio of the two throughputs is printed,
//! from short rounds in turn. By the wall clock it is right when two cores are free; by the time that the
//! threads were on a core, other programs disturb it less. 2 is what two cores can give at best.

use std::{
    fs,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use polywire_core::Draft;

use crate::support::{Node, NullSocket, channel, draft};

/// Publications between two flushes.
const BATCH: usize = 16;

/// Channels of a thread, and the subscribers of each.
const CHANNELS: usize = 100;
const SUBSCRIBERS: usize = 10;

/// Rounds of the ratio, and the batches of each.
const ROUNDS: usize = 31;
const BATCHES: u64 = 1_000;

struct Publisher {
    node: Arc<Node>,
    drafts: Vec<Draft>,
    _socket: NullSocket,
}

impl Publisher {
    fn new(node: &Arc<Node>, number: usize) -> Self {
        let socket = node.null_socket();
        let names = (0..CHANNELS).map(|n| channel(&format!("publisher {number} channel {n}")));
        let channels: Vec<_> = names.collect();
        for channel in &channels {
            node.subscribe(channel, &socket, SUBSCRIBERS);
        }
        Self {
            node: node.clone(),
            drafts: channels.iter().map(draft).collect(),
            _socket: socket,
        }
    }

    fn run(&self, batches: u64) {
        for (_, draft) in (0..batches).zip(self.drafts.iter().cycle()) {
            for _ in 0..BATCH {
                self.node.publish(draft.clone());
            }
            self.node.flush();
        }
    }
}

/// How long all publishers took, each for `batches`: by the wall clock, and on a core.
fn together(publishers: &[Publisher], batches: u64) -> (Duration, Duration) {
    let (start, on_core) = (Barrier::new(publishers.len() + 1), Duration::ZERO);
    thread::scope(|scope| {
        let threads: Vec<_> = publishers
            .iter()
            .map(|publisher| {
                scope.spawn(|| {
                    publisher.run(1);
                    start.wait();
                    let before = time_on_core();
                    publisher.run(batches);
                    time_on_core() - before
                })
            })
            .collect();
        start.wait();
        let began = Instant::now();
        let on_core = threads
            .into_iter()
            .fold(on_core, |sum, thread| sum + thread.join().unwrap());
        (began.elapsed(), on_core)
    })
}

/// How long this thread was on a core; the system counts in steps of a few milliseconds.
fn time_on_core() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn threads(criterion: &mut Criterion) {
    let node = Arc::new(Node::new());
    let publishers = [Publisher::new(&node, 0), Publisher::new(&node, 1)];
    let mut group = criterion.benchmark_group("threads");
    for threads in [1, 2] {
        let publications = threads * BATCH * SUBSCRIBERS;
        group.throughput(Throughput::Elements(publications as u64));
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter_custom(|batches| together(&publishers[..threads], batches).0);
        });
    }
    group.finish();
    ratio(&publishers);
}

fn ratio(publishers: &[Publisher; 2]) {
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for _ in 0..ROUNDS {
        let one = together(&publishers[..1], BATCHES);
        let two = together(publishers, BATCHES);
        ratios[0].push(2.0 * one.0.as_secs_f64() / two.0.as_secs_f64());
        // `two` is the sum of both threads: the work was twice as much.
        ratios[1].push(4.0 * one.1.as_secs_f64() / two.1.as_secs_f64());
    }
    for (clock, mut ratios) in ["wall clock", "time on a core"].into_iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        let (median, best) = (ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
        println!("two threads to one, by {clock}: median {median:.2}, best {best:.2}");
    }
}

criterion_group! {
    name = benches;
    config = crate::support::short();
    targets = threads
}
