//! The server under test, in this process.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use figment::{
    Figment,
    providers::{Format, Toml},
};
use polywire_core::{
    AppRunner, Builder, Channel, Composition, Draft, FromSettings, Identity, JsonText, Origin,
    Payload, Space,
    testkit::{AllowAll, Bus, LocalBackend},
};
use serde_json::Value;
use tokio::{runtime, sync::oneshot};

use crate::Endpoint;

/// A server in this process, on a free port of loopback. It stops when it is dropped.
pub struct Server {
    /// The first address that is listened on, as an endpoint.
    endpoint: Endpoint,
    /// All of them, in the order of the composition.
    pub addresses: Vec<SocketAddr>,
    space: Arc<Space>,
    runtime: runtime::Handle,
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
                let handle = runtime::Handle::current();
                started
                    .send((addresses, server.space().clone(), handle))
                    .unwrap();
                // Dropped or sent: both stop it.
                server.run(async { drop(stopped.await) }).await;
            });
        });
        let (addresses, space, runtime) = start.recv().expect("the server starts");
        Self {
            endpoint: Endpoint {
                address: addresses[0],
            },
            addresses,
            space,
            runtime,
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
        Self::compose_in::<A>(section, &Composition::default())
    }

    /// Like [`compose`](Self::compose), where the app is told this of the server.
    pub fn compose_in<A: FromSettings>(section: &str, composition: &Composition) -> Builder {
        let builder = AppRunner::builder(LocalBackend::default()).authentication(AllowAll);
        with::<A>(builder, section, composition)
    }

    /// One app more in a composition, by a section of its configuration.
    pub fn and<A: FromSettings>(builder: Builder, section: &str) -> Builder {
        with::<A>(builder, section, &Composition::default())
    }

    /// Publishes from inside, by no protocol; false when it is refused.
    pub fn publish_draft(&self, draft: Draft) -> bool {
        let origin = Origin::new("test", Identity::unrestricted());
        let published = self.space.publish(&origin, draft);
        self.runtime.block_on(published).is_ok()
    }

    /// The channel space.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Publishes to a channel from inside, by no protocol; it must succeed.
    pub fn publish_within(&self, channel: &str, message: &Value) {
        let channel = Channel::new(channel).unwrap();
        let payload = Payload::json(JsonText::of(message).unwrap());
        let origin = Origin::new("test", Identity::unrestricted());
        let published = self.space.publish(&origin, Draft::new(channel, payload));
        self.block_on(published).unwrap();
    }

    /// Does something on its runtime.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Asks it to stop. Dropping it waits until it has.
    pub fn shut_down(&mut self) {
        drop(self.stop.take());
    }
}

/// Adds an app by a section of its configuration.
fn with<A: FromSettings>(builder: Builder, section: &str, composition: &Composition) -> Builder {
    let settings: A::Settings = Figment::from(Toml::string(section)).extract().unwrap();
    let app = A::from_settings(&settings, composition);
    let app = app.unwrap_or_else(|problem| panic!("{problem:?}"));
    app.add_to(builder, &settings)
}

impl Deref for Server {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
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
        Server::start(with::<A>(builder, section, &Composition::default()))
    }

    /// Has a node miss a message on a channel, of which it is told: it has a gap.
    pub fn miss(&self, missing: &Server, publishing: &Server, channel: &str) {
        let missing = missing.space().hub().node();
        self.0.cut(missing);
        publishing.publish_within(channel, &Value::from("missed"));
        self.0.mend(missing);
    }

    /// The bus, from which nodes can be cut off.
    pub fn bus(&self) -> &Bus {
        &self.0
    }
}
