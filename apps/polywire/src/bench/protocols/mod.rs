//! The protocols that load can be spoken in: one file each.

pub(super) mod floor;
mod knsock;
mod seth;

use polywire::cli::BenchProtocol;

/// How one protocol is spoken by a program that knows what it will be told.
pub(super) trait Protocol {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Goes on with a connection that is not ready: called once at the beginning, and when bytes came.
    ///
    /// True when everything that has to be sent first was sent and answered.
    ///
    /// # Errors
    /// What the server answered instead.
    fn open(&self, opening: &mut Opening, out: &mut Vec<u8>) -> Result<bool, String>;

    /// Writes what publishes `text`.
    fn publish(&self, channel: usize, text: &str, out: &mut Vec<u8>);

    /// Looks at what a publisher was answered.
    ///
    /// # Errors
    /// What the server answered instead of success.
    fn answer(&self, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Subscriber,
    Publisher,
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) role: Role,
    /// The number among those of its role.
    pub(super) number: usize,
    /// The channel of a subscriber.
    pub(super) channel: usize,
}

/// A connection that is being opened.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) client: Client,
    /// How far the protocol has come; 0 at the beginning.
    pub(super) stage: u8,
    /// What came and was not yet looked at.
    pub(super) received: Vec<u8>,
}

impl Opening {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            stage: 0,
            received: Vec::new(),
        }
    }

    fn is_subscriber(&self) -> bool {
        self.client.role == Role::Subscriber
    }

    /// True when `text` has come; then everything so far counts as looked at.
    fn has(&mut self, text: &str) -> bool {
        let found = memchr::memmem::find(&self.received, text.as_bytes()).is_some();
        if found {
            self.received.clear();
        }
        found
    }
}

/// The protocol of that name; none for what is not measured.
pub(super) fn protocol(name: BenchProtocol, authority: &str) -> Option<Box<dyn Protocol>> {
    Some(match name {
        BenchProtocol::Floor => Box::new(floor::Floor),
        BenchProtocol::Seth => Box::new(seth::Seth::new(authority)),
        BenchProtocol::Knsock => Box::new(knsock::KnSock),
        _ => return None,
    })
}

/// The name of a channel.
fn channel(number: usize) -> String {
    format!("bench-{number}")
}

/// The beginning of an answer, for people.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    text.lines().next().unwrap_or_default().to_owned()
}
