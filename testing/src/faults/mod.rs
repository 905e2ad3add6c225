//! Faults: nodes of the real program on a real Redis, clients of all protocols on every node, and something that breaks
//! under them. The [checker](crate::checker) says what came of it.

mod clients;
mod fault;
mod link;
mod node;
mod resp;
mod round;
mod scene;
mod traffic;
mod watch;

pub use self::{
    fault::{FAULTS, Fault},
    link::{Link, Weather},
    round::{HEADER, Outcome, Patience, Runner},
};
