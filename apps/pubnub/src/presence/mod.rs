//! Presence, who is there: heartbeats, leaving, state, and lists of members.

mod calls;
mod here_now;
mod route;
mod states;
mod timeout;

pub(crate) use self::{
    route::route,
    states::States,
    timeout::{parse_timeout, stay},
};
