//! The bound of history in memory is one of resident memory, whatever is kept. Each measurement has a process of its own.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{env, fs, process::Command, sync::Arc, thread};

use bytes::Bytes;
use polywire_core::{
    Channel, Clock, Draft, Epoch, Payload, PersistencePolicy, Position, Retention, Rule, Rules,
    Seq, Span, Target,
};
use polywire_persistence::MemoryHistory;

const BYTES_MAX: usize = 32 << 20;

/// Allocators may have memory for each thread.
const THREADS: usize = 4;

/// A line of what the system says of this process, in bytes.
fn status(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line
        .unwrap()
        .trim_matches([':', ' ', '\t'])
        .strip_suffix(" kB");
    kib.unwrap().parse::<usize>().unwrap() << 10
}

struct Filling {
    bytes_max: usize,
    policy: MemoryHistory,
    clock: Clock,
    before: usize,
}

impl Filling {
    fn new(rules: Rules, bytes_max: usize) -> Self {
        Self {
            bytes_max,
            policy: MemoryHistory::new(rules, bytes_max),
            clock: Clock::default(),
            before: status("VmRSS"),
        }
    }

    fn publish(&self, channel: usize, payload: Bytes, retention: Retention) {
        let target: Target = Channel::new(&format!("room/{channel:010}")).unwrap().into();
        let draft = Draft::new(target, Payload::Binary(payload)).retention(retention);
        let publication = draft.at(Position {
            epoch: Epoch(1),
            seq: Seq(1),
            timetoken: self.clock.tick(),
        });
        self.policy.persist_now(&Arc::new(publication)).unwrap();
    }

    /// Fills it more than once, by several threads, each with channels of its own.
    fn fill(&self, channels: usize, len: impl Fn(usize) -> usize + Sync) {
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let len = &len;
                scope.spawn(move || {
                    let (mut bytes, mut n) = (0, 0);
                    while bytes < self.bytes_max / 4 * 7 / THREADS {
                        let channel = (n % channels.div_ceil(THREADS)) * THREADS + thread;
                        self.publish(channel, vec![b'x'; len(n)].into(), Retention::DEFAULT);
                        bytes += len(n) + 150;
                        n += 1;
                    }
                });
            }
        });
        let kept = self.policy.bytes();
        let full = self.bytes_max / 8 * 7..=self.bytes_max;
        assert!(full.contains(&kept), "{kept}");
    }

    /// The most that the process had at any time.
    fn check(&self) {
        let grown = status("VmHWM") - self.before;
        println!("{} KiB of {}", grown >> 10, self.bytes_max >> 10);
        assert!(grown <= self.bytes_max / 4 * 5, "{} KiB", grown >> 10);
    }
}

fn fill(channels: usize, len: impl Fn(usize) -> usize + Sync) {
    let filling = Filling::new(Rules::default(), BYTES_MAX);
    filling.fill(channels, len);
    filling.check();
}

#[test]
#[ignore = "has a process of its own"]
fn small_messages_of_one_channel() {
    fill(1, |_| 50);
}

#[test]
#[ignore = "has a process of its own"]
fn small_messages_of_many_channels() {
    fill(100_000, |_| 50);
}

#[test]
#[ignore = "has a process of its own"]
fn large_messages_of_one_channel() {
    fill(1, |_| 10 << 10);
}

#[test]
#[ignore = "has a process of its own"]
fn large_messages_of_many_channels() {
    fill(100_000, |_| 10 << 10);
}

#[test]
#[ignore = "has a process of its own"]
fn messages_that_were_read_into_large_buffers() {
    let filling = Filling::new(Rules::default(), BYTES_MAX);
    for n in 0..50_000 {
        let buffer = Bytes::from(vec![b'x'; 16 << 10]);
        filling.publish(n % 10, buffer.slice(..50), Retention::DEFAULT);
    }
    filling.check();
}

/// All sizes, one after the other and together, on few channels and many; and everything is deleted in between.
#[test]
#[ignore = "has a process of its own"]
fn whatever_comes() {
    // So much that what the threads of the test need is little beside it.
    let filling = Filling::new(Rules::default(), 2 * BYTES_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for (channels, len) in [
        (1, 50),
        (50_000, 50),
        (10, 10 << 10),
        (1000, 700),
        (1, 30_000),
    ] {
        filling.fill(channels, |_| len);
    }
    for channels in [10, 20_000] {
        filling.fill(channels, |n| 1 << (n % 15));
        runtime.block_on(async {
            let history = filling.policy.history().unwrap();
            loop {
                let targets = history.targets(None, 1000).await.unwrap();
                if targets.is_empty() {
                    break;
                }
                for target in targets {
                    history.delete(&target, Span::ALL).await.unwrap();
                }
            }
        });
    }
    filling.check();
}

/// Channels that keep their last message only make holes between those of channels that keep all, which stay.
#[test]
#[ignore = "has a process of its own"]
fn what_is_replaced_again_and_again() {
    const QUIET: usize = 10_000;
    let last = Rule {
        entries_max: Some(1),
        ..Rule::default()
    };
    let filling = Filling::new(Rules::all(last), BYTES_MAX);
    for n in 0..QUIET {
        filling.publish(n, vec![b'x'; 100].into(), Retention::DEFAULT);
        for busy in 0..20 {
            filling.publish(QUIET + busy, vec![b'y'; 300].into(), Retention::DEFAULT);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let history = filling.policy.history().unwrap();
    let targets = runtime.block_on(history.targets(None, usize::MAX)).unwrap();
    assert_eq!(targets.len(), QUIET + 20);
    filling.check();
}

#[test]
fn the_bound_is_one_of_resident_memory() {
    for name in [
        "small_messages_of_one_channel",
        "small_messages_of_many_channels",
        "large_messages_of_one_channel",
        "large_messages_of_many_channels",
        "messages_that_were_read_into_large_buffers",
        "whatever_comes",
        "what_is_replaced_again_and_again",
    ] {
        let mut process = Command::new(env::current_exe().unwrap());
        process.args(["--exact", name, "--ignored", "--nocapture"]);
        let output = process.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}{output:?}");
        assert!(said.contains("1 passed"), "{name}: {said}");
        let measured = said.lines().find(|line| line.contains("KiB of"));
        println!("{name}: {}", measured.unwrap_or_default());
    }
}
