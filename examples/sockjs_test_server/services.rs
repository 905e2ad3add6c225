//! Services: what each does in its sessions.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use parking_lot::Mutex;
use polywire_core::{
    Identity,
    delivery::{Link, Message},
    transport::{CloseReason, Ending, Endpoint, Handshake, SessionHandler},
};

/// The largest exponent that `/amplify` takes: 2^19 is half a megabyte.
const AMPLIFY_MAX: u32 = 19;

/// Sends back what comes.
pub(crate) struct Echo;

impl Endpoint for Echo {
    fn open(&self, link: Link, _: &Handshake, _: Arc<Identity>) -> Box<dyn SessionHandler> {
        Box::new(EchoSession(link))
    }
}

struct EchoSession(Link);

#[async_trait]
impl SessionHandler for EchoSession {
    async fn on_message(&mut self, message: Message) {
        self.0.send(&message);
    }
}

/// Closes every session when it opens.
pub(crate) struct Close;

impl Endpoint for Close {
    fn open(&self, link: Link, _: &Handshake, _: Arc<Identity>) -> Box<dyn SessionHandler> {
        Box::new(CloseSession(link))
    }
}

struct CloseSession(Link);

#[async_trait]
impl SessionHandler for CloseSession {
    async fn on_open(&mut self) {
        self.0.close(&CloseReason::GO_AWAY);
    }

    async fn on_message(&mut self, _: Message) {}
}

/// Answers a number n with 2^n letters.
pub(crate) struct Amplify;

impl Endpoint for Amplify {
    fn open(&self, link: Link, _: &Handshake, _: Arc<Identity>) -> Box<dyn SessionHandler> {
        Box::new(AmplifySession(link))
    }
}

struct AmplifySession(Link);

#[async_trait]
impl SessionHandler for AmplifySession {
    async fn on_message(&mut self, message: Message) {
        let number = std::str::from_utf8(message.as_bytes())
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok())
            .filter(|number| *number <= AMPLIFY_MAX)
            .unwrap_or(1);
        self.0.send(&Message::Text("x".repeat(1 << number).into()));
    }
}

/// Sends what comes to everybody.
///
/// Apps that speak to others than themselves publish to the `Space` instead.
#[derive(Default)]
pub(crate) struct Broadcast {
    next: AtomicU64,
    links: Arc<Mutex<HashMap<u64, Link>>>,
}

impl Endpoint for Broadcast {
    fn open(&self, link: Link, _: &Handshake, _: Arc<Identity>) -> Box<dyn SessionHandler> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.links.lock().insert(number, link);
        Box::new(BroadcastSession {
            number,
            links: self.links.clone(),
        })
    }
}

struct BroadcastSession {
    number: u64,
    links: Arc<Mutex<HashMap<u64, Link>>>,
}

#[async_trait]
impl SessionHandler for BroadcastSession {
    async fn on_message(&mut self, message: Message) {
        for link in self.links.lock().values() {
            link.send(&message);
        }
    }

    async fn on_close(&mut self, _: Ending) {
        self.links.lock().remove(&self.number);
    }
}
