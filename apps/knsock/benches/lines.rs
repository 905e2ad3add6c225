//! The cost of a line on its way in and on its way out: once for each publication.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up may stop"
)]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the modules are those of the app, of which this needs a part"
)]

#[path = "../src/command.rs"]
mod command;
#[path = "../src/encoder.rs"]
mod encoder;
#[path = "../src/plain.rs"]
mod plain;

use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use polywire_core::{Channel, Draft, JsonText, Payload, Position, delivery::Encoder};

use self::{command::Command, encoder::LineEncoder};

/// JSON values of 128 bytes, and a small one.
fn messages() -> [(&'static str, String); 4] {
    [
        (
            "object",
            format!("{{\"n\":1234567,\"text\":\"{}\"}}", "x".repeat(105)),
        ),
        ("numbers", format!("[{}1]", "1.5,".repeat(31))),
        ("text", format!("\"{}\"", "x".repeat(126))),
        ("small", "1".to_owned()),
    ]
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("knsock/parse");
    for (name, message) in messages() {
        let line = format!("{{\"action\":\"publish\",\"topic\":\"news\",\"message\":{message}}}");
        let line = Bytes::from(line);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| Command::parse(line.clone(), 512));
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("knsock/encode");
    for (name, message) in messages() {
        let payload = Payload::json(JsonText::parse(message.into()).unwrap());
        let draft = Draft::new(Channel::new("news").unwrap(), payload);
        let publication = draft.at(Position::default());
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| LineEncoder.encode(&publication));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = parse, encode
}
criterion_main!(benches);
