//! Sessions that the server has ended: they are given up as soon as somebody gets to it.

use bytestring::ByteString;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Those that were not given up yet, by client id.
#[derive(Debug, Default)]
pub(crate) struct EndedSessions {
    ids: Mutex<Vec<ByteString>>,
    added: Notify,
}

impl EndedSessions {
    pub(super) fn add(&self, id: &str) {
        self.ids.lock().push(id.into());
        self.added.notify_one();
    }

    /// Waits until there are some, and takes them.
    ///
    /// # Cancel safety
    /// A dropped future has taken none.
    pub(crate) async fn take(&self) -> Vec<ByteString> {
        loop {
            let ids = std::mem::take(&mut *self.ids.lock());
            if !ids.is_empty() {
                return ids;
            }
            self.added.notified().await;
        }
    }
}
