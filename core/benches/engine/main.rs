//! The delivery engine in one process, part by part. One program, so that it is linked once.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up may stop"
)]

mod framing;
mod matching;
mod membership;
mod publish;
mod support;
mod threads;
mod wildcards;

use criterion::criterion_main;

criterion_main!(
    framing::benches,
    matching::benches,
    membership::benches,
    publish::benches,
    threads::benches,
    wildcards::benches
);
