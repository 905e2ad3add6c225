//! Encoders: how publications look to clients.

mod formats;
mod json;
mod message;
mod protobuf;
mod sender;

pub(crate) use self::{
    formats::Formats,
    message::{plain, server_body, server_message},
};
