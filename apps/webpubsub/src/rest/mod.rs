//! The REST API that service SDKs call.

#![allow(
    clippy::result_large_err,
    reason = "an error is the answer itself, made once for a request"
)]

mod call;
mod error;
mod query;
mod route;
mod send;
mod targets;
mod token;

pub(crate) use self::route::{answer, is_rest};
