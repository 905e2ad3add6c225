//! A hook of the kn-sock app sees every command before it has an effect, and may change or drop it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use polywire::{
    apps::knsock::{Action, Command},
    prelude::*,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::oneshot,
};

/// Sends lines, and reads up to the message that marks the end.
async fn talk(address: SocketAddr, lines: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let end = [
        r#"{"action":"subscribe","topic":"end"}"#,
        r#"{"action":"publish","topic":"end","message":""}"#,
    ];
    for line in lines.iter().chain(&end) {
        let line = format!("{line}\n");
        stream.write_all(line.as_bytes()).await.unwrap();
    }
    let mut got = Vec::new();
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "{got:?}");
        if line == "{\"topic\":\"end\",\"message\":\"\"}\n" {
            return got;
        }
        got.push(line.trim_end().to_owned());
    }
}

#[tokio::test]
async fn a_hook_observes_replaces_and_drops() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let app = KnSock::default().hook(move |origin: &Origin, command: &Command| {
        assert_eq!(origin.app, "knsock");
        match command {
            Command::Publish(topic, payload) => {
                log.lock().push(format!("publish {topic}"));
                match topic.as_str() {
                    "secret" => Action::Drop,
                    "loud" => Action::Replace(Command::Publish(
                        Channel::new("quiet").unwrap(),
                        payload.clone(),
                    )),
                    _ => Action::Continue,
                }
            }
            Command::Subscribe(topic) => {
                log.lock().push(format!("subscribe {topic}"));
                Action::Continue
            }
            Command::Unsubscribe(_) => Action::Drop,
        }
    });
    let server = AppRunner::builder(Memory::default())
        .app(app)
        .listen(([127, 0, 0, 1], 0).into())
        .build()
        .await
        .unwrap();
    let address = server.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));

    let got = talk(
        address,
        &[
            r#"{"action":"subscribe","topic":"secret"}"#,
            r#"{"action":"subscribe","topic":"loud"}"#,
            r#"{"action":"subscribe","topic":"quiet"}"#,
            r#"{"action":"publish","topic":"secret","message":"dropped"}"#,
            r#"{"action":"publish","topic":"loud","message":"moved"}"#,
            r#"{"action":"unsubscribe","topic":"quiet"}"#,
            r#"{"action":"publish","topic":"quiet","message":{"as":"it was"}}"#,
            r#"{"action":"nothing valid","topic":"quiet"}"#,
        ],
    )
    .await;
    assert_eq!(
        got,
        [
            r#"{"topic":"quiet","message":"moved"}"#,
            r#"{"topic":"quiet","message":{"as":"it was"}}"#,
        ]
    );
    let expected = [
        "subscribe secret",
        "subscribe loud",
        "subscribe quiet",
        "publish secret",
        "publish loud",
        "publish quiet",
        "subscribe end",
        "publish end",
    ];
    assert_eq!(*seen.lock(), expected);
    stop.send(()).unwrap();
    running.await.unwrap();
}
