//! What a person does with a running server.

mod publish;
mod subscribe;

pub(crate) use self::{publish::publish, subscribe::subscribe};
