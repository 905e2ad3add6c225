//! Subscribe: a handshake, and then one long poll after another.

mod answer;
mod first_answer;
mod handler;
mod held_rights;
mod members;
mod poll;
mod request;

pub(crate) use self::{handler::subscribe, request::SubscribeRequest};
