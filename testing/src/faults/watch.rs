//! The side of a subscriber that writes the log.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::clients::Sort;
use crate::checker::{Recorder, What};

/// How long a connection may take to be opened.
const CONNECT: Duration = Duration::from_secs(5);

/// What a subscriber says of itself, and how it is told to go.
#[derive(Debug)]
pub(super) struct Watch {
    log: Arc<Recorder>,
    number: usize,
    sort: Sort,
    node: usize,
    /// Where its node listens.
    pub(super) at: SocketAddr,
    pub(super) channels: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    has_left: bool,
    is_joined: bool,
    socket: Option<TcpStream>,
    /// What came before it was known that it is subscribed.
    early: Vec<What>,
}

impl Watch {
    pub(super) fn new(
        log: Arc<Recorder>,
        number: usize,
        sort: Sort,
        (node, at): (usize, SocketAddr),
        channels: &[&str],
    ) -> Self {
        Self {
            log,
            number,
            sort,
            node,
            at,
            channels: channels.iter().map(ToString::to_string).collect(),
            state: Mutex::default(),
        }
    }

    /// A name that no other client has.
    pub(super) fn name(&self) -> String {
        format!("subscriber-{}", self.number)
    }

    /// A connection to its node, which ends when the subscriber is told to go.
    pub(super) fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.at, CONNECT)?;
        stream.set_nodelay(true)?;
        let mut state = self.state();
        if state.has_left {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        state.socket = Some(stream.try_clone()?);
        Ok(stream)
    }

    /// It is subscribed: for the first time, again after a gap, or its session goes on.
    pub(super) fn joined(&self) {
        let mut state = self.state();
        if state.has_left {
            return;
        }
        state.is_joined = true;
        self.log.add(What::Joined {
            subscriber: self.number,
            protocol: self.sort.protocol.to_owned(),
            node: self.node,
            channels: self.channels.clone(),
            promised: self.sort.promised,
        });
        state.early.drain(..).for_each(|what| self.log.add(what));
    }

    /// A message came.
    pub(super) fn seen(&self, channel: &str, payload: String, again: bool) {
        let mut state = self.state();
        let what = What::Seen {
            subscriber: self.number,
            channel: channel.to_owned(),
            payload,
            again,
        };
        if state.has_left {
        } else if state.is_joined {
            self.log.add(what);
        } else {
            state.early.push(what);
        }
    }

    /// It was told that it may have missed something.
    pub(super) fn gap(&self, told: &str) {
        let mut state = self.state();
        state.early.clear();
        if std::mem::take(&mut state.is_joined) && !state.has_left {
            self.log.add(What::Gap {
                subscriber: self.number,
                told: told.to_owned(),
            });
        }
    }

    pub(super) fn is_joined(&self) -> bool {
        self.state().is_joined
    }

    pub(super) fn is_over(&self) -> bool {
        self.state().has_left
    }

    /// Has it go: nothing is written down any more, and its connection ends.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.has_left = true;
        self.log.add(What::Left {
            subscriber: self.number,
        });
        if let Some(socket) = state.socket.take() {
            // It may have ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
