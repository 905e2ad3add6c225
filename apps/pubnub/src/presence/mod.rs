//! Presence, who is there: heartbeats, leaving, state, and lists of members.

mod heartbeat;
mod here_now;
mod leave;
mod named;
mod route;
mod state;
mod states;
mod timeout;

pub(crate) use self::{
    route::route,
    states::States,
    timeout::{parse_timeout, stay},
};
