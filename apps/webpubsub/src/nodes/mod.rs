//! Nodes ask each other: what is not known here may be known elsewhere.

mod handler;
mod message;
mod questions;
mod service;

pub(crate) use self::{
    handler::Handler,
    service::{Nodes, Unanswered},
};
