//! The laws of an app.

use polywire_core::testkit;
use polywire_pubnub::{KeySet, PubNub};

#[tokio::test]
async fn the_laws_of_an_app_hold() {
    testkit::app_laws(PubNub::default).await;
    testkit::app_laws(|| PubNub::default().key_set(KeySet::new("pub", "sub"))).await;
}
