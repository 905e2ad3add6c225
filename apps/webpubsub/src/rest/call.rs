//! A call of the service API.

use bytes::Bytes;
use polywire_core::http::{BodyError, Request};

use super::query::Query;
use crate::{broker::Broker, names::HubName};

/// A request that was let in.
pub(super) struct Call<'c> {
    pub(super) broker: &'c Broker,
    pub(super) hub: HubName,
    pub(super) query: Query,
    pub(super) body: Result<Bytes, BodyError>,
    pub(super) request: Request,
}
