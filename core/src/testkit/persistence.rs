//! The laws of a persistence policy.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use super::{sample_drafts, within};
use crate::{
    Channel, ClientId, Epoch, PersistencePolicy, Position, Publication, Seq, Target, Timetoken,
};

/// The longest that a publication may wait for its policy: fan-out waits with it.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Checks the laws of [`PersistencePolicy`]: every sort of publication is taken, many at once and out of
/// order, in short time whether or not the store works; dropped futures and a stop leave nothing that
/// hangs or panics.
///
/// What the store holds afterwards only you can look at: for every publication of
/// [`sample_drafts`] for the channel `testkit-room` and the client `testkit-client` that it stores, once.
///
/// # Panics
/// When a law is broken.
pub async fn persistence_laws<P: PersistencePolicy>(make: impl Fn() -> P) {
    let policy = Arc::new(make());
    let stores = policy.stores();
    let publications = publications();

    let persisting: Vec<_> = publications
        .iter()
        .rev()
        .cloned()
        .map(|publication| {
            let policy = policy.clone();
            tokio::spawn(async move {
                // An error is an answer: the store may be away.
                let answer = tokio::time::timeout(WAIT_MAX, policy.persist(&publication)).await;
                assert!(
                    answer.is_ok(),
                    "a publication waited longer than {WAIT_MAX:?} for its policy"
                );
            })
        })
        .collect();
    for task in persisting {
        within("persist", task)
            .await
            .expect("persist does not panic");
    }
    assert_eq!(stores, policy.stores(), "whether a policy stores is fixed");
    within("stop", policy.stop()).await;

    let dropped = make();
    for publication in &publications {
        let mut persisting = pin!(dropped.persist(publication));
        poll_fn(|cx| {
            let _ = persisting.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
    }
    within("stop", dropped.stop()).await;
    // Publications may come while the node stops.
    let late = tokio::time::timeout(WAIT_MAX, dropped.persist(&publications[0])).await;
    assert!(late.is_ok(), "persist hangs after stop");
}

fn publications() -> Vec<Arc<Publication>> {
    let room = Channel::new("testkit-room").expect("not empty");
    let client = ClientId::new("testkit-client").expect("not empty");
    let targets = [Target::from(room), Target::from(client)];
    let drafts = targets.iter().flat_map(|target| {
        sample_drafts(target)
            .into_iter()
            .filter(|draft| draft.retention.store)
    });
    (1..)
        .zip(drafts)
        .map(|(seq, draft)| {
            Arc::new(draft.at(Position {
                epoch: Epoch(1),
                seq: Seq(seq),
                timetoken: Timetoken(17_000_000_000_000_000 + seq),
            }))
        })
        .collect()
}
