//! A server whose sessions do what their clients ask.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use polywire_core::{
    App, AppRunner, Identity, Limits, Space, TrustedProxies,
    delivery::{Link, Message},
    http::Response,
    testkit,
    transport::{
        CloseReason, Ending, Endpoint, Handshake, SessionHandler,
        sockjs::{SockJs, SockJsOptions},
    },
};
use tokio::sync::oneshot;
use warp::{Filter, filters::BoxedFilter};

/// What the app of the server saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A session opened; the path of its handshake.
    Open(String),
    /// A message came.
    Message(String),
    /// A session ended.
    Close,
}

/// How the server is composed.
#[derive(Default)]
pub struct Settings {
    /// Limits of the server.
    pub limits: Limits,
    /// Proxies that are believed.
    pub trusted_proxies: TrustedProxies,
    /// Options at `/echo`.
    pub options: SockJsOptions,
}

/// A running server; stopped when dropped.
pub struct TestServer {
    /// Where it listens.
    pub address: SocketAddr,
    events: mpsc::Receiver<Event>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    /// `/echo` with a response limit of 4096, `/close`, and a WebSocket echo at `/echo/websocket`.
    pub fn start() -> Self {
        Self::with(Settings {
            options: SockJsOptions::default().response_bytes_max(4096),
            ..Settings::default()
        })
    }

    /// A server of these settings.
    pub fn with(settings: Settings) -> Self {
        let (event_sender, events) = mpsc::channel();
        let (address_sender, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let server = AppRunner::builder(testkit::LocalBackend::default())
                    .authentication(testkit::AllowAll)
                    .limits(settings.limits)
                    .trusted_proxies(settings.trusted_proxies)
                    .app(TestApp {
                        options: settings.options,
                        events: event_sender,
                    })
                    .listen(([127, 0, 0, 1], 0).into())
                    .build()
                    .await
                    .expect("the server starts");
                let address = server.address().expect("it listens");
                address_sender.send(address).expect("the test waits");
                server
                    .run(async {
                        let _ = stopped.await;
                    })
                    .await;
            });
        });
        Self {
            address: address.recv().expect("the server starts"),
            events,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Waits for what the app sees next.
    #[track_caller]
    pub fn event(&self) -> Event {
        self.events
            .recv_timeout(Duration::from_secs(10))
            .expect("the app sees something")
    }

    /// Begins to stop.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits until it has stopped.
    pub fn join(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the server panicked"
            );
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.join();
    }
}

struct TestApp {
    options: SockJsOptions,
    events: mpsc::Sender<Event>,
}

impl App for TestApp {
    fn name(&self) -> &'static str {
        "test"
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let mount = |prefix: &str, options: SockJsOptions, closes: bool| {
            let endpoint = Arc::new(Obedient {
                events: self.events.clone(),
                closes,
            });
            SockJs::new("test", prefix, endpoint, options).routes(space.runtime())
        };
        let options = &self.options;
        // The origins of the suite of the protocol's authors.
        let origins = options.allowed_origins.clone().and("test").and("null");
        let options = &options.clone().allowed_origins(origins);
        mount("/echo", options.clone(), false)
            .or(mount("/close", options.clone(), true))
            .unify()
            .or(mount("/cookie", options.clone().cookie(true), false))
            .unify()
            .or(mount(
                "/no_websocket",
                options.clone().websocket(false),
                false,
            ))
            .unify()
            .boxed()
    }
}

/// Echoes, and obeys `!close CODE REASON`, `!send COUNT LENGTH`, and `!who`, which asks where it is from.
struct Obedient {
    events: mpsc::Sender<Event>,
    closes: bool,
}

impl Endpoint for Obedient {
    fn open(&self, link: Link, handshake: &Handshake, _: Arc<Identity>) -> Box<dyn SessionHandler> {
        let _ = self
            .events
            .send(Event::Open(handshake.credentials.path.clone()));
        Box::new(ObedientSession {
            link,
            peer: handshake.credentials.peer,
            events: self.events.clone(),
            closes: self.closes,
        })
    }
}

struct ObedientSession {
    link: Link,
    peer: Option<SocketAddr>,
    events: mpsc::Sender<Event>,
    closes: bool,
}

#[async_trait::async_trait]
impl SessionHandler for ObedientSession {
    async fn on_open(&mut self) {
        if self.closes {
            self.link.close(&CloseReason::GO_AWAY);
        }
    }

    async fn on_message(&mut self, message: Message) {
        let text = String::from_utf8_lossy(message.as_bytes()).into_owned();
        if message.len() < 100 {
            let _ = self.events.send(Event::Message(text.clone()));
        }
        let mut words = text.splitn(3, ' ');
        let (order, number, rest) = (words.next(), words.next(), words.next());
        let number = number.and_then(|number| number.parse().ok()).unwrap_or(0);
        match order {
            Some("!close") => self.link.close(&CloseReason {
                code: number as u16,
                reason: rest.unwrap_or_default().to_owned().into(),
            }),
            Some("!who") => {
                let address = self.peer.map(|peer| peer.ip().to_string());
                let address = address.unwrap_or_default();
                self.link.send(&Message::Text(address.into()));
            }
            Some("!send") => {
                let length = rest.and_then(|length| length.parse().ok()).unwrap_or(1);
                let message = Message::Text("x".repeat(length).into());
                (0..number).for_each(|_: usize| self.link.send(&message));
            }
            _ => self.link.send(&message),
        }
    }

    async fn on_close(&mut self, _: Ending) {
        let _ = self.events.send(Event::Close);
    }
}
