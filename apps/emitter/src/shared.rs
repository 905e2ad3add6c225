//! What all connections share.

use std::sync::{Arc, atomic::AtomicU64};

use polywire_core::{Space, TokenPlace};

use crate::{
    client::Encoders, face::Service, retained::Retained, sessions::Sessions, version::Version,
};

/// The short name of the app.
pub(crate) const NAME: &str = "emitter";

/// Messages of quality 1 and 2 that are on their way in one direction, at most.
pub(crate) const IN_FLIGHT_MAX: u16 = 1000;

/// Short names of topics in one direction, at most.
pub(crate) const ALIASES_MAX: u16 = 32;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) space: Arc<Space>,
    /// Where the password is shown; none when nobody is asked for one.
    pub(crate) gate: Option<TokenPlace>,
    pub(crate) packet_bytes_max: usize,
    pub(crate) v3: Encoders,
    pub(crate) v5: Encoders,
    pub(crate) emitter: Arc<Service>,
    pub(crate) retained: Retained,
    pub(crate) sessions: Sessions,
    /// Packets of all clients since the start, counted once for what comes together.
    pub(crate) packets_received: AtomicU64,
    /// 0 where clients say it themselves.
    pub(crate) keep_alive_secs_max: u16,
}

impl Shared {
    /// The wire formats of the plain face.
    pub(crate) fn plain(&self, version: Version) -> Encoders {
        match version {
            Version::V3 => self.v3.clone(),
            Version::V5 => self.v5.clone(),
        }
    }
}
