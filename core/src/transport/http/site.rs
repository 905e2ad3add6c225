//! The site of an address: what it serves over HTTP.

use std::sync::Arc;

use warp::filters::BoxedFilter;

use super::{Response, direct::Responder};

/// What is served over HTTP at an address.
#[derive(Clone)]
pub(crate) struct Site {
    /// Everything.
    pub(crate) routes: BoxedFilter<(Response,)>,
    /// Who takes requests on the fast path, asked in this order.
    pub(crate) responders: Arc<[Arc<dyn Responder>]>,
}
