//! The cost of a message on its way out: once for each publication.

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

#[path = "../src/encoder.rs"]
mod encoder;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use polywire_core::{Channel, Draft, JsonText, Payload, Position, delivery::Encoder};

use self::encoder::SethEncoder;

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

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seth/encode");
    for (name, message) in messages() {
        let payload = Payload::json(JsonText::parse(message.into()).unwrap());
        let draft = Draft::new(Channel::new("news").unwrap(), payload);
        let publication = draft.at(Position::default());
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let encoder = SethEncoder { only_proven: false };
            bencher.iter(|| encoder.encode(&publication));
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
    targets = encode
}
criterion_main!(benches);
