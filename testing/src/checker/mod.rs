//! The checker: proves from a log of what publishers and subscribers did and saw that the server kept its promises.
//!
//! A [`Recorder`] takes [`Event`]s, [`check`] reads them. Each message has a payload of its own, by which it is known
//! again. What is proven:
//!
//! - **no loss**: what was acknowledged while a client was subscribed came to it, or it was told of a gap in time; where
//!   nodes could not hear of each other the time begins when they can;
//! - **no double**: a client sees each message once, but for what its protocol may send again when a session goes on;
//! - **no phantom**: nothing comes that nobody published on that channel before, that was refused, or that the client
//!   was not subscribed to;
//! - **order**: all subscribers of a channel on a node see one order, and what a publisher published after an
//!   acknowledgement comes after what was acknowledged.

#![allow(missing_docs, reason = "what the fields of events are their names say")]

mod attention;
mod event;
mod messages;
mod order;
mod outages;
mod record;
mod report;
#[cfg(test)]
mod tests;
mod violation;

pub use self::{
    event::{Answer, Event, What},
    record::{Recorder, read_log, write_log},
    report::{Report, check},
    violation::Violation,
};
