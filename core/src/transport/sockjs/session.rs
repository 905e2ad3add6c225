//! A session that its client reads by HTTP requests.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::{
    delivery::{Flush, Pushed},
    transport::CloseReason,
};

/// A session that its client reads by HTTP requests.
pub(crate) struct HttpSession {}

impl HttpSession {
    /// Queues a message, quoted already.
    pub(crate) fn push(&self, _quoted: Bytes) -> Pushed {
        Pushed::Closed
    }

    /// Ends the session after what waits.
    pub(crate) fn close(&self, _reason: &CloseReason) -> Pushed {
        Pushed::Closed
    }
}

impl Flush for HttpSession {
    fn flush(self: Arc<Self>) {}
}

impl fmt::Debug for HttpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpSession")
    }
}
