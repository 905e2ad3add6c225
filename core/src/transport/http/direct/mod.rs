//! The fast path from a socket to an app: requests without a body and answers in one piece, without hyper and
//! without warp.
//!
//! A long poll is one request after another, each of which waits for minutes and is then answered with a few
//! hundred bytes. hyper and warp's filters take several times the time of the two system calls that this needs,
//! and a connection of theirs keeps buffers of 8 KiB while it waits. Here a connection that waits owns the
//! request and no buffer.
//!
//! What is taken is read as hyper reads it and answered byte for byte as hyper answers it. The first request that
//! is not taken goes to hyper, with everything behind it.

mod date;
mod encode;
mod head;
mod responder;
mod serve;

pub(super) use self::serve::{Outcome, serve};
pub use self::{
    head::{HEAD_BYTES_MAX, Head, Parsed, Terms, parse},
    responder::{Responder, Responding},
};
