//! HTTP/2, RFC 9113: many requests at once on one connection, for clients that ask for it in the TLS handshake.

mod body;
mod serve;
mod streams;
mod turns;
mod upload;

pub(super) use self::serve::serve;
