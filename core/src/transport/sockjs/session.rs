//! A session that its client reads by HTTP requests (sockjs-protocol 0.3.3, "Session").

use std::{
    collections::VecDeque,
    fmt,
    net::IpAddr,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    HEARTBEAT, OPEN, close_frame, message_frame,
    table::{Identified, SessionTable},
};
use crate::{
    counters::Counter,
    delivery::{Flush, Pushed},
    memory::{Draw, Held},
    runtime::Runtime,
    transport::{CloseReason, Tick},
};

/// What a waiting message counts besides its bytes, so that a million empty ones count too.
const MESSAGE_COST: usize = 64;

/// How long a send request waits for the app once its messages are queued.
const TAKEN_WAIT: Duration = Duration::from_secs(1);

/// What all sessions of an endpoint have in common.
#[derive(Debug, Clone)]
pub(crate) struct SessionBounds {
    pub(crate) heartbeat_secs: u64,
    pub(crate) disconnect_delay_secs: u64,
    pub(crate) outbound_bytes_max: usize,
    pub(crate) inbound_bytes_max: usize,
    /// Sessions that were closed because more waited for them.
    pub(crate) overflown: Arc<Counter>,
    pub(crate) go_away: CloseReason,
}

/// A session that its client reads by HTTP requests.
///
/// It is `Open` until the app, the client's absence or the server's stop ends it. One that was closed
/// in order stays `Closing` for the disconnect delay, so that the client can come back for the reason;
/// one that the client left is `Gone` at once.
pub(crate) struct HttpSession {
    id: Box<str>,
    address: Option<IpAddr>,
    table: Weak<SessionTable<Self>>,
    bounds: Arc<SessionBounds>,
    runtime: Arc<Runtime>,
    /// Bytes that the app's queue has room for.
    room: Arc<Semaphore>,
    state: Mutex<SessionState>,
}

struct SessionState {
    phase: Phase,
    /// `o` was written.
    opened: bool,
    /// Messages for the client, quoted.
    queue: VecDeque<Bytes>,
    /// Bytes in `queue`, with the cost of each message.
    bytes: usize,
    /// Those bytes, of the memory budget.
    draw: Draw,
    /// The number of the attached receiver.
    receiver: Option<u64>,
    receivers_seen: u64,
    /// Wakes the attached receiver when it waits.
    waker: Option<Waker>,
    /// A flush is on its way.
    flushing: bool,
    heartbeat_due: bool,
    /// When a frame was written or a receiver came or went, in seconds of the wheel.
    since: u64,
    /// The way to the app; dropped when the session ends, which ends its task.
    inbound: Option<mpsc::UnboundedSender<Inbound>>,
}

enum Phase {
    Open,
    Closing { frame: String, since: u64 },
    Gone,
}

/// The messages of one send request, on their way to the app.
pub(super) struct Inbound {
    pub(super) messages: Vec<ByteString>,
    /// Their place in the queue; given back when the app has taken them.
    pub(super) room: OwnedSemaphorePermit,
    /// Dropped when the app has taken them.
    pub(super) taken: oneshot::Sender<()>,
}

/// A frame for the attached receiver.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) text: String,
    /// Nothing follows, and the receiver is detached already.
    pub(super) is_last: bool,
}

/// Why a receiver was not attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAttached {
    /// Another one waits.
    Busy,
    /// The session ended in this moment; it is out of the table.
    Gone,
}

/// The one attached receiver of a session. Dropping it while it is attached tells the session that the
/// client went away.
#[derive(Debug)]
pub(super) struct Receiver {
    session: Arc<HttpSession>,
    number: u64,
}

impl Identified for HttpSession {
    fn id(&self) -> &str {
        &self.id
    }
}

impl HttpSession {
    /// An open session, and what comes in for its app.
    pub(super) fn new(
        id: &str,
        address: Option<IpAddr>,
        table: &Arc<SessionTable<Self>>,
        bounds: Arc<SessionBounds>,
        runtime: Arc<Runtime>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Inbound>) {
        // The semaphore bounds it, in bytes.
        let (inbound, messages) = mpsc::unbounded_channel();
        let room = bounds.inbound_bytes_max.clamp(1, u32::MAX as usize >> 1);
        let session = Arc::new(Self {
            id: id.into(),
            address,
            table: Arc::downgrade(table),
            bounds,
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            state: Mutex::new(SessionState {
                phase: Phase::Open,
                opened: false,
                queue: VecDeque::new(),
                bytes: 0,
                draw: Draw::new(Held::Queues),
                receiver: None,
                receivers_seen: 0,
                waker: None,
                flushing: false,
                heartbeat_due: false,
                since: runtime.wheel().now(),
                inbound: Some(inbound),
            }),
            runtime,
        });
        (session, messages)
    }

    /// Where the client came from that opened the session.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Queues a message, quoted already. A queue that would pass its bound is dropped, and the session
    /// is closed: a slow consumer costs only itself.
    pub(crate) fn push(&self, quoted: Bytes) -> Pushed {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Open) {
            return Pushed::Closed;
        }
        let cost = quoted.len() + MESSAGE_COST;
        let bytes = state.bytes + cost;
        if bytes > self.bounds.outbound_bytes_max || !state.draw.resize(bytes) {
            state.forget_queue();
            self.bounds.overflown.add();
            self.end(&mut state, &CloseReason::SLOW_CONSUMER);
        } else {
            state.bytes = bytes;
            state.queue.push_back(quoted);
        }
        state.claim_flush()
    }

    /// Ends the session after what waits.
    pub(crate) fn close(&self, reason: &CloseReason) -> Pushed {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Open) {
            return Pushed::Closed;
        }
        self.end(&mut state, reason);
        state.claim_flush()
    }

    /// Ends the session at once: what waits is not sent any more.
    pub(crate) fn cut(&self, reason: &CloseReason) -> Pushed {
        self.state.lock().forget_queue();
        self.close(reason)
    }

    /// [`close`](Self::close) for those who do not flush.
    pub(super) fn fail(&self, reason: &CloseReason) {
        self.close(reason);
        let waker = self.state.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn end(&self, state: &mut SessionState, reason: &CloseReason) {
        state.phase = Phase::Closing {
            frame: close_frame(reason),
            since: self.runtime.wheel().now(),
        };
        state.inbound = None;
        self.room.close();
    }

    /// True unless the server closed the session.
    pub(super) fn takes_messages(&self) -> bool {
        !matches!(self.state.lock().phase, Phase::Closing { .. })
    }

    /// Hands messages to the app, when there is room. Those for a session that has ended are ignored.
    ///
    /// It waits a while until the app has taken them: what the app answers at once is there when the
    /// client polls next, as with servers that run sessions on one thread, and a slow app slows its
    /// client down.
    pub(super) async fn receive(&self, messages: Vec<ByteString>) {
        let cost: usize = messages.iter().map(|text| text.len() + MESSAGE_COST).sum();
        // One request that is larger than the whole queue takes the whole queue.
        let cost = cost.min(self.bounds.inbound_bytes_max).max(1);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX >> 1);
        let Ok(room) = self.room.clone().acquire_many_owned(cost).await else {
            return;
        };
        let (taken, done) = oneshot::channel();
        if let Some(inbound) = &self.state.lock().inbound {
            // It fails only when the app's task has died.
            let _ = inbound.send(Inbound {
                messages,
                room,
                taken,
            });
        } else {
            return;
        }
        // It ends with an error when the sender is dropped, which is what is waited for.
        let _ = tokio::time::timeout(TAKEN_WAIT, done).await;
    }

    /// Makes a new receiver the one that gets the frames.
    pub(super) fn attach(self: &Arc<Self>) -> Result<Receiver, NotAttached> {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Gone) {
            return Err(NotAttached::Gone);
        }
        if state.receiver.is_some() {
            return Err(NotAttached::Busy);
        }
        state.receivers_seen += 1;
        let number = state.receivers_seen;
        state.receiver = Some(number);
        state.heartbeat_due = false;
        state.since = self.runtime.wheel().now();
        Ok(Receiver {
            session: self.clone(),
            number,
        })
    }

    fn poll_frame(&self, number: u64, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        let mut state = self.state.lock();
        if state.receiver != Some(number) {
            return Poll::Ready(None);
        }
        let mut is_last = false;
        let text = if !state.opened {
            state.opened = true;
            OPEN.to_owned()
        } else if !state.queue.is_empty() {
            let queue = std::mem::take(&mut state.queue);
            state.forget_queue();
            // They were quoted by us: they are UTF-8.
            let quoted = queue.iter().map(|bytes| std::str::from_utf8(bytes));
            message_frame(&quoted.filter_map(Result::ok).collect::<Vec<_>>())
        } else {
            match &state.phase {
                Phase::Closing { frame, .. } => {
                    is_last = true;
                    frame.clone()
                }
                Phase::Gone => return Poll::Ready(None),
                Phase::Open if state.heartbeat_due => HEARTBEAT.to_owned(),
                Phase::Open => {
                    match &mut state.waker {
                        Some(waker) => waker.clone_from(cx.waker()),
                        None => state.waker = Some(cx.waker().clone()),
                    }
                    return Poll::Pending;
                }
            }
        };
        state.heartbeat_due = false;
        state.since = self.runtime.wheel().now();
        if is_last {
            state.detach();
        }
        Poll::Ready(Some(Frame { text, is_last }))
    }

    /// The receiver has had its share.
    fn detach(&self, number: u64) {
        let mut state = self.state.lock();
        if state.receiver == Some(number) {
            state.detach();
            state.since = self.runtime.wheel().now();
        }
    }

    /// The receiver was dropped: what it had taken may be lost, so that going on would hide a gap.
    fn torn_down(&self, number: u64) {
        let mut state = self.state.lock();
        if state.receiver != Some(number) {
            return;
        }
        state.detach();
        if matches!(state.phase, Phase::Open) {
            self.leave(&mut state);
            drop(state);
            self.remove();
        }
    }

    fn leave(&self, state: &mut SessionState) {
        state.phase = Phase::Gone;
        state.forget_queue();
        state.inbound = None;
        self.room.close();
    }

    /// Must be called without the lock: the table has its own.
    fn remove(&self) {
        if let Some(table) = self.table.upgrade() {
            table.remove(self);
        }
    }
}

impl SessionState {
    fn forget_queue(&mut self) {
        self.queue = VecDeque::new();
        self.bytes = 0;
        self.draw = Draw::new(Held::Queues);
    }

    fn detach(&mut self) {
        self.receiver = None;
        self.waker = None;
        self.flushing = false;
    }

    /// Only a receiver that waits needs a flush; any other looks at the queue anyway.
    fn claim_flush(&mut self) -> Pushed {
        if self.flushing || self.waker.is_none() {
            return Pushed::Queued;
        }
        self.flushing = true;
        Pushed::NeedsFlush
    }
}

impl Flush for HttpSession {
    fn flush(self: Arc<Self>) {
        let waker = {
            let mut state = self.state.lock();
            state.flushing = false;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Tick for HttpSession {
    fn tick(&self, now: u64) -> Option<u64> {
        let mut state = self.state.lock();
        let delay = self.bounds.disconnect_delay_secs;
        // A second more, because the wheel's seconds are cut off.
        let is_over = match state.phase {
            Phase::Gone => return None,
            Phase::Closing { since, .. } => now - since > delay,
            Phase::Open => state.receiver.is_none() && now - state.since > delay,
        };
        if is_over {
            self.leave(&mut state);
            let waker = state.waker.take();
            drop(state);
            self.remove();
            if let Some(waker) = waker {
                waker.wake();
            }
            return None;
        }
        if state.receiver.is_some() && now - state.since >= self.bounds.heartbeat_secs {
            state.heartbeat_due = true;
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        Some(1)
    }

    fn stop(&self) {
        self.fail(&self.bounds.go_away);
    }
}

impl fmt::Debug for HttpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the id: who knows it can take the session over.
        f.write_str("HttpSession")
    }
}

impl Receiver {
    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.session.poll_frame(self.number, cx)
    }

    /// The last frame was taken: the client may send its next request as soon as it has read it, and
    /// must not meet this receiver then.
    pub(super) fn detach(&self) {
        self.session.detach(self.number);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.session.torn_down(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use futures_util::task::noop_waker;

    struct Fixture {
        session: Arc<HttpSession>,
        table: Arc<SessionTable<HttpSession>>,
        inbound: mpsc::UnboundedReceiver<Inbound>,
    }

    fn open() -> Fixture {
        let table = SessionTable::new(10);
        let bounds = Arc::new(SessionBounds {
            heartbeat_secs: 25,
            disconnect_delay_secs: 5,
            outbound_bytes_max: 1000,
            inbound_bytes_max: 1000,
            overflown: Arc::new(Counter::new("test", "too slow")),
            go_away: CloseReason::GO_AWAY,
        });
        let runtime = Runtime::start(Limits::default(), Default::default());
        let (session, inbound) = HttpSession::new("s", None, &table, bounds, runtime);
        table.insert(&session);
        Fixture {
            session,
            table,
            inbound,
        }
    }

    fn frame(receiver: &Receiver) -> Option<String> {
        match receiver.poll_frame(&mut Context::from_waker(&noop_waker())) {
            Poll::Ready(frame) => Some(frame.expect("the receiver is attached").text),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn what_waits_comes_in_one_frame_and_only_a_waiting_receiver_is_flushed() {
        let Fixture { session, .. } = open();
        let receiver = session.attach().expect("it is free");
        assert_eq!(session.push("\"early\"".into()), Pushed::Queued);
        assert_eq!(frame(&receiver).as_deref(), Some("o"));
        assert_eq!(frame(&receiver).as_deref(), Some("a[\"early\"]"));
        assert_eq!(frame(&receiver), None);
        assert_eq!(session.push("\"a\"".into()), Pushed::NeedsFlush);
        assert_eq!(session.push("\"b\"".into()), Pushed::Queued);
        session.clone().flush();
        assert_eq!(frame(&receiver).as_deref(), Some("a[\"a\",\"b\"]"));
    }

    #[tokio::test]
    async fn one_receiver_at_a_time() {
        let Fixture { session, table, .. } = open();
        let first = session.attach().expect("it is free");
        assert_eq!(session.attach().err(), Some(NotAttached::Busy));
        first.detach();
        let second = session.attach().expect("it is free again");
        drop(first);
        assert_eq!(frame(&second).as_deref(), Some("o"), "the first was done");
        drop(second);
        assert_eq!(session.attach().err(), Some(NotAttached::Gone));
        assert!(table.get("s").is_none());
        assert_eq!(session.push("\"x\"".into()), Pushed::Closed);
    }

    #[tokio::test]
    async fn heartbeats_come_and_absence_ends_the_session() {
        let Fixture {
            session,
            table,
            mut inbound,
        } = open();
        let receiver = session.attach().expect("it is free");
        assert_eq!(frame(&receiver).as_deref(), Some("o"));
        assert_eq!(session.tick(24), Some(1));
        assert_eq!(frame(&receiver), None);
        assert_eq!(session.tick(25), Some(1));
        assert_eq!(frame(&receiver).as_deref(), Some("h"));
        receiver.detach();
        assert_eq!(session.tick(5), Some(1), "not before 5 whole seconds");
        assert_eq!(session.tick(6), None);
        assert!(table.get("s").is_none());
        assert!(inbound.recv().await.is_none(), "the app's task ends");
    }

    #[tokio::test]
    async fn a_closed_session_repeats_its_reason_for_a_while() {
        let Fixture {
            session,
            table,
            mut inbound,
        } = open();
        session.push("\"last\"".into());
        session.close(&CloseReason::GO_AWAY);
        assert!(inbound.recv().await.is_none(), "the app is told at once");
        assert!(!session.takes_messages());
        session.receive(vec!["ignored".into()]).await;
        let receiver = session.attach().expect("it is free");
        for expected in ["o", "a[\"last\"]", "c[3000,\"Go away!\"]"] {
            assert_eq!(frame(&receiver).as_deref(), Some(expected));
        }
        for _ in 0..2 {
            let next = session.attach().expect("the last frame detaches");
            assert_eq!(frame(&next).as_deref(), Some("c[3000,\"Go away!\"]"));
        }
        assert_eq!(session.tick(5), Some(1));
        assert_eq!(session.tick(6), None);
        assert!(table.get("s").is_none());
    }

    #[tokio::test]
    async fn bounds_end_the_session_or_make_senders_wait() {
        let Fixture {
            session,
            mut inbound,
            ..
        } = open();
        let text: ByteString = "x".repeat(600).into();
        let mut first = Box::pin(session.receive(vec![text.clone()]));
        let mut second = Box::pin(session.receive(vec![text]));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(
            first.as_mut().poll(&mut cx).is_pending(),
            "the app is at it"
        );
        assert!(second.as_mut().poll(&mut cx).is_pending(), "no room");
        drop(inbound.recv().await);
        assert!(first.as_mut().poll(&mut cx).is_ready());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(inbound.try_recv().is_ok(), "there was room");
        while session.push("\"0123456789\"".into()) != Pushed::Closed {}
        let receiver = session.attach().expect("it is free");
        assert_eq!(frame(&receiver).as_deref(), Some("o"));
        assert!(frame(&receiver).is_some_and(|frame| frame.starts_with("c[4008,")));
    }
}
