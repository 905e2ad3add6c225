//! A fixed amount of work to count instructions by: clocks are noisy, these are not.
//!
//! `enqueue`, `flush` and `publish` are functions of their own, so that callgrind tells them apart:
//!
//! ```text
//! cargo bench -p polywire-core --bench instructions --no-run
//! valgrind --tool=callgrind --dump-instr=no <the program> --subscribers 1000 --batches 20
//! callgrind_annotate --inclusive=yes callgrind.out.* | grep instructions::
//! ```
//!
//! With `--numbered` each subscriber numbers its messages from a number of its own on.

#[path = "engine/support.rs"]
mod support;

use std::hint::black_box;

use polywire_core::Draft;

use self::support::{Node, channel, draft};

/// Publications that come together.
const BATCH: usize = 16;

#[inline(never)]
fn enqueue(node: &Node, draft: &Draft) {
    for _ in 0..BATCH {
        node.publish(draft.clone());
    }
}

#[inline(never)]
fn flush(node: &Node) {
    node.flush();
}

/// The number after `name` on the command line.
fn argument(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1).and_then(|value| value.parse().ok());
    value.unwrap_or(default)
}

fn main() {
    let subscribers = argument("--subscribers", 1_000);
    let batches = argument("--batches", 20);
    let node = Node::new();
    let (room, socket) = (channel("room"), node.null_socket());
    if std::env::args().any(|argument| argument == "--numbered") {
        for number in 0..subscribers {
            node.join(&room, &node.numbered(&socket, 1_000 + number as u64));
        }
    } else {
        node.subscribe(&room, &socket, subscribers);
    }
    let draft = draft(&room);
    for _ in 0..batches {
        enqueue(black_box(&node), &draft);
        flush(black_box(&node));
    }
    let deliveries = subscribers * batches * BATCH;
    println!(
        "{deliveries} deliveries of {} publications",
        batches * BATCH
    );
}
