//! The app keeps the laws of apps.

use polywire_core::testkit;
use polywire_knsock::KnSock;

#[tokio::test]
async fn keeps_the_laws_of_an_app() {
    testkit::app_laws(KnSock::default).await;
}
