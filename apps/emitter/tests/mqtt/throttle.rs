//! Whoever tries passwords out is slowed down; who has the right one gets in.

use std::net::SocketAddr;

use async_trait::async_trait;
use polywire_core::{
    AppRunner, AuthenticationError, AuthenticationPolicy, Credentials, Identity,
    testkit::LocalBackend,
};
use polywire_emitter::Emitter;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::{SOON, text},
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
