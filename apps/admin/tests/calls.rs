//! The calls of operators. What happens to connections is tested in the core, and in the protocols.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use polywire_admin::AdminApi;
use polywire_core::{AppRunner, testkit};
use polywire_testing::Server;
use serde_json::json;

#[tokio::test]
async fn keeps_the_laws() {
    testkit::app_laws(AdminApi::default).await;
}

#[test]
fn calls_are_checked() {
    let server = Server::of::<AdminApi>("");
    let call = |name: &str, body: serde_json::Value| {
        let json = [("Content-Type", "application/json")];
        let (target, body) = (format!("/admin/v1/{name}"), body.to_string());
        let answer = server.request("POST", &target, &json, Some(body.as_bytes()));
        (answer.status, answer.text().to_owned())
    };
    for (name, body, status) in [
        ("revocations", json!({"client": "ann"}), 200),
        ("revocations", json!({"client": "ann", "lift": true}), 200),
        ("revocations", json!({"credential": "t1"}), 200),
        (
            "revocations",
            json!({"issued_before": "2026-11-30T00:00:00Z"}),
            200,
        ),
        ("revocations", json!({}), 400),
        (
            "revocations",
            json!({"client": "ann", "credential": "t1"}),
            400,
        ),
        ("revocations", json!({"client": ""}), 400),
        ("revocations", json!({"clients": "ann"}), 400),
        ("revocations", json!({"issued_before": "soon"}), 400),
        ("disconnect", json!({"client": "ann"}), 200),
        ("disconnect", json!({"client": "ann", "code": 1000}), 400),
        (
            "disconnect",
            json!({"client": "ann", "reason": "x".repeat(124)}),
            400,
        ),
        ("disconnect", json!({"connection": "x"}), 400),
        ("disconnect", json!({}), 400),
        (
            "subscribe",
            json!({"client": "ann", "channel": "room"}),
            200,
        ),
        ("subscribe", json!({"client": "ann"}), 400),
        (
            "unsubscribe",
            json!({"client": "ann", "channel": "room"}),
            200,
        ),
        ("nothing", json!({}), 404),
    ] {
        let (is, text) = call(name, body.clone());
        assert_eq!(is, status, "{name} {body}: {text}");
        assert_eq!(text.contains("error"), status != 200, "{text}");
    }
    assert_eq!(server.get("/admin/v1/revocations").status, 405);
    let by_a_page = server.post("/admin/v1/revocations", "{\"client\": \"ann\"}");
    assert_eq!(by_a_page.status, 415, "a form of any site can send texts");
}

#[test]
fn health_is_told_everybody_and_draining_is_for_operators() {
    let server = Server::of::<AdminApi>("");
    let health = |name: &str| {
        let answer = server.get(&format!("/health/{name}"));
        let json = answer.json();
        (answer.status, json["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(health("live"), (200, "live".into()));
    assert_eq!(health("ready"), (200, "ready".into()));
    assert_eq!(server.post("/health/ready", "").status, 405);
    assert_eq!(server.get("/admin/drain").status, 405);
    let foreign = [("Origin", "http://elsewhere.example")];
    let refused = server.request("POST", "/admin/drain", &foreign, None);
    assert_eq!(refused.status, 403);
}

#[test]
fn who_may_not_manage_everything_drains_nothing() {
    let builder = AppRunner::builder(testkit::LocalBackend::default());
    let server = Server::start(builder.app(AdminApi::default()));
    let refused = server.request("POST", "/admin/drain", &[], None);
    assert_eq!(refused.status, 401);
    assert_eq!(server.get("/health/ready").status, 200);
}
