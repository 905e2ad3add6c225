//! The caller: who asks, and what it may do with the channels of a key set.

use std::sync::Arc;

use http::StatusCode;
use polywire_core::{ClientId, Origin};

use super::{resource::Resource, token::Token};
use crate::{reply, service};

/// Who asks.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) origin: Origin,
    pub(super) rights: Rights,
}

/// What somebody may do with the channels of a key set.
#[derive(Debug)]
pub(super) enum Rights {
    /// Nobody asks for tokens here.
    Open,
    /// It knows the secret key.
    Signed,
    Token(Arc<Token>),
    None,
}

impl Caller {
    /// The client, where it says who it is.
    pub(crate) fn client(&self) -> Option<&ClientId> {
        self.origin.client.as_ref()
    }

    pub(crate) fn is_signed(&self) -> bool {
        matches!(self.rights, Rights::Signed)
    }

    /// True when it may do everything.
    pub(crate) fn may_everything(&self) -> bool {
        matches!(self.rights, Rights::Open | Rights::Signed)
    }

    /// Refuses whoever shows neither a token nor a signature, where that is asked.
    pub(crate) fn check_known(&self) -> Result<(), reply::Refused> {
        match self.rights {
            Rights::None => Err(denied("Forbidden")),
            _ => Ok(()),
        }
    }

    /// Refuses what the caller has no right to.
    pub(crate) fn check(&self, resource: Resource<'_>, bit: u64) -> Result<(), reply::Refused> {
        let allowed = match &self.rights {
            Rights::Open | Rights::Signed => true,
            Rights::Token(token) => token.allows(resource, bit),
            Rights::None => false,
        };
        if allowed {
            return Ok(());
        }
        Err(match resource {
            Resource::Channel(name) => reply::forbidden("channels", name),
            Resource::Group(name) => reply::forbidden("channel-groups", name),
        })
    }

    /// The token that it has shown, where it needs one.
    pub(super) fn token(&self) -> Option<&Token> {
        match &self.rights {
            Rights::Token(token) => Some(token),
            _ => None,
        }
    }
}

pub(super) fn denied(message: &str) -> reply::Refused {
    reply::error(StatusCode::FORBIDDEN, service::ACCESS_MANAGER, message)
}
