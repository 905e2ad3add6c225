//! Whoever tries passwords out is slowed down; who has the right one gets in.

use std::net::SocketAddr;

use async_trait::async_trait;
use polywire_core::{
    AppRunner, AuthenticationError, AuthenticationPolicy, Credentials, Identity,
    testkit::{AllowAll, LocalBackend},
};
use polywire_emitter::Emitter;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::{Client, Lasting, SOON, text},
    start,
};

/// Lets in whoever knows the word.
struct Password;

#[async_trait]
impl AuthenticationPolicy for Password {
    async fn authenticate(&self, shown: &Credentials) -> Result<Identity, AuthenticationError> {
        match shown.query_value("api_key").as_deref() {
            Some("right") => Ok(Identity::unrestricted()),
            _ => Err(AuthenticationError::Refused),
        }
    }
}

/// The return code for a password.
async fn connect(server: SocketAddr, password: &str) -> u8 {
    let mut body = b"\0\x04MQTT\x04\xc2\0\0".to_vec();
    for field in ["c", "user", password] {
        body.extend(text(field));
    }
    let mut packet = vec![0x10, u8::try_from(body.len()).unwrap()];
    packet.extend(body);
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(&packet).await.unwrap();
    let mut answer = [0; 4];
    timeout(SOON, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer[3]
}

const MASTER: &str = "a-master-key-of-tests";

async fn keyed_server() -> SocketAddr {
    let app = Emitter::default().master_key(MASTER).unwrap();
    let builder = AppRunner::builder(LocalBackend::default()).authentication(AllowAll);
    start(builder.app(app)).await.0
}

/// Shows ten wrong ones, and another one; `ask` returns what is said to the last one.
async fn guess(mut ask: impl AsyncFnMut(&str) -> String) {
    for guess in 0..10 {
        let said = ask(&format!("a-guess-of-tests-{guess}")).await;
        assert!(said.contains("The key does not allow this."), "{said}");
    }
    let said = ask("another-guess-of-tests").await;
    assert!(said.contains("Too many wrong keys"), "{said}");
}

#[tokio::test]
async fn who_guesses_keys_on_the_page_has_to_wait_and_who_is_known_has_not() {
    let server = keyed_server().await;
    let mut ask = async |key: &str| {
        let form = format!("key={key}&channel=a%2F&sub=on");
        let request = format!(
            "POST /keygen HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(ask(MASTER).await.contains("<code>"));
    guess(&mut ask).await;
    assert!(
        ask(MASTER).await.contains("<code>"),
        "from the same address"
    );
}

#[tokio::test]
async fn who_guesses_keys_by_requests_has_to_wait_and_who_is_known_has_not() {
    for (request, field) in [("keygen", "key"), ("keyban", "secret")] {
        let server = keyed_server().await;
        let (mut client, _) = Client::connect(server, "c", Lasting::No).await;
        let mut ask = async |key: &str| {
            let body = match field {
                "key" => format!(r#"{{"key":"{key}","channel":"a/","type":"r"}}"#),
                _ => format!(r#"{{"secret":"{key}","target":"x","banned":true}}"#),
            };
            client
                .publish(1, false, 1, &format!("emitter/{request}/"), &body)
                .await;
            let mut answers = [client.packet().await, client.packet().await];
            answers.sort();
            String::from_utf8_lossy(&answers[0].1).into_owned()
        };
        ask(MASTER).await;
        guess(&mut ask).await;
        let said = ask(MASTER).await;
        assert!(!said.contains("Too many"), "from the same address: {said}");
    }
}

/// A topic begins with no master key, and does not tell what would be one.
#[tokio::test]
async fn a_topic_does_not_tell_master_keys() {
    let server = keyed_server().await;
    for key in [MASTER, "a-guess-of-tests"] {
        let (mut client, _) = Client::connect(server, key, Lasting::No).await;
        client.subscribe(&format!("{key}/x"), 0).await;
        client.publish(1, false, 1, &format!("{key}/x"), "x").await;
        let mut answers = [client.packet().await, client.packet().await];
        answers.sort();
        assert_eq!(answers.map(|(first, _)| first), [0x30, 0x40]);
    }
}

#[tokio::test]
async fn who_guesses_passwords_has_to_wait_and_who_has_the_right_one_has_not() {
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(Password)
        .app(Emitter::default().authenticate(true));
    let (server, space) = start(builder).await;
    assert_eq!(connect(server, "right").await, 0);
    for _ in 0..20 {
        assert_eq!(connect(server, "forgotten").await, 4, "the same mistake");
    }
    for guess in 1..10 {
        assert_eq!(
            connect(server, &guess.to_string()).await,
            4,
            "guess {guess}"
        );
    }
    assert_eq!(connect(server, "another").await, 5, "not authorised");
    assert_eq!(connect(server, "right").await, 0, "from the same address");
    let counters = space.runtime().counters().all();
    let counted = counters.iter().filter(|counter| counter.app() == "emitter");
    assert_eq!(counted.map(|counter| counter.count()).sum::<u64>(), 1);
}
