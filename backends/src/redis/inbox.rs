//! The inbox: messages that Redis sends unasked, until the actor has time for them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc;

/// Messages that may wait.
const MESSAGES_MAX: usize = 16 * 1024;
/// Bytes that may wait.
const BYTES_MAX: usize = 64 << 20;

/// The writing end; called by the connection, never waits. When a bound is passed nothing more is taken,
/// so that what was taken has no hole in it.
#[derive(Debug)]
pub(super) struct InboxSender {
    messages: mpsc::Sender<Bytes>,
    gauge: Arc<Gauge>,
}

/// The reading end; ends when the connection does.
#[derive(Debug)]
pub(super) struct Inbox {
    messages: mpsc::Receiver<Bytes>,
    gauge: Arc<Gauge>,
}

#[derive(Debug, Default)]
struct Gauge {
    bytes: AtomicUsize,
    overflowed: AtomicBool,
}

pub(super) fn inbox() -> (InboxSender, Inbox) {
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    let gauge = Arc::new(Gauge::default());
    let sender = InboxSender {
        messages: sender,
        gauge: gauge.clone(),
    };
    let inbox = Inbox {
        messages: receiver,
        gauge,
    };
    (sender, inbox)
}

impl InboxSender {
    /// Takes the payload of a message; other pushes are of no interest.
    pub(super) fn take(&self, push: PushInfo) {
        if !matches!(push.kind, PushKind::Message | PushKind::PMessage) {
            return;
        }
        let Some(Value::BulkString(payload)) = push.data.into_iter().next_back() else {
            return;
        };
        if self.gauge.overflowed.load(Ordering::Acquire) {
            return;
        }
        let length = payload.len();
        let waiting = self.gauge.bytes.fetch_add(length, Ordering::AcqRel);
        if waiting + length > BYTES_MAX || self.messages.try_send(payload.into()).is_err() {
            self.gauge.overflowed.store(true, Ordering::Release);
        }
    }
}

impl Inbox {
    /// The next message; `None` when the connection is lost.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let message = self.messages.recv().await?;
        Some(self.taken(message))
    }

    /// The next message that is here already.
    pub(super) fn next_now(&mut self) -> Option<Bytes> {
        let message = self.messages.try_recv().ok()?;
        Some(self.taken(message))
    }

    /// True when messages were dropped.
    pub(super) fn overflowed(&self) -> bool {
        self.gauge.overflowed.load(Ordering::Acquire)
    }

    fn taken(&self, message: Bytes) -> Bytes {
        self.gauge.bytes.fetch_sub(message.len(), Ordering::AcqRel);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: Vec<u8>) -> PushInfo {
        PushInfo {
            kind: PushKind::Message,
            data: vec![
                Value::BulkString(b"channel".to_vec()),
                Value::BulkString(payload),
            ],
        }
    }

    #[tokio::test]
    async fn is_bounded_and_has_no_holes() {
        let (sender, mut inbox) = inbox();
        let mebi = 1 << 20;
        for _ in 0..65 {
            sender.take(message(vec![0; mebi]));
        }
        assert!(inbox.overflowed());
        assert!(inbox.next().await.is_some());
        // There is room again, but a message was dropped before.
        sender.take(message(vec![1]));
        drop(sender);
        let mut taken = 1;
        while let Some(message) = inbox.next().await {
            assert_eq!(message.len(), mebi);
            taken += 1;
        }
        assert_eq!(taken, 64);
    }
}
