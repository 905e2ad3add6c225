//! The server under test, in this process.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use figment::{
    Figment,
    providers::{Format, Toml},
};
use polywire_core::{
    AppRunner, Builder, Composition, FromSettings, Listen, Space,
    testkit::{AllowAll, Bus, LocalBackend},
};
use serde_json::Value;
use tokio::{runtime, sync::oneshot};

use crate::peers::{Answer, HttpConnection, WebSocketClient};

/// A server in this process, on a free port of loopback. It stops when it is dropped.
pub struct Server {
    /// The first address that is listened on.
    pub address: SocketAddr,
    /// All of them, in the order of the composition.
    pub addresses: Vec<SocketAddr>,
    space: Arc<Space>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// What is composed so far, on one address more: a free port of loopback that serves every app.
    pub fn start(builder: Builder) -> Self {
        Self::run(builder.listen((Ipv4Addr::LOCALHOST, 0).into()))
    }

    /// What is composed, on the addresses that it names.
    pub fn run(builder: Builder) -> Self {
        let (started, start) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let server = builder.build().await.unwrap();
                let addresses: Vec<_> = server.addresses().map(|at| at.address).collect();
                started.send((addresses, server.space().clone())).unwrap();
                // Dropped or sent: both stop it.
                server.run(async { drop(stopped.await) }).await;
            });
        });
        let (addresses, space) = start.recv().expect("the server starts");
        Self {
            address: addresses[0],
            addresses,
            space,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// One app by a section of its configuration, such as `"open = true"`, in memory and open to everybody.
    pub fn of<A: FromSettings>(section: &str) -> Self {
        Self::start(Self::compose::<A>(section))
    }

    /// The composition of [`of`](Self::of), to be added to.
    pub fn compose<A: FromSettings>(section: &str) -> Builder {
        let builder = AppRunner::builder(LocalBackend::default()).authentication(AllowAll);
        with::<A>(builder, section)
    }

    /// The channel space.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// The beginning of a URL here.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One request on a connection of its own.
    pub fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        HttpConnection::open(self.address).request(method, target, headers, body)
    }

    /// A GET request.
    pub fn get(&self, target: &str) -> Answer {
        self.request("GET", target, &[], None)
    }

    /// A POST request.
    pub fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request("POST", target, &[], Some(body.as_ref()))
    }

    /// Posts to Seth-Pusher's HTTP API; it must succeed.
    pub fn publish(&self, target: &str, message: &Value) {
        let answer = self.post(target, message.to_string());
        assert_eq!((answer.status, answer.text()), (200, "{\"status\": 200}\n"));
    }

    /// A raw WebSocket of Seth-Pusher.
    pub fn websocket(&self) -> WebSocketClient {
        WebSocketClient::open(self.address, "/connect/websocket")
    }
}

/// Adds an app by a section of its configuration.
fn with<A: FromSettings>(builder: Builder, section: &str) -> Builder {
    let settings: A::Settings = Figment::from(Toml::string(section)).extract().unwrap();
    let app = A::from_settings(&settings, &Composition::default());
    let app = app.unwrap_or_else(|problem| panic!("{problem:?}"));
    app.add_to(builder, &settings)
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server panicked");
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({:?})", self.addresses)
    }
}

/// Nodes that share a channel space, on a bus in memory.
#[derive(Debug, Default)]
pub struct Nodes(Bus);

impl Nodes {
    /// One more node with one app, by a section of its configuration.
    pub fn start<A: FromSettings>(&self, section: &str) -> Server {
        let builder = AppRunner::builder(self.0.node()).authentication(AllowAll);
        Server::start(with::<A>(builder, section))
    }

    /// The bus, from which nodes can be cut off.
    pub fn bus(&self) -> &Bus {
        &self.0
    }
}

/// An address that serves these apps only, on a free port.
pub fn listen(apps: &[&str]) -> Listen {
    Listen::new((Ipv4Addr::LOCALHOST, 0).into()).apps(apps.iter().copied())
}
