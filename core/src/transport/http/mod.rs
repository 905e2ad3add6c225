//! HTTP for apps: the whole request in one value, and answers in few words.

mod request;
mod response;
mod serve;

pub(super) use self::serve::serve;
pub use self::{
    request::{Body, BodyError, Peer, Request, request, request_even_cut, request_under},
    response::{Response, json, response, status, stream, text},
};
