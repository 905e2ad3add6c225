//! Event handlers that misbehave.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use polywire_core::{JsonText, Payload};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Caller, SystemEvent, Webhook, WebhookError, Webhooks};
use crate::{
    event::{ConnectRequest, Connection, Event, EventFailure, EventHandler, Reply},
    keys::Keys,
};

const ALLOWED: &str = "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\nContent-Length: 0\r\n\r\n";
const LIMIT: usize = 64 << 10;

/// What is answered to a POST.
#[derive(Clone, Copy)]
enum Answer {
    Says(&'static str),
    Never,
    /// Without an end.
    Flood,
}

/// A server that allows everything, or nothing, and answers every event alike.
async fn server(permission: &'static str, answer: Answer) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = posts.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, permission, answer, counted.clone()));
        }
    });
    (address, posts)
}

async fn serve(
    mut socket: TcpStream,
    permission: &'static str,
    answer: Answer,
    posts: Arc<AtomicUsize>,
) {
    let mut read = Vec::new();
    loop {
        // The bodies of these tests end with a brace or an `x`, and come with their heads or behind them.
        while !(read.starts_with(b"OPTIONS") && read.ends_with(b"\r\n\r\n")
            || read.ends_with(b"}")
            || read.ends_with(b"x"))
        {
            if socket.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        }
        if read.starts_with(b"OPTIONS") {
            socket.write_all(permission.as_bytes()).await.unwrap();
        } else {
            posts.fetch_add(1, Ordering::SeqCst);
            match answer {
                Answer::Says(text) => socket.write_all(text.as_bytes()).await.unwrap(),
                Answer::Never => std::future::pending().await,
                Answer::Flood => {
                    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
                    socket.write_all(head).await.unwrap();
                    while socket.write_all(&[b'x'; 4096]).await.is_ok() {
                        posts.fetch_add(1, Ordering::SeqCst);
                    }
                    return;
                }
            }
        }
        read.clear();
    }
}

fn webhooks(address: SocketAddr) -> Webhooks {
    let webhook = Webhook::new(format!("http://{address}/hook/{{event}}"))
        .unwrap()
        .system_events([SystemEvent::Connect, SystemEvent::Connected])
        .allow_private_addresses(true)
        .timeout(Duration::from_millis(500));
    with(webhook)
}

fn with(webhook: Webhook) -> Webhooks {
    Webhooks {
        callers: Arc::new(vec![Caller::new(webhook).unwrap()]),
        keys: Keys::new(None, None),
        origin: "localhost".into(),
        bytes_max: LIMIT,
    }
}

fn connection() -> Connection {
    Connection::new("abc".into(), "chat".into(), None, None, None)
}

async fn event(webhooks: &Webhooks) -> Result<Reply, EventFailure> {
    let event = Event::new("message".into(), Payload::text("x"), false);
    webhooks.event(&connection(), event).await
}

async fn status_of_connect(webhooks: &Webhooks) -> Result<(), u16> {
    let request = ConnectRequest::new(
        connection(),
        serde_json::Map::new(),
        "a=1".into(),
        http::HeaderMap::new(),
        Vec::new(),
    );
    let welcome = webhooks.connect(&request).await;
    welcome.map(|_| ()).map_err(|failure| failure.status)
}

#[tokio::test]
async fn a_handler_that_hangs_is_late() {
    let (address, posts) = server(ALLOWED, Answer::Never).await;
    let webhooks = webhooks(address);
    assert_eq!(event(&webhooks).await.unwrap_err().status, 504);
    assert_eq!(status_of_connect(&webhooks).await, Err(504));
    // Whether they were done is not known, so that they are not posted again.
    assert_eq!(posts.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_event_that_fails_is_posted_once_and_a_notice_again() {
    let failure = "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nsorry";
    let (address, posts) = server(ALLOWED, Answer::Says(failure)).await;
    let webhooks = webhooks(address);
    let failed = event(&webhooks).await.unwrap_err();
    assert_eq!(
        (failed.status, failed.message.as_str()),
        (502, "The event handler answered 500.")
    );
    assert_eq!(posts.load(Ordering::SeqCst), 1);
    assert_eq!(status_of_connect(&webhooks).await, Err(500));
    assert_eq!(posts.load(Ordering::SeqCst), 2);
    webhooks.connected(&connection()).await;
    assert_eq!(posts.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, reached) = server(ALLOWED, Answer::Never).await;
    let redirect =
        format!("HTTP/1.1 307 There\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n");
    let (address, _) = server(ALLOWED, Answer::Says(redirect.leak())).await;
    assert_eq!(event(&webhooks(address)).await.unwrap_err().status, 502);
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_it() {
    let (address, posts) = server(ALLOWED, Answer::Flood).await;
    let failed = event(&webhooks(address)).await.unwrap_err();
    assert_eq!(failed.status, 502);
    assert!(failed.message.contains("more than"), "{failed}");
    // What the system buffers on the way is more than what is read.
    assert!(posts.load(Ordering::SeqCst) < 10_000);
    let promise = "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n";
    let (address, _) = server(ALLOWED, Answer::Says(promise)).await;
    let failed = event(&webhooks(address)).await.unwrap_err();
    assert!(failed.message.contains("more than"), "{failed}");
}

#[tokio::test]
async fn nothing_is_posted_without_permission() {
    for refused in [
        "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: other\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (address, posts) = server(refused, Answer::Never).await;
        let webhooks = webhooks(address);
        assert_eq!(event(&webhooks).await.unwrap_err().status, 502);
        assert_eq!(posts.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn private_addresses_are_refused_also_behind_names() {
    let literal = Webhook::new("http://127.0.0.1:1/").unwrap();
    assert_eq!(
        Caller::new(literal).err(),
        Some(WebhookError::PrivateAddress)
    );
    let (address, posts) = server(ALLOWED, Answer::Never).await;
    let named = Webhook::new(format!("http://localhost:{}/", address.port())).unwrap();
    assert_eq!(event(&with(named)).await.unwrap_err().status, 502);
    assert_eq!(posts.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn answers_have_the_type_that_they_say() {
    let json = JsonText::parse("{\"a\":1}".into()).unwrap();
    let cases = [
        ("application/json", "{\"a\":1}", Some(Payload::json(json))),
        ("text/plain; charset=utf-8", "{}", Some(Payload::text("{}"))),
        (
            "application/octet-stream",
            "ab",
            Some(Payload::Binary("ab".into())),
        ),
        ("text/plain", "", None),
    ];
    for (media_type, body, wanted) in cases {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\
             ce-connectionState: e30=\r\n\r\n{body}"
        );
        let (address, _) = server(ALLOWED, Answer::Says(answer.leak())).await;
        let reply = event(&webhooks(address)).await.unwrap();
        assert_eq!(reply.payload, wanted);
        assert_eq!(reply.state.as_deref(), Some("e30="));
    }
    let bad = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{";
    let (address, _) = server(ALLOWED, Answer::Says(bad)).await;
    assert_eq!(event(&webhooks(address)).await.unwrap_err().status, 502);
}
