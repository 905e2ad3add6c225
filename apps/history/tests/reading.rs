//! History read again over HTTP, with a server in this process.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use async_trait::async_trait;
use polywire_core::{
    AppRunner, AuthenticationError, AuthenticationPolicy, Builder, Channel, ClientId, Credentials,
    Identity, Limits, Origin,
    space::Revocation,
    testkit::{AllowAll, Bus, LocalBackend},
};
use polywire_history::HistoryApi;
use polywire_testing::{
    SOON, Server,
    auth::{ApiKey, ApiKeySettings},
    eventually,
    peers::numbers,
    persistence::{HistorySettings, MemoryHistory},
};
use serde_json::{Value, json};

fn composition() -> Builder {
    AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .app(HistoryApi::default())
}

/// With messages kept in memory.
fn kept(builder: Builder) -> Builder {
    let settings = HistorySettings::default();
    let rules = settings.rules().unwrap();
    builder.persistence(MemoryHistory::new(rules, settings.memory_bytes_max))
}

fn server() -> Server {
    Server::start(kept(composition()))
}

/// Publishes numbered messages.
fn publish(server: &Server, channel: &str, numbers: std::ops::Range<u64>) {
    for n in numbers {
        server.publish_within(channel, &json!({ "n": n }));
    }
}

#[test]
fn the_last_ones_and_those_since_a_time_are_read() {
    let server = server();
    publish(&server, "news", 0..450);
    publish(&server, "other", 1000..1003);
    let read = |query: &str| {
        let answer = server.get(&format!("/history/v1/channels/news{query}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().to_owned()
    };
    assert_eq!(numbers(&read("")), (350..450).collect::<Vec<_>>());
    assert_eq!(numbers(&read("/?last=3")), [447, 448, 449]);
    assert_eq!(numbers(&read("?last=1000")), (0..450).collect::<Vec<_>>());
    assert_eq!(read("?last=0"), "");
    let third = read("?last=3");
    let first: Value = serde_json::from_str(third.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["channel"], &first["seq"]),
        (&json!("news"), &json!(448))
    );
    let since = format!("?since={}&limit=2", first["timetoken"].as_str().unwrap());
    assert_eq!(numbers(&read(&since)), [447, 448]);
    assert_eq!(numbers(&read("?since=2001-01-01T00:00:00Z")).len(), 100);
    assert_eq!(read("?since=2101-01-01T00:00:00Z"), "");
    assert_eq!(server.get("/history/v1/channels/nobody").text(), "");
}

#[test]
fn who_guesses_has_to_wait_and_who_is_known_has_not() {
    let policy = ApiKey::from(&ApiKeySettings::default());
    let server = Server::start(kept(composition()).authentication(policy));
    let read = |key: &str| server.get(&format!("/history/v1/channels/news?api_key={key}"));
    assert_eq!(read("secret").status, 200);
    for guess in 0..10 {
        assert_eq!(read(&format!("guess-{guess}")).status, 401);
    }
    let answer = read("another");
    assert_eq!(answer.status, 429);
    assert!(answer.text().contains("try again"), "{answer:?}");
    assert_eq!(read("secret").status, 200, "from the same address");
}

#[test]
fn mistakes_are_answered_in_a_sentence() {
    let server = server();
    for (method, target, status, text) in [
        ("GET", "/history/v1/channels/", 400, "Name a channel."),
        ("GET", "/history/v1/elsewhere", 404, "There is nothing here"),
        ("POST", "/history/v1/channels/news", 405, "Use GET."),
        (
            "GET",
            "/history/v1/channels/news?last=-1",
            400,
            "whole number",
        ),
        (
            "GET",
            "/history/v1/channels/news?since=soon",
            400,
            "is no time",
        ),
        ("GET", "/history/v1/channels/%ff", 400, "not UTF-8"),
    ] {
        let answer = server.request(method, target, &[], None);
        assert_eq!(answer.status, status, "{target}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(text), "{target}: {error}");
    }
    let without = Server::start(composition());
    let answer = without.get("/history/v1/channels/news");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("--data-dir"), "{answer:?}");
    let guarded =
        Server::start(kept(composition()).authentication(ApiKey::from(&ApiKeySettings::default())));
    assert_eq!(guarded.get("/history/v1/channels/news").status, 401);
    let shown = guarded.get("/history/v1/channels/news?api_key=secret");
    assert_eq!(shown.status, 200);
}

/// The lines of an answer that follows a channel.
fn follow(server: &Server) -> impl Iterator<Item = String> {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(
        stream,
        "GET /history/v1/channels/news?since=0&follow=true HTTP/1.1\r\nHost: here\r\n\r\n"
    )
    .unwrap();
    BufReader::new(stream).lines().map(|line| line.unwrap())
}

#[test]
fn whoever_follows_gets_history_and_then_what_comes() {
    let server = server();
    publish(&server, "news", 0..300);
    let mut lines = follow(&server);
    let mut expect = |numbers: std::ops::Range<u64>| {
        for n in numbers {
            let line = lines.find(|line| line.starts_with('{')).unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line["data"]["n"], json!(n), "once and in order");
        }
    };
    expect(0..1);
    publish(&server, "news", 300..350);
    expect(1..350);
    publish(&server, "news", 350..360);
    expect(350..360);
}

/// What waits for others is bounded: a read that gets no room is told to come again, and nothing hangs.
#[test]
fn a_read_that_finds_no_room_is_told_to_come_again() {
    let limits = Limits {
        history_bytes_max: 4 << 10,
        ..Limits::default()
    };
    let server = Server::start(kept(composition()).limits(limits));
    publish(&server, "news", 0..10);
    let elsewhere = Origin::new("test", Identity::unrestricted());
    let held = server.block_on(async {
        let mut read = server
            .space()
            .history_reads()
            .begin(&elsewhere)
            .await
            .unwrap();
        read.hold(4 << 10).await.unwrap();
        read.end()
    });
    let busy = server.get("/history/v1/channels/news");
    assert_eq!(busy.status, 503, "{busy:?}");
    assert_eq!(
        busy.json()["error"],
        "Too much history is being read; try again in a few seconds."
    );
    drop(held);
    let read = server.get("/history/v1/channels/news");
    assert_eq!((read.status, read.text().lines().count()), (200, 10));
}

/// Everybody is Ann.
struct Ann;

#[async_trait]
impl AuthenticationPolicy for Ann {
    async fn authenticate(&self, _: &Credentials) -> Result<Identity, AuthenticationError> {
        Ok(Identity {
            client: ClientId::new("ann").ok(),
            ..Identity::unrestricted()
        })
    }
}

#[test]
fn whoever_follows_is_told_when_its_rights_end() {
    let server = Server::start(kept(composition()).authentication(Ann));
    publish(&server, "news", 0..3);
    let mut lines = follow(&server);
    for n in 0..3 {
        let line = lines.find(|line| line.starts_with('{')).unwrap();
        assert!(line.contains(&format!("{{\"n\":{n}}}")), "{line}");
    }
    let ann = Revocation::Client(ClientId::new("ann").unwrap());
    server.block_on(server.space().revoke(&ann)).unwrap();
    publish(&server, "news", 3..5);
    // It may have had those, within a second, but nothing after it is told.
    let line = lines.find(|line| line.contains("error")).unwrap();
    assert_eq!(line, r#"{"error":"Your rights were taken back."}"#);
    publish(&server, "news", 5..6);
    let rest: Vec<_> = lines.by_ref().take_while(|line| line != "0").collect();
    assert_eq!(rest, [""], "the answer ends");
}

#[test]
fn whoever_follows_is_told_of_a_gap() {
    let bus = Bus::default();
    let start = || {
        let builder = AppRunner::builder(bus.node()).authentication(AllowAll);
        Server::start(kept(builder.app(HistoryApi::default())))
    };
    let (here, there) = (start(), start());
    let mut lines = follow(&here);
    let news = Channel::new("news").unwrap();
    eventually("it follows", SOON, || {
        (here.space().hub().count(&news) > 0).then_some(())
    });
    publish(&there, "news", 0..1);
    lines.find(|line| line.contains("{\"n\":0}")).unwrap();
    bus.cut(here.space().hub().node());
    publish(&there, "news", 1..2);
    bus.mend(here.space().hub().node());
    publish(&there, "news", 2..3);
    let line = lines.find(|line| line.starts_with('{')).unwrap();
    assert!(line.contains("were lost"), "{line}");
    let rest: Vec<_> = lines.by_ref().take_while(|line| line != "0").collect();
    assert_eq!(rest, [""], "the answer ends");
}
