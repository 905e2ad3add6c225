//! What a publisher waits for in the space: the gate, and the backend in memory with one subscriber.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up may stop"
)]

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use polywire_backends::Memory;
use polywire_core::{
    AppRunner, Channel, ConnectionId, Draft, Grant, Identity, Origin, Payload, Permissions, Scope,
    Space,
    delivery::{Fanout, Receiver},
    testkit::AllowAll,
};

/// Takes everything and keeps nothing.
struct Nowhere(ConnectionId);

impl Receiver for Nowhere {
    fn connection(&self) -> ConnectionId {
        self.0
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        std::hint::black_box(fanout.publication());
    }
}

fn publish(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = AppRunner::builder(Memory::default()).authentication(AllowAll);
    let server = runtime.block_on(server.build()).unwrap();
    let space: &Arc<Space> = server.space();
    let room = Channel::new("room").unwrap();
    let receiver = Arc::new(Nowhere(ConnectionId::next(space.hub().node())));
    let mut attachment = space.attach(Origin::new("bench", Identity::unrestricted()), receiver);
    runtime
        .block_on(attachment.subscribe(room.clone()))
        .unwrap();
    let one_of = |count: usize| Identity {
        grants: (0..count)
            .map(|number| Grant {
                scope: match number + 1 == count {
                    true => Scope::Channel(room.clone()),
                    false => Scope::Channel(Channel::new(&format!("room {number}")).unwrap()),
                },
                permissions: Permissions::WRITE,
                expires_at: None,
            })
            .collect(),
        ..Identity::unrestricted()
    };
    let draft = Draft::new(room.clone(), Payload::text("some text of a message"));
    for (name, identity) in [
        ("everything", Identity::unrestricted()),
        ("one of 10 grants", one_of(10)),
    ] {
        let origin = Origin::new("bench", identity);
        criterion.bench_function(&format!("publish by {name}"), |bencher| {
            bencher.iter(|| {
                let published = space.publish(&origin, draft.clone()).now_or_never();
                published.unwrap().unwrap()
            });
        });
    }
}

criterion_group!(benches, publish);
criterion_main!(benches);
