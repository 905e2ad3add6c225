//! The bounded outgoing queue of one connection.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, IoSlice},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::{
    Flush,
    batch_buffer::BatchSlice,
    numbered::{Numbered, NumberedRun},
    queued_bytes::{Numbers, QueuedBytes},
};
use crate::{
    counters::{Counter, Counters},
    limits::Limits,
    memory::{Draw, Held},
    net::Socket,
};

/// Pieces that one vectored write takes at most: enough that the system call is not what costs.
const SLICES_MAX: usize = 64;

/// Bytes after which a queue is written before its batch ends: a socket's buffer takes little more.
const BATCH_BYTES_MAX: usize = 64 << 10;

/// Bytes that a waiting frame counts at least, against a queue of a million frames of a few bytes.
const FRAME_COST_MIN: usize = 64;

/// A queue longer than this gives its memory back when it runs empty.
const CAPACITY_KEPT: usize = 8;

/// The bounds of an outbox, shared by all connections of one kind.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// Bytes that may wait.
    pub bytes_max: usize,
    /// How long the peer may take nothing while something waits.
    pub stall: Duration,
    /// The last frame of a connection that passed a bound: the protocol's own way to say "too slow".
    pub farewell: Bytes,
    /// Connections that were closed because more waited for them than [`bytes_max`](Self::bytes_max).
    pub overflown: Arc<Counter>,
    /// Connections that were closed because they took nothing for [`stall`](Self::stall).
    pub stalled: Arc<Counter>,
}

impl OutboxOptions {
    /// The bounds of the server's limits, for connections of `app`.
    pub fn new(limits: &Limits, counters: &Counters, app: &'static str, farewell: Bytes) -> Self {
        Self {
            bytes_max: limits.outbound_bytes_max,
            stall: limits.outbound_stall(),
            farewell,
            overflown: counters.of(app, "closed a slow consumer: too much waited for it"),
            stalled: counters.of(app, "closed a slow consumer: it took nothing for too long"),
        }
    }
}

/// What became of a pushed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits; the outbox must be handed to the [`Flusher`](super::Flusher).
    NeedsFlush,
    /// It waits, and whoever flushes knows already.
    Queued,
    /// The connection is closing; the frame was dropped.
    Closed,
}

/// The bounded outgoing queue of one connection.
///
/// Frames are shared bytes; a push is a short lock. Writing happens in [`Flush::flush`], without waiting;
/// only a connection whose socket is full gets a task of its own, until it has caught up.
pub struct Outbox {
    socket: Arc<Socket>,
    options: Arc<OutboxOptions>,
    state: Mutex<OutboxState>,
    /// Told once, when nothing is taken any more.
    closing: Notify,
}

#[derive(Default)]
struct OutboxState {
    queue: VecDeque<QueuedBytes>,
    /// Bytes in `queue` that are not written yet.
    bytes: usize,
    /// Bytes of the first piece that are written already.
    written: usize,
    /// A flush is on its way.
    flushing: bool,
    /// The socket is full and a task waits for it.
    blocked: Option<Box<Blocked>>,
    /// Nothing is taken any more; the write side is shut down when the queue is empty.
    closing: bool,
}

/// What there is while the socket is full: one that takes everything holds nothing for long.
struct Blocked {
    /// What waits, of the memory budget.
    draw: Draw,
    /// Told when some of it was written, and when that is over.
    progress: Arc<Notify>,
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.progress.notify_one();
    }
}

impl Outbox {
    /// An empty outbox for `socket`.
    pub fn new(socket: Arc<Socket>, options: Arc<OutboxOptions>) -> Arc<Self> {
        Arc::new(Self {
            socket,
            options,
            state: Mutex::default(),
            closing: Notify::new(),
        })
    }

    /// Puts a frame into the queue. A queue that would pass its bound is dropped, and the connection
    /// is closed with the farewell: a slow consumer costs only itself.
    pub fn push(self: &Arc<Self>, frame: Bytes) -> Pushed {
        self.push_shared(&frame, None)
    }

    /// [`push`](Self::push) for a frame that many connections get; `placed` is the same frame on the buffer of
    /// the batch.
    pub(super) fn push_shared(
        self: &Arc<Self>,
        frame: &Bytes,
        placed: Option<&BatchSlice>,
    ) -> Pushed {
        let mut state = self.state.lock();
        if state.closing {
            return Pushed::Closed;
        }
        if frame.is_empty() {
            return Pushed::Queued;
        }
        if self.takes(&mut state, frame.len()) {
            state.append(frame, placed);
        }
        state.claim_flush()
    }

    /// True when a frame of this length may be queued, and is counted already; otherwise the queue is dropped.
    #[inline]
    fn takes(self: &Arc<Self>, state: &mut OutboxState, length: usize) -> bool {
        if state.blocked.is_none()
            && (state.queue.len() >= SLICES_MAX || state.bytes >= BATCH_BYTES_MAX)
        {
            // One write takes no more: waiting for the end of the batch would only cost memory.
            self.write_now(state);
        }
        let frames_max = self.options.bytes_max / FRAME_COST_MIN;
        if state.bytes + length > self.options.bytes_max
            || state.queue.len() > frames_max
            || !state.draw(length)
        {
            state.overflow(self.options.farewell.clone());
            self.options.overflown.add();
            self.closing.notify_one();
            return false;
        }
        state.bytes += length;
        true
    }

    /// [`push`](Self::push) for a message that has a number on this connection; `placed` is its body on the buffer of
    /// the batch.
    pub(crate) fn push_numbered(
        self: &Arc<Self>,
        message: &Numbered<'_>,
        placed: Option<&BatchSlice>,
    ) -> Pushed {
        let mut state = self.state.lock();
        if state.closing {
            return Pushed::Closed;
        }
        let length = message.frame_length();
        if self.takes(&mut state, length) {
            state.append_numbered(message, length, placed);
        }
        state.claim_flush()
    }

    /// [`push`](Self::push) for a frame that is not written, nor what comes behind it, until it is
    /// [released](Self::release) or the connection is closed.
    ///
    /// # Errors
    /// What became of it where it is not held.
    pub(super) fn hold(self: &Arc<Self>, frame: Bytes) -> Result<(), Pushed> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(Pushed::Closed);
        }
        if !self.takes(&mut state, frame.len()) {
            return Err(state.claim_flush());
        }
        state.queue.push_back(QueuedBytes::Held(frame));
        Ok(())
    }

    /// Lets the first frame that is held go.
    pub(super) fn release(&self) -> Pushed {
        let mut state = self.state.lock();
        let held = state.queue.iter_mut().find(|piece| piece.is_held());
        match held {
            Some(piece) => piece.release(),
            // It was dropped with its connection, or went with its close.
            None => return Pushed::Queued,
        }
        state.claim_flush()
    }

    /// Puts the last frame, if it is not empty, into the queue; when all is written, the write side is
    /// shut down.
    pub fn close(&self, last: Bytes) -> Pushed {
        let mut state = self.state.lock();
        if state.closing {
            return Pushed::Closed;
        }
        state.queue.iter_mut().for_each(QueuedBytes::release);
        // An empty one would be written as nothing, which a socket takes for its end.
        if !last.is_empty() {
            state.bytes += last.len();
            state.queue.push_back(QueuedBytes::Own(last));
        }
        state.closing = true;
        self.closing.notify_one();
        state.claim_flush()
    }

    /// [`close`](Self::close) without what waits: only a frame that has begun comes to its end.
    pub fn cut(&self, last: Bytes) -> Pushed {
        let mut state = self.state.lock();
        if state.closing {
            return Pushed::Closed;
        }
        state.overflow(last);
        self.closing.notify_one();
        state.claim_flush()
    }

    /// True when nothing is taken any more.
    pub fn is_closing(&self) -> bool {
        self.state.lock().closing
    }

    /// Waits until nothing is taken any more. Cancel safe; for one waiter.
    pub async fn closing(&self) {
        while !self.is_closing() {
            self.closing.notified().await;
        }
    }

    /// Waits until no more than `bytes` wait, or nothing is taken any more: for whoever has more to send than may wait, and
    /// sends it at the pace of the peer. Cancel safe; for one waiter.
    pub async fn drained_to(self: &Arc<Self>, bytes: usize) {
        loop {
            let progress = {
                let mut state = self.state.lock();
                if state.blocked.is_none() {
                    // Nobody else may write before the end of a batch.
                    self.write_now(&mut state);
                }
                match &state.blocked {
                    Some(blocked) if state.bytes > bytes && !state.closing => {
                        blocked.progress.clone()
                    }
                    _ => return,
                }
            };
            progress.notified().await;
        }
    }

    /// Bytes that may wait.
    pub fn bytes_max(&self) -> usize {
        self.options.bytes_max
    }

    /// Bytes that wait.
    pub fn queued_bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Writes until the queue is empty and all of it is with the system, the next frame is held, or the socket is full.
    fn write(&self, state: &mut OutboxState) -> io::Result<()> {
        while let Some(first) = state.queue.front().filter(|first| !first.is_held()) {
            let queued = state.queue.iter().take(SLICES_MAX);
            let queued = queued.take_while(|piece| !piece.is_held());
            let numbers = Numbers::of(queued.clone());
            let numbered = &mut numbers.as_slice();
            let result = if state.queue.len() == 1 {
                let bytes = first.bytes(numbered);
                self.socket.try_write(&bytes[state.written..])
            } else {
                let mut slices: SmallVec<[IoSlice<'_>; SLICES_MAX]> = queued
                    .map(|piece| IoSlice::new(piece.bytes(numbered)))
                    .collect();
                slices[0].advance(state.written);
                self.socket.try_write_vectored(&slices)
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => state.advance(written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if state.queue.is_empty() && state.queue.capacity() > CAPACITY_KEPT {
            state.queue = VecDeque::new();
        }
        if state.closing {
            self.socket.shutdown_write()
        } else {
            // TLS may still hold encrypted bytes that did not fit.
            self.socket.try_flush()
        }
    }

    /// Writes what is possible without waiting; a full socket gets a task.
    fn write_now(self: &Arc<Self>, state: &mut OutboxState) {
        match self.write(state) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                state.blocked = Some(Box::new(Blocked {
                    draw: Draw::new(Held::Queues),
                    progress: Arc::default(),
                }));
                state.queue.iter_mut().for_each(QueuedBytes::settle);
                tokio::spawn(self.clone().write_blocked());
            }
            Err(_) => self.fail(state),
        }
    }

    /// Gives up: frees the queue and ends the connection, which its reader notices.
    fn fail(&self, state: &mut OutboxState) {
        state.closing = true;
        state.blocked = None;
        state.queue = VecDeque::new();
        state.bytes = 0;
        state.written = 0;
        self.closing.notify_one();
        self.socket.shutdown();
    }

    /// Waits for a full socket until the queue is empty, the peer stalls, or the connection fails.
    async fn write_blocked(self: Arc<Self>) {
        loop {
            let writable = tokio::time::timeout(self.options.stall, self.socket.writable()).await;
            if !matches!(writable, Ok(Ok(()))) {
                return self.stalled();
            }
            let mut state = self.state.lock();
            match self.write(&mut state) {
                Ok(()) => {
                    state.blocked = None;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => state.give_back(),
                Err(_) => return self.fail(&mut state),
            }
        }
    }

    fn stalled(&self) {
        let mut state = self.state.lock();
        let (peer, queued_bytes) = (self.socket.peer(), state.bytes);
        tracing::debug!(?peer, queued_bytes, "a slow consumer took nothing");
        self.options.stalled.add();
        self.fail(&mut state);
    }
}

impl OutboxState {
    /// Draws what waits, with so many bytes more, while the socket is full; false when there is no room for it.
    #[inline]
    fn draw(&mut self, more: usize) -> bool {
        match &mut self.blocked {
            Some(blocked) => blocked.draw.resize(self.bytes + more),
            None => true,
        }
    }

    /// Gives back what was written.
    fn give_back(&mut self) {
        let Some(blocked) = &mut self.blocked else {
            return;
        };
        if self.bytes < blocked.draw.bytes() {
            // Less can always be held.
            let _ = blocked.draw.resize(self.bytes);
        }
        blocked.progress.notify_one();
    }

    /// Puts a piece behind the others. What leaves together is mostly one: a queue that grows by itself begins with room for
    /// four, and a client that is idle keeps it.
    #[inline]
    fn put(&mut self, piece: QueuedBytes) {
        if self.queue.capacity() == 0 {
            self.queue.reserve_exact(1);
        }
        self.queue.push_back(piece);
    }

    fn append(&mut self, frame: &Bytes, placed: Option<&BatchSlice>) {
        let Some(placed) = placed.filter(|_| self.blocked.is_none()) else {
            return self.put(QueuedBytes::Own(frame.clone()));
        };
        if let Some(QueuedBytes::BatchSlice(last)) = self.queue.back_mut()
            && last.extend(placed)
        {
            return;
        }
        self.put(QueuedBytes::BatchSlice(placed.clone()));
    }

    fn append_numbered(
        &mut self,
        message: &Numbered<'_>,
        length: usize,
        placed: Option<&BatchSlice>,
    ) {
        let Some(placed) = placed.filter(|_| self.blocked.is_none()) else {
            return self.put(QueuedBytes::Own(message.frame()));
        };
        if let Some(QueuedBytes::Numbered(last)) = self.queue.back_mut()
            && last.extend(message, length, placed)
        {
            return;
        }
        let run = NumberedRun::new(message, length, placed);
        self.put(QueuedBytes::Numbered(run));
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.queue.front() {
            let left = first.len() - self.written;
            if written < left {
                self.written += written;
                return;
            }
            written -= left;
            self.written = 0;
            self.queue.pop_front();
        }
    }

    fn overflow(&mut self, farewell: Bytes) {
        // A frame that is partly on the wire must be finished, or the farewell could not be read. The piece
        // that it is in ends with a whole frame.
        let begun = if self.written > 0 {
            self.queue.pop_front()
        } else {
            None
        };
        self.queue = VecDeque::new();
        self.bytes = begun.as_ref().map_or(0, |piece| piece.len() - self.written) + farewell.len();
        self.queue.extend(begun);
        if !farewell.is_empty() {
            self.queue.push_back(QueuedBytes::Own(farewell));
        }
        self.closing = true;
    }

    fn claim_flush(&mut self) -> Pushed {
        if self.flushing || self.blocked.is_some() {
            return Pushed::Queued;
        }
        self.flushing = true;
        Pushed::NeedsFlush
    }
}

impl Flush for Outbox {
    fn flush(self: Arc<Self>) {
        let mut state = self.state.lock();
        state.flushing = false;
        if state.blocked.is_none() {
            self.write_now(&mut state);
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("queued_bytes", &self.queued_bytes())
            .finish_non_exhaustive()
    }
}
