//! Identities: clients, connections, and their rights.

mod client;
mod connection;
mod grant;

pub use self::{
    client::{ClientId, InvalidClientId},
    connection::{ConnectionId, NodeId},
    grant::{Grant, Identity, Permissions, Scope},
};
