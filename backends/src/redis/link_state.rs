//! The state of the link to Redis, as the node sees it.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use polywire_core::BackendStatus;

/// Whether Redis can be used now.
#[derive(Debug, Default)]
pub(super) struct LinkState {
    is_ready: AtomicBool,
    /// Why it cannot be used though it is reached.
    unusable: Mutex<Option<&'static str>>,
}

impl LinkState {
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// Publications go everywhere from now on; false when they did before.
    pub(super) fn begin(&self) -> bool {
        *self.unusable.lock() = None;
        !self.is_ready.swap(true, Ordering::AcqRel)
    }

    /// They do not any more.
    pub(super) fn end(&self, unusable: Option<&'static str>) {
        *self.unusable.lock() = unusable;
        self.is_ready.store(false, Ordering::Release);
    }

    pub(super) fn status(&self) -> BackendStatus {
        if self.is_ready() {
            return BackendStatus::Ready;
        }
        match *self.unusable.lock() {
            Some(why) => BackendStatus::Unusable(why),
            None => BackendStatus::Reconnecting,
        }
    }
}
