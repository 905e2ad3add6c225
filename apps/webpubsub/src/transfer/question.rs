//! What nodes ask of each other about a connection that changes nodes.

use serde::{Deserialize, Serialize};

use super::{
    page::Page,
    record::{ChangingState, ConnectionState},
};

/// What a node asks another for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TransferQuestion {
    /// The client has come to the node that asks: whoever has its connection says what that is.
    Claim {
        hub: String,
        connection: String,
        token: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subprotocol: Option<String>,
    },
    /// The node that asks gets what the connection gets: nobody else is to have it.
    Leave { hub: String, connection: String },
    /// What was kept from this sequence id on, of a connection that was left.
    Read { connection: String, from: u64 },
    /// The node that asks stops: its connection is to wait for its client elsewhere.
    Adopt(Box<ConnectionState>),
}

/// What becomes of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TransferAnswer {
    /// There is no such connection, or it is not that client's.
    Unknown {},
    /// It is just being taken: the client should come again.
    Busy {},
    Claimed(Box<ConnectionState>),
    /// What has changed since, and the first page of what was kept.
    Left(Box<ChangingState>, Page),
    Page(Page),
    Adopted {},
}
