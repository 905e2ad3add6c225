//! Publications on their way into one answer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use polywire_core::{
    ConnectionId, Page, Publication, Stored,
    delivery::{Fanout, Receiver},
};
use tokio::sync::{Notify, mpsc};

use crate::line::Line;

/// Lines that may wait for the client.
const LINES_MAX: usize = 1024;

/// Bytes of stored publications that may wait for it: further ones are made when it has taken them.
const STORED_BYTES_MAX: usize = 64 << 10;

/// A line on its way out.
pub(crate) struct Out {
    pub(crate) line: Bytes,
    waiting: Arc<Waiting>,
}

/// Bytes that wait for the client.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    fewer: Notify,
}

impl Drop for Out {
    fn drop(&mut self) {
        self.waiting
            .bytes
            .fetch_sub(self.line.len(), Ordering::Relaxed);
        self.waiting.fewer.notify_one();
    }
}

/// The way to one client. Live publications that find it full break it off: the client is told, and asks again
/// from where it was.
pub(crate) struct Lines {
    connection: ConnectionId,
    sender: mpsc::Sender<Out>,
    waiting: Arc<Waiting>,
    bytes_max: usize,
    broken: AtomicBool,
    breaks: Notify,
}

impl Lines {
    /// A way on which not more than `bytes_max` wait.
    pub(crate) fn new(
        connection: ConnectionId,
        bytes_max: usize,
    ) -> (Arc<Self>, mpsc::Receiver<Out>) {
        let (sender, receiver) = mpsc::channel(LINES_MAX);
        let lines = Self {
            connection,
            sender,
            waiting: Arc::default(),
            bytes_max,
            broken: AtomicBool::new(false),
            breaks: Notify::new(),
        };
        (Arc::new(lines), receiver)
    }

    /// Sends a line when there is room. False when the client is gone.
    pub(crate) async fn send(&self, line: String) -> bool {
        let out = self.out(line);
        self.sender.send(out).await.is_ok()
    }

    /// Sends a page as the client takes it. False when the client is gone.
    pub(crate) async fn send_page(&self, page: &Page) -> bool {
        for stored in &page.entries {
            while self.waiting.bytes.load(Ordering::Relaxed) >= STORED_BYTES_MAX {
                tokio::select! {
                    () = self.waiting.fewer.notified() => {}
                    () = self.sender.closed() => return false,
                }
            }
            if let Some(line) = Line::write(stored)
                && !self.send(line).await
            {
                return false;
            }
        }
        true
    }

    /// Waits until the client is gone, or was too slow; true for the latter.
    pub(crate) async fn ended(&self) -> bool {
        tokio::select! {
            () = self.sender.closed() => false,
            // Remembers a call that came before.
            () = self.breaks.notified() => true,
        }
    }

    fn out(&self, mut line: String) -> Out {
        line.push('\n');
        self.waiting.bytes.fetch_add(line.len(), Ordering::Relaxed);
        Out {
            line: line.into(),
            waiting: self.waiting.clone(),
        }
    }

    fn send_live(&self, publication: &Publication) {
        if self.broken.load(Ordering::Acquire) {
            return;
        }
        let Some(line) = Line::write(&Stored::new(Arc::new(publication.clone()))) else {
            return;
        };
        let out = self.out(line);
        let too_much = self.waiting.bytes.load(Ordering::Relaxed) > self.bytes_max;
        if too_much || self.sender.try_send(out).is_err() {
            self.broken.store(true, Ordering::Release);
            self.breaks.notify_one();
        }
    }
}

impl Receiver for Lines {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        self.send_live(fanout.publication());
    }
}
