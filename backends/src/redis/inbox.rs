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
    /// The channel of the node's own heartbeat.
    heartbeat: String,
    messages: mpsc::Sender<Push>,
    gauge: Arc<Gauge>,
}

/// What Redis sends.
#[derive(Debug)]
pub(super) enum Push {
    /// The payload of a message.
    Message(Bytes),
    /// The number of a heartbeat.
    Heartbeat(u64),
}

/// The reading end; ends when the connection does.
#[derive(Debug)]
pub(super) struct Inbox {
    messages: mpsc::Receiver<Push>,
    gauge: Arc<Gauge>,
}

#[derive(Debug, Default)]
struct Gauge {
    bytes: AtomicUsize,
    overflowed: AtomicBool,
}

/// An inbox of a node that hears itself on this channel.
pub(super) fn inbox(heartbeat: String) -> (InboxSender, Inbox) {
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    let gauge = Arc::new(Gauge::default());
    let sender = InboxSender {
        heartbeat,
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
        let is_heartbeat = matches!(push.data.first(), Some(Value::BulkString(channel))
            if *channel == self.heartbeat.as_bytes());
        let Some(Value::BulkString(payload)) = push.data.into_iter().next_back() else {
            return;
        };
        if self.gauge.overflowed.load(Ordering::Acquire) {
            return;
        }
        // A number needs no room.
        let length = if is_heartbeat { 0 } else { payload.len() };
        let waiting = self.gauge.bytes.fetch_add(length, Ordering::AcqRel);
        let push = if is_heartbeat {
            let number = std::str::from_utf8(&payload).ok();
            Push::Heartbeat(number.and_then(|number| number.parse().ok()).unwrap_or(0))
        } else {
            Push::Message(payload.into())
        };
        if waiting + length > BYTES_MAX || self.messages.try_send(push).is_err() {
            self.gauge.overflowed.store(true, Ordering::Release);
        }
    }
}

impl Inbox {
    /// What comes next; `None` when the connection is lost.
    pub(super) async fn next(&mut self) -> Option<Push> {
        let push = self.messages.recv().await?;
        Some(self.taken(push))
    }

    /// The next that is here already.
    pub(super) fn next_now(&mut self) -> Option<Push> {
        let push = self.messages.try_recv().ok()?;
        Some(self.taken(push))
    }

    /// True when messages were dropped.
    pub(super) fn overflowed(&self) -> bool {
        self.gauge.overflowed.load(Ordering::Acquire)
    }

    fn taken(&self, push: Push) -> Push {
        let length = match &push {
            Push::Message(message) => message.len(),
            Push::Heartbeat(_) => 0,
        };
        self.gauge.bytes.fetch_sub(length, Ordering::AcqRel);
        push
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: Vec<u8>) -> PushInfo {
        on("channel", payload)
    }

    fn on(channel: &str, payload: Vec<u8>) -> PushInfo {
        PushInfo {
            kind: PushKind::Message,
            data: vec![
                Value::BulkString(channel.into()),
                Value::BulkString(payload),
            ],
        }
    }

    #[tokio::test]
    async fn is_bounded_and_has_no_holes() {
        let (sender, mut inbox) = inbox("heartbeat".into());
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
        while let Some(push) = inbox.next().await {
            assert!(matches!(push, Push::Message(message) if message.len() == mebi));
            taken += 1;
        }
        assert_eq!(taken, 64);
    }

    #[tokio::test]
    async fn heartbeats_come_in_their_place() {
        let (sender, mut inbox) = inbox("heartbeat".into());
        sender.take(message(b"7".to_vec()));
        sender.take(on("heartbeat", b"7".to_vec()));
        assert!(matches!(inbox.next().await, Some(Push::Message(_))));
        assert!(matches!(inbox.next().await, Some(Push::Heartbeat(7))));
        assert_eq!(inbox.gauge.bytes.load(Ordering::Acquire), 0);
    }
}
