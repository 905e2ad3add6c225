//! The app keeps the laws of apps.

use polywire_core::testkit;
use polywire_seth::Seth;

#[tokio::test]
async fn keeps_the_laws_of_an_app() {
    testkit::app_laws(Seth::default).await;
}
