//! Framing of an encoded message of 200 bytes by each transport; once per publication, however many
//! subscribers there are.

use criterion::{BenchmarkId, Criterion, criterion_group};
use polywire_core::{delivery::Message, transport::Framing};

fn framing(criterion: &mut Criterion) {
    let text = format!(
        "{{\"message\":{{\"text\":\"{}\"}},\"n\":1}}",
        "x".repeat(171)
    );
    let message = Message::Text(text.into());
    assert_eq!(message.len(), 200, "{message:?}");
    let mut group = criterion.benchmark_group("frame");
    for framing in [
        Framing::Raw,
        Framing::WebSocket,
        Framing::SockJsWebSocket,
        Framing::SockJsMessage,
    ] {
        let name = BenchmarkId::from_parameter(format!("{framing:?}"));
        group.bench_function(name, |bencher| bencher.iter(|| framing.frame(&message)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = crate::support::short();
    targets = framing
}
