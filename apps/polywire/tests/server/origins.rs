//! Origins of pages, in headless Chromium.

use crate::support::{Server, run_node};

#[test]
fn a_page_of_this_machine_may_and_one_of_another_site_may_not() {
    let server = Server::start(&["--persistence", "memory"]);
    let profile = tempfile::tempdir().unwrap();
    let url = server.url();
    run_node(
        "origins-browser.mjs",
        &[&url, profile.path().to_str().unwrap()],
    );
    let published = |channel: &str| {
        let answer = server.get(&format!("/history/v1/channels/{channel}"));
        assert_eq!(answer.status, 200);
        !answer.body.is_empty()
    };
    assert!(published("own"));
    assert!(!published("foreign") && !published("rebound"));
}
