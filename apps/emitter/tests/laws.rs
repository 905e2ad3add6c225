//! The app keeps the laws of apps.

use polywire_core::testkit;
use polywire_emitter::Emitter;

#[tokio::test]
async fn keeps_the_laws_of_an_app() {
    testkit::app_laws(Emitter::default).await;
}
