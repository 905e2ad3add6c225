//! Settings of kn-sock.

use polywire_core::{
    Rights,
    settings::{Problem, Settings},
    space::CloseOnGap,
};
use serde::Deserialize;

/// `[apps.knsock]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct KnSockSection")]
pub struct KnSockSettings {
    /// Takes a token in the first line of every connection: see [kn-sock](protocols/kn-sock.md). Without it whoever shows none is
    /// [anonymous](rights.md#anonymous-clients). Default false, as with kn-sock.
    pub authenticate: bool,
    /// Bytes of a line; a longer one ends its connection. Default 1 MiB: messages of 500 kB must pass.
    pub line_bytes_max: usize,
    /// Bytes of a topic; lines with a longer one are ignored. Default 512.
    pub topic_bytes_max: usize,
    /// When a client is disconnected because [messages of its topics are lost](guarantees.md#redis): `kept` where messages are
    /// kept, `always`, or `never`. Default `kept`.
    pub close_on_gap: CloseOnGap,
    /// What its clients can reach at most, whatever is granted to them: lists of channels for each right, see
    /// [rights](rights.md). Default everything.
    pub channels: Option<Rights>,
}

impl Default for KnSockSettings {
    fn default() -> Self {
        Self {
            authenticate: false,
            line_bytes_max: 1 << 20,
            topic_bytes_max: 512,
            close_on_gap: CloseOnGap::default(),
            channels: None,
        }
    }
}

impl Settings for KnSockSettings {
    fn problems(&self) -> Vec<Problem> {
        Problem::zeros([
            ("line_bytes_max", self.line_bytes_max == 0),
            ("topic_bytes_max", self.topic_bytes_max == 0),
        ])
    }
}
