//! Calls: what an operator asks for, as its JSON says it.

use std::time::SystemTime;

use jiff::Timestamp;
use polywire_core::{
    Channel, ClientId, CredentialId,
    space::{Revocation, Whom},
};
use serde::Deserialize;

/// `POST /admin/v1/revocations`: one of the three is named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevocationCall {
    client: Option<String>,
    credential: Option<String>,
    issued_before: Option<Timestamp>,
    /// Gives back what was taken.
    #[serde(default)]
    pub(crate) lift: bool,
}

impl RevocationCall {
    /// Whom it is about, for the audit log.
    pub(crate) fn of(&self) -> String {
        let named = self.client.as_ref().or(self.credential.as_ref());
        let time = self.issued_before.map(|time| time.to_string());
        named.cloned().or(time).unwrap_or_default()
    }

    pub(crate) fn revocation(&self) -> Result<Revocation, &'static str> {
        match (&self.client, &self.credential, self.issued_before) {
            (Some(client), None, None) => {
                let client = ClientId::new(client).map_err(|_| "The client has no name.")?;
                Ok(Revocation::Client(client))
            }
            (None, Some(credential), None) if !credential.is_empty() => {
                Ok(Revocation::Credential(CredentialId::new(credential)))
            }
            (None, None, Some(time)) => Ok(Revocation::IssuedBefore(SystemTime::from(time))),
            _ => Err("Name one of client, credential and issued_before."),
        }
    }
}

/// `POST /admin/v1/disconnect`, `/subscribe` and `/unsubscribe`: a client or a connection is named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionCall {
    client: Option<String>,
    connection: Option<String>,
    /// What to put onto or take off.
    channel: Option<String>,
    /// What sockets are closed with.
    code: Option<u16>,
    reason: Option<String>,
}

/// Bytes of a reason, for which there is room in a close frame.
const REASON_BYTES_MAX: usize = 123;

impl ConnectionCall {
    /// Whom it is about, for the audit log.
    pub(crate) fn of(&self) -> &str {
        let named = self.client.as_ref().or(self.connection.as_ref());
        named.map_or("", String::as_str)
    }

    pub(crate) fn whom(&self) -> Result<Whom, &'static str> {
        match (&self.client, &self.connection) {
            (Some(client), None) => {
                let client = ClientId::new(client).map_err(|_| "The client has no name.")?;
                Ok(Whom::Client(client))
            }
            (None, Some(connection)) => {
                let id = connection.parse();
                Ok(Whom::Connection(
                    id.map_err(|_| "That is no connection id.")?,
                ))
            }
            _ => Err("Name one of client and connection."),
        }
    }

    pub(crate) fn channel(&self) -> Result<Channel, &'static str> {
        let name = self.channel.as_deref().unwrap_or_default();
        Channel::new(name).map_err(|_| "Name a channel.")
    }

    /// Code and reason to close with.
    pub(crate) fn close(&self) -> Result<(u16, &str), &'static str> {
        let code = self.code.unwrap_or(4000);
        let reason = self
            .reason
            .as_deref()
            .unwrap_or("Sent away by the operator");
        if !(3000..5000).contains(&code) {
            return Err("The code is between 3000 and 4999.");
        }
        if reason.len() > REASON_BYTES_MAX {
            return Err("The reason has 123 bytes at most.");
        }
        Ok((code, reason))
    }
}
