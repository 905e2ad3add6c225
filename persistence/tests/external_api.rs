//! The external API against a small HTTP server that answers as it is told.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use polywire_core::{
    Channel, Draft, Payload, PersistenceError, PersistencePolicy, Position, Publication, testkit,
    testkit::until,
};
use polywire_persistence::{ExternalApi, ExternalApiSettings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

/// A server that remembers what was posted. It gives the planned answers, then 200; 0 means none at all.
#[derive(Clone)]
struct Api {
    port: u16,
    bodies: Arc<parking_lot::Mutex<Vec<String>>>,
}

impl Api {
    async fn start(answers: impl IntoIterator<Item = u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self {
            port: listener.local_addr().unwrap().port(),
            bodies: Arc::default(),
        };
        let plan: VecDeque<u16> = answers.into_iter().collect();
        let (bodies, plan) = (api.bodies.clone(), Arc::new(Mutex::new(plan)));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (bodies, plan) = (bodies.clone(), plan.clone());
                tokio::spawn(async move {
                    let mut socket = socket;
                    while let Some(body) = read_post(&mut socket).await {
                        bodies.lock().push(body);
                        let status = plan.lock().await.pop_front().unwrap_or(200);
                        if status == 0 {
                            // Hangs, with the connection open.
                            tokio::time::sleep(Duration::from_secs(60)).await;
                        }
                        let answer = format!(
                            "HTTP/1.1 {status} X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
                        );
                        let _ = socket.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        api
    }

    fn settings(&self) -> ExternalApiSettings {
        let mut settings =
            ExternalApiSettings::new(format!("http://127.0.0.1:{}/log?key=hunter2", self.port));
        settings.pause_ms = 10;
        settings.timeout_ms = 500;
        settings
    }

    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().clone()
    }
}

async fn read_post(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("post /log?key=hunter2 "), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    let length = head
        .split("content-length: ")
        .nth(1)?
        .split("\r\n")
        .next()?;
    let mut body = vec![0; length.parse().unwrap()];
    socket.read_exact(&mut body).await.ok()?;
    Some(String::from_utf8(body).unwrap())
}

fn publication(text: &str) -> Arc<Publication> {
    let room = Channel::new("room").unwrap();
    let draft = Draft::new(room, Payload::text(text.to_owned()));
    Arc::new(draft.at(Position::default()))
}

fn body(text: &str) -> String {
    format!(r#"{{"data":"{text}","channel":"room"}}"#)
}

#[tokio::test]
async fn keeps_the_laws_whether_or_not_the_api_works() {
    let api = Api::start([]).await;
    testkit::persistence_laws(|| ExternalApi::with(api.settings()).unwrap()).await;
    assert!(
        api.bodies()
            .iter()
            .any(|body| body.contains("testkit-client"))
    );
    testkit::persistence_laws(|| {
        let mut settings = ExternalApiSettings::new("http://127.0.0.1:1/");
        settings.pause_ms = 1;
        ExternalApi::with(settings).unwrap()
    })
    .await;
}

#[tokio::test]
async fn posts_in_order_and_a_stop_writes_what_is_queued() {
    let api = Api::start([]).await;
    let policy = ExternalApi::with(api.settings()).unwrap();
    let texts: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    for text in &texts {
        policy.persist(&publication(text)).await.unwrap();
    }
    policy.stop().await;
    let expected: Vec<_> = texts.iter().map(|text| body(text)).collect();
    assert_eq!(api.bodies(), expected);
    assert_eq!(policy.lost(), 0);
}

#[tokio::test]
async fn tries_again_where_that_may_help_and_not_where_it_does_not() {
    // Three failures and a time-out, then success; a refusal; a redirect.
    let api = Api::start([500, 429, 408, 0, 200, 400, 302, 200]).await;
    let policy = ExternalApi::with(api.settings()).unwrap();
    for text in ["a", "b", "c", "d"] {
        policy.persist(&publication(text)).await.unwrap();
    }
    until("all are posted", || api.bodies().len() == 8).await;
    let expected = ["a", "a", "a", "a", "a", "b", "c", "d"].map(body);
    assert_eq!(api.bodies(), expected);
    policy.stop().await;
    assert_eq!(policy.lost(), 2);
}

#[tokio::test]
async fn gives_up_after_some_attempts() {
    let api = Api::start([500; 5]).await;
    let policy = ExternalApi::with(api.settings()).unwrap();
    policy.persist(&publication("a")).await.unwrap();
    until("it is given up", || policy.lost() == 1).await;
    assert_eq!(api.bodies().len(), 5);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_never_waits() {
    let api = Api::start([0]).await;
    let mut settings = api.settings();
    settings.queue_entries_max = 10;
    settings.timeout_ms = 60_000;
    let policy = ExternalApi::with(settings).unwrap();
    let start = Instant::now();
    for _ in 0..100 {
        policy.persist(&publication("x")).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(start.elapsed() < Duration::from_secs(2));
    let dropped = policy.lost();
    assert!((80..=90).contains(&dropped), "{dropped}");
    // A stop that is cut short counts what it leaves.
    let stopped = tokio::time::timeout(Duration::from_millis(100), policy.stop()).await;
    assert!(stopped.is_err());
    assert_eq!(policy.lost(), dropped + 10);

    let mut settings = api.settings();
    settings.queue_bytes_max = 2000;
    let policy = ExternalApi::with(settings).unwrap();
    let large = publication(&"x".repeat(5000));
    policy.persist(&large).await.unwrap();
    assert_eq!(policy.lost(), 1, "bytes are bounded too");
}

#[test]
fn a_wrong_url_is_refused_and_secrets_are_not_shown() {
    for url in ["", "ftp://hunter2@host", "hunter2", "http://"] {
        match ExternalApi::new(url) {
            Err(PersistenceError::Configuration(text)) => {
                assert!(text.ends_with('.') && !text.contains("hunter2"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    let policy = ExternalApi::new("https://user:hunter2@host/?key=hunter2").unwrap();
    assert!(!format!("{policy:?}").contains("hunter2"));
}

#[tokio::test]
async fn what_has_come_in_meanwhile_is_one_post() {
    // The first post hangs until it times out, and is repeated.
    let api = Api::start([0]).await;
    let mut settings = api.settings();
    settings.batch_max = 50;
    settings.timeout_ms = 300;
    let policy = ExternalApi::with(settings).unwrap();
    policy.persist(&publication("first")).await.unwrap();
    until("the first post came", || api.bodies().len() == 1).await;
    for n in 0..70 {
        policy.persist(&publication(&n.to_string())).await.unwrap();
    }
    until("all were posted", || api.bodies().len() == 4).await;
    let posts: Vec<Vec<serde_json::Value>> = api
        .bodies()
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    assert_eq!(
        posts.iter().map(Vec::len).collect::<Vec<_>>(),
        [1, 1, 50, 20]
    );
    assert_eq!(posts[0], posts[1]);
    for (n, post) in posts[2..].iter().flatten().enumerate() {
        assert_eq!(post["data"], n.to_string(), "in order");
    }
    assert_eq!(policy.lost(), 0);
}

#[tokio::test]
async fn what_could_not_be_posted_goes_to_the_dead_letter_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.jsonl");
    let api = Api::start([500, 500, 400]).await;
    let mut settings = api.settings();
    settings.attempts_max = 2;
    settings.dead_letter_file = Some(path.clone());
    settings.dead_letter_bytes_max = 100;
    let policy = ExternalApi::with(settings.clone()).unwrap();
    for text in ["retried", "refused", "posted"] {
        policy.persist(&publication(text)).await.unwrap();
    }
    policy.stop().await;
    let dead = std::fs::read_to_string(&path).unwrap();
    assert_eq!(dead, format!("{}\n{}\n", body("retried"), body("refused")));
    assert_eq!(policy.lost(), 0);

    // A file that is as large as it may be takes no more, and what is lost is counted.
    let api = Api::start([400]).await;
    settings.url = api.settings().url;
    let policy = ExternalApi::with(settings.clone()).unwrap();
    policy.persist(&publication("too much")).await.unwrap();
    policy.stop().await;
    assert_eq!(policy.lost(), 1);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), dead);

    settings.dead_letter_file = Some(folder.path().to_owned());
    let refused = ExternalApi::with(settings);
    assert!(matches!(refused, Err(PersistenceError::Configuration(_))));
}
