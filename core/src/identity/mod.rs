//! Who is there: clients, connections, and what they may do.

mod client;
mod connection;
mod grant;

pub use self::{
    client::{ClientId, InvalidClientId},
    connection::{ConnectionId, NodeId},
    grant::{Grant, Identity, Permissions, Scope},
};
