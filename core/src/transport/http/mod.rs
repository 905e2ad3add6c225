//! HTTP for apps: the whole request in one value, and answers in few words.

mod allowed_origins;
mod answering;
pub mod direct;
mod head_rules;
mod http1;
mod http2;
mod request;
mod response;
mod serve;
mod site;
mod watched_body;

pub(super) use self::serve::serve;
pub(crate) use self::site::Site;
pub use self::{
    allowed_origins::{AllowedOrigins, CrossOrigin, ForeignOrigin},
    request::{Body, BodyError, Peer, Request, request, request_even_cut, request_under},
    response::{Answer, Response, json, response, status, stream, text},
};
