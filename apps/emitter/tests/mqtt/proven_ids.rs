//! Client ids and the ids that credentials prove.

use std::sync::Arc;

use parking_lot::Mutex;
use polywire_core::{
    Channel, ConnectionId, Identity, Origin,
    delivery::{Fanout, Receiver},
};
use tokio::sync::Notify;

use crate::{
    client::{Client, Hello, Lasting, V3, V5, message, text},
    policy::{as_user, server},
};

#[tokio::test]
async fn a_client_id_is_one_of_its_principals() {
    let (server, _) = server().await;
    let of = |name| as_user(name, "same", Lasting::Yes);
    let (mut ann, _) = Client::enter(server, &of("ann")).await;
    ann.subscribe("iot/ann/#", 1).await;
    // Neither taken over nor gone on with.
    let (mut bob, was_there) = Client::enter(server, &of("bob")).await;
    assert!(!was_there);
    ann.ping().await;
    ann.send(0xe0, &[]).await;
    ann.closed().await;
    let (mut other, _) = Client::enter(server, &as_user("ann", "other", Lasting::No)).await;
    other.publish(1, false, 1, "iot/ann/x", "for ann").await;
    other.expect_ack(0x40, 1).await;
    bob.ping().await;
    let (_, was_there) = Client::enter(server, &of("bob")).await;
    assert!(was_there);
    let (mut ann, was_there) = Client::enter(server, &of("ann")).await;
    assert!(was_there);
    let (_, body) = ann.packet().await;
    assert_eq!(message(&body).2, "for ann");
}

#[tokio::test]
async fn a_credential_can_demand_its_own_id() {
    let (server, _) = server().await;
    for (level, refused) in [(V3, 2), (V5, 0x85)] {
        for (id, reason) in [("ann", refused), ("", 0), ("eve", 0)] {
            let hello = Hello {
                level,
                ..as_user("eve", id, Lasting::No)
            };
            let (_, answer) = Client::greet(server, &hello).await;
            assert_eq!(answer[1], reason, "{id}");
        }
    }
}

/// Keeps who has published, as far as it is proven.
#[derive(Default)]
struct Publishers {
    seen: Mutex<Vec<Option<String>>>,
    changed: Notify,
}

struct Watcher(ConnectionId, Arc<Publishers>);

impl Receiver for Watcher {
    fn connection(&self) -> ConnectionId {
        self.0
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let publication = fanout.publication();
        let publisher = publication.publisher.as_ref();
        let proven = publisher.filter(|_| publication.is_proven);
        self.1.seen.lock().push(proven.map(ToString::to_string));
        self.1.changed.notify_one();
    }
}

#[tokio::test]
async fn a_client_publishes_as_whom_its_credential_proves() {
    let (server, space) = server().await;
    let publishers = Arc::<Publishers>::default();
    let connection = ConnectionId::next(space.hub().node());
    let watcher = Arc::new(Watcher(connection, publishers.clone()));
    let mut attachment = space.attach(Origin::new("test", Identity::unrestricted()), watcher);
    attachment.join(Channel::new("iot/ann/x").unwrap()).await;
    let (mut ann, _) = Client::enter(server, &as_user("ann", "bob", Lasting::No)).await;
    ann.publish(0, false, 0, "iot/ann/x", "from ann").await;
    publishers.changed.notified().await;
    assert_eq!(*publishers.seen.lock(), [Some("ann".to_owned())]);
}

#[tokio::test]
async fn no_local_is_about_the_client_id() {
    let (server, _) = server().await;
    let of = |id| Hello {
        level: V5,
        ..as_user("ann", id, Lasting::No)
    };
    let (mut first, _) = Client::enter(server, &of("first")).await;
    let (mut second, _) = Client::enter(server, &of("second")).await;
    // No local, at QoS 0.
    let mut filter = vec![0, 1, 0];
    filter.extend(text("iot/ann/#"));
    filter.push(4);
    for client in [&mut first, &mut second] {
        client.send(0x82, &filter).await;
        assert_eq!(client.packet().await.0, 0x90);
    }
    first
        .publish(0, false, 0, "iot/ann/x", "from the first")
        .await;
    first.ping().await;
    let (head, body) = second.packet().await;
    assert_eq!(head, 0x30);
    assert!(body.ends_with(b"from the first"), "{body:?}");
}
