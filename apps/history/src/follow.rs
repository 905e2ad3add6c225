//! Publications on their way into one answer.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use polywire_core::{
    ConnectionId, Page, Publication, Stored, Target,
    delivery::{EndReason, Fanout, Receiver},
};
use tokio::sync::{Notify, mpsc};

use crate::line::Line;

/// Lines that may wait for the client.
const LINES_MAX: usize = 1024;

/// Bytes of stored publications that may wait for it: further ones are made when it has taken them.
const STORED_BYTES_MAX: usize = 64 << 10;

/// A line on its way out.
struct Out {
    line: Bytes,
    /// It says why there are no more.
    is_last: bool,
    waiting: Arc<Waiting>,
}

/// What waits for the client.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    fewer: Notify,
    /// Why its rights have ended: nothing of what waits is for it any more.
    ended: OnceLock<EndReason>,
}

impl Drop for Out {
    fn drop(&mut self) {
        self.waiting
            .bytes
            .fetch_sub(self.line.len(), Ordering::Relaxed);
        self.waiting.fewer.notify_one();
    }
}

/// The client's end of the way.
pub(crate) struct Taker(mpsc::Receiver<Out>);

impl Taker {
    /// The next line. `None` when there are no more.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let out = self.0.recv().await?;
            if out.is_last || out.waiting.ended.get().is_none() {
                return Some(out.line.clone());
            }
        }
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
    /// Messages were lost on the way to it.
    has_gap: AtomicBool,
    breaks: Notify,
}

impl Lines {
    /// A way on which not more than `bytes_max` wait.
    pub(crate) fn new(connection: ConnectionId, bytes_max: usize) -> (Arc<Self>, Taker) {
        let (sender, receiver) = mpsc::channel(LINES_MAX);
        let lines = Self {
            connection,
            sender,
            waiting: Arc::default(),
            bytes_max,
            broken: AtomicBool::new(false),
            has_gap: AtomicBool::new(false),
            breaks: Notify::new(),
        };
        (Arc::new(lines), Taker(receiver))
    }

    /// Sends the last line when there is room, which says why there are no more.
    pub(crate) async fn send_last(&self, line: String) {
        let mut out = self.out(line);
        out.is_last = true;
        // Whoever is gone need not be told.
        let _ = self.sender.send(out).await;
    }

    /// Sends a line when there is room. False when the client is gone.
    async fn send(&self, line: String) -> bool {
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

    /// Waits until the client is gone, was too slow, or has lost its rights; says why, where it is to be told.
    pub(crate) async fn ended(&self) -> Option<String> {
        tokio::select! {
            () = self.sender.closed() => return None,
            // Remembers a call that came before.
            () = self.breaks.notified() => {}
        }
        Some(match self.waiting.ended.get() {
            Some(why) => format!("{}.", why.close_reason().reason),
            None if self.has_gap.load(Ordering::Acquire) => {
                "Messages behind this one were lost; ask again from here for what there is."
                    .to_owned()
            }
            None => "You read too slowly; ask again from here.".to_owned(),
        })
    }

    fn out(&self, mut line: String) -> Out {
        line.push('\n');
        self.waiting.bytes.fetch_add(line.len(), Ordering::Relaxed);
        Out {
            line: line.into(),
            is_last: false,
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

    /// It is not in histories.
    fn takes_presence(&self) -> bool {
        false
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        self.send_live(fanout.publication());
    }

    fn gap(&self, _: &Target) {
        self.has_gap.store(true, Ordering::Release);
        self.broken.store(true, Ordering::Release);
        self.breaks.notify_one();
    }

    fn end(&self, why: &EndReason) {
        // The first one counts.
        let _ = self.waiting.ended.set(why.clone());
        self.breaks.notify_one();
    }
}
