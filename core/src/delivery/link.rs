//! The outgoing side of a session, whatever carries it.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::{Encoder, Fanout, Flush, Flusher, Message, Outbox, Pushed, Spliced};
use crate::transport::{CloseReason, Framing, sockjs::HttpSession, websocket::FrameHead};

/// The outgoing side of one session, whatever transport carries it. Clones share the session.
#[derive(Clone)]
pub struct Link {
    carrier: Carrier,
    flusher: Arc<Flusher>,
}

#[derive(Clone)]
enum Carrier {
    Socket(Arc<Outbox>, Framing),
    Http(Arc<HttpSession>),
}

impl Link {
    /// A session on a socket of its own.
    pub fn socket(outbox: Arc<Outbox>, framing: Framing, flusher: Arc<Flusher>) -> Self {
        Self {
            carrier: Carrier::Socket(outbox, framing),
            flusher,
        }
    }

    /// A session that clients read by HTTP requests.
    pub(crate) fn http(session: Arc<HttpSession>, flusher: Arc<Flusher>) -> Self {
        Self {
            carrier: Carrier::Http(session),
            flusher,
        }
    }

    /// Sends one message.
    pub fn send(&self, message: &Message) {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => {
                self.flush_if_needed(outbox.push(framing.frame(message)), outbox);
            }
            Carrier::Http(session) => {
                self.flush_if_needed(session.push(Framing::SockJsMessage.frame(message)), session);
            }
        }
    }

    /// Delivers what is being fanned out, as `encoder` writes it.
    pub fn deliver(&self, fanout: &mut Fanout<'_>, encoder: &Arc<dyn Encoder>) {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => {
                fanout.send(outbox, encoder, *framing);
            }
            Carrier::Http(session) => {
                if let Some(frame) = fanout.frame(encoder, Framing::SockJsMessage)
                    && session.push(frame) == Pushed::NeedsFlush
                {
                    fanout.flush_later(session.clone());
                }
            }
        }
    }

    /// Puts a message that is for this session only into its queue, while something is being fanned out.
    pub fn deliver_own(&self, fanout: &mut Fanout<'_>, message: &Message) {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => fanout.push(outbox, framing.frame(message)),
            Carrier::Http(session) => {
                if session.push(Framing::SockJsMessage.frame(message)) == Pushed::NeedsFlush {
                    fanout.flush_later(session.clone());
                }
            }
        }
    }

    /// Sends a message of several parts.
    pub fn send_spliced(&self, message: Spliced<'_>) {
        match &self.carrier {
            Carrier::Socket(outbox, Framing::WebSocket) => {
                let head = FrameHead::of(&message);
                let pushed = outbox.push_joined(head.as_bytes(), message.parts());
                self.flush_if_needed(pushed, outbox);
            }
            _ => self.send(&message.joined()),
        }
    }

    /// The same while something is being fanned out.
    pub fn deliver_spliced(&self, fanout: &mut Fanout<'_>, message: Spliced<'_>) {
        match &self.carrier {
            Carrier::Socket(outbox, Framing::WebSocket) => {
                let head = FrameHead::of(&message);
                fanout.push_joined(outbox, head.as_bytes(), message.parts());
            }
            _ => self.deliver_own(fanout, &message.joined()),
        }
    }

    /// Ends the session in order: what waits is sent first, then the reason.
    pub fn close(&self, reason: &CloseReason) {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => {
                self.flush_if_needed(outbox.close(framing.close(reason)), outbox);
            }
            Carrier::Http(session) => {
                self.flush_if_needed(session.close(reason), session);
            }
        }
    }

    /// Ends a session on a socket of its own after what waits and these last bytes.
    pub(crate) fn close_with(&self, last: Bytes) {
        if let Carrier::Socket(outbox, _) = &self.carrier {
            self.flush_if_needed(outbox.close(last), outbox);
        }
    }

    fn flush_if_needed<F: Flush>(&self, pushed: Pushed, what: &Arc<F>) {
        if pushed == Pushed::NeedsFlush {
            self.flusher.submit_one(what.clone());
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => write!(f, "Link({framing:?}, {outbox:?})"),
            Carrier::Http(session) => write!(f, "Link({session:?})"),
        }
    }
}
