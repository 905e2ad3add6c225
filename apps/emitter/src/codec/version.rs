//! The version of MQTT that a client speaks.

use serde::{Deserialize, Serialize};

/// A version, as far as packets differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Version {
    /// 3.1 and 3.1.1, whose packets are the same after CONNECT.
    V3,
    /// 5.0
    V5,
}
