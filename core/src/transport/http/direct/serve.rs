//! One connection on the fast path.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{Method, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Responder, Responding,
    encode::{encode, rest},
    head::{HEAD_BYTES_MAX, Head, Parsed, parse},
};
use crate::{
    drain::DrainPlace,
    limits::Limits,
    memory::{Draw, Held},
    net::with_read_buffer,
    runtime::Runtime,
    transport::{
        Socket,
        guarded::no_room,
        http::{Answer, Body, Request, head_rules},
    },
    turn::Turn,
};

/// Bytes that came and were not taken yet which a connection may hold without drawing for them: most hold none.
const KEPT_FREE: usize = 2 << 10;

/// How it went on.
pub(in crate::transport::http) enum Outcome {
    /// The connection is over.
    Ended,
    /// A request came that is not for the fast path.
    Other {
        /// The connection.
        socket: Socket,
        /// The request, as far as it was read.
        read_ahead: Bytes,
        /// When its head must be complete.
        due: Instant,
    },
}

/// Serves a connection as long as what comes is for the fast path.
pub(in crate::transport::http) async fn serve(
    runtime: &Runtime,
    responders: &[Arc<dyn Responder>],
    socket: Socket,
    read_ahead: Bytes,
    peer: SocketAddr,
) -> Outcome {
    let place = DrainPlace::next();
    let mut connection = FastPathConnection {
        runtime,
        limits: runtime.limits(),
        place,
        socket,
        kept: read_ahead,
        draw: Draw::new(Held::Connections),
        peer,
    };
    let mut idle = runtime.limits().header_timeout();
    let mut turn = Turn::begin();
    loop {
        match turn.wait(connection.next(responders, idle)).await {
            Next::Request(responder, head) => {
                if turn.wait(connection.answer(responder, head)).await.is_err() {
                    return Outcome::Ended;
                }
                turn.give_way().await;
            }
            Next::Other(due) => {
                return Outcome::Other {
                    socket: connection.socket,
                    read_ahead: connection.kept,
                    due,
                };
            }
            Next::End => return Outcome::Ended,
        }
        idle = runtime.limits().keep_alive_timeout();
    }
}

struct FastPathConnection<'r> {
    runtime: &'r Runtime,
    limits: &'r Limits,
    /// When it goes while the server drains.
    place: DrainPlace,
    socket: Socket,
    /// What came and was not taken yet; mostly empty, and without memory then.
    kept: Bytes,
    /// What is kept of the memory budget, where it is much.
    draw: Draw,
    peer: SocketAddr,
}

/// What came, when it was waited for.
enum Next<'r> {
    Request(&'r dyn Responder, Head),
    /// Something else, with the time when its head must be complete.
    Other(Instant),
    End,
}

/// What was there.
enum Taken<'r> {
    Request(&'r dyn Responder, Head),
    Nothing,
    Other,
}

impl FastPathConnection<'_> {
    /// Waits for a request: so long for it to begin, and then for its head to be complete.
    async fn next<'r>(&mut self, responders: &'r [Arc<dyn Responder>], idle: Duration) -> Next<'r> {
        let (head, drain, place) = (
            self.limits.header_timeout(),
            self.runtime.drain(),
            self.place,
        );
        let mut has_begun = !self.kept.is_empty();
        let mut due = Instant::now() + if has_begun { head } else { idle };
        loop {
            if has_begun {
                match self.take(responders) {
                    Taken::Request(responder, head) => return Next::Request(responder, head),
                    Taken::Other => return Next::Other(due),
                    Taken::Nothing => {}
                }
            }
            let read = tokio::select! {
                biased;
                read = timeout_at(due, self.read()) => read,
                () = drain.turn(place) => return Next::End,
            };
            match read {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Next::End,
            }
            if !has_begun {
                has_begun = true;
                due = Instant::now() + head;
            }
        }
    }

    /// Takes a request from what came, if it is whole and somebody takes it.
    fn take<'r>(&mut self, responders: &'r [Arc<dyn Responder>]) -> Taken<'r> {
        let mut found = None;
        let parsed = parse(&self.kept, |path| {
            found = responders.iter().find(|responder| responder.takes(path));
            found.is_some()
        });
        match (parsed, found) {
            (Parsed::Complete(head, length), Some(responder)) => {
                self.kept.advance(length);
                if self.kept.is_empty() {
                    self.kept = Bytes::new();
                    let _ = self.draw.resize(0);
                }
                Taken::Request(&**responder, head)
            }
            (Parsed::Partial, _) => Taken::Nothing,
            _ => Taken::Other,
        }
    }

    /// Has a request answered, and writes the answer. An error means that the connection is over.
    async fn answer(&mut self, responder: &dyn Responder, head: Head) -> io::Result<()> {
        let mut terms = head.terms;
        let answer = match self.request(head) {
            Some(request) => self.hold(responder.respond(request)).await?,
            None => {
                terms.keep_alive = false;
                self.too_many()
            }
        };
        terms.keep_alive &= !self.runtime.drain().is_turn_of(self.place);
        self.write(&encode(&answer, terms)).await?;
        self.write(rest(&answer)).await?;
        if terms.keep_alive {
            return Ok(());
        }
        let limit = self.limits.outbound_stall();
        timeout(limit, AsyncWriteExt::shutdown(&mut self.socket)).await??;
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// The request, unless too many connections are open from its client.
    fn request(&self, head: Head) -> Option<Request> {
        let client = self
            .runtime
            .trusted_proxies()
            .client(self.peer, &head.headers);
        let slot = self.socket.slot();
        let is_counted = client.ip() == self.peer.ip()
            || slot.is_none_or(|slot| slot.count_for(client.ip(), self.limits));
        is_counted.then(|| Request {
            method: Method::GET,
            is_head: false,
            path: head.path,
            query: head.query,
            is_cut: false,
            headers: head.headers,
            peer: Some(client),
            place: self.place,
            on_upgrade: None,
            body: Body::empty(),
        })
    }

    fn too_many(&self) -> Answer {
        let sentence = head_rules::too_many_connections(self.runtime);
        let mut answer = Answer::new(Bytes::from_static(sentence.as_bytes()));
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        answer
    }

    /// Waits for the answer, which is dropped when the client goes away. What the client sends meanwhile is
    /// kept, up to a bound; beyond it nothing is read before the answer.
    async fn hold(&mut self, mut answer: Responding<'_>) -> io::Result<Answer> {
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer),
                read = self.read(), if self.kept.len() < HEAD_BYTES_MAX => read?,
            }
        }
    }

    /// Waits for more, and keeps it; the end is an error. Cancel safe.
    async fn read(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = HEAD_BYTES_MAX - self.kept.len();
        with_read_buffer(|buffer| {
            let mut buffer = ReadBuf::new(&mut buffer[..room]);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            let came = buffer.filled();
            if came.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.kept = if self.kept.is_empty() {
                Bytes::copy_from_slice(came)
            } else {
                [&self.kept, came].concat().into()
            };
            Poll::Ready(self.draw())
        })
    }

    /// Draws for what is kept; an error where there is no room for it.
    fn draw(&mut self) -> io::Result<()> {
        let length = self.kept.len();
        let is_free = length <= KEPT_FREE;
        if self.draw.resize(if is_free { 0 } else { length }) {
            return Ok(());
        }
        no_room(self.runtime).add();
        Err(io::ErrorKind::OutOfMemory.into())
    }

    /// Writes everything, unless the peer takes nothing of it for too long.
    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let limit = self.limits.outbound_stall();
        while !bytes.is_empty() {
            let count = timeout(limit, self.socket.write(bytes)).await??;
            bytes = &bytes[count..];
        }
        timeout(limit, self.socket.flush()).await?
    }
}
