//! The caller: who asks, and what it may do with the channels of a key set.

use std::sync::Arc;

use http::StatusCode;
use polywire_core::{ClientId, Origin};

use super::{
    resource::{Resource, bits},
    token::Token,
};
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

    /// Refuses who may not delete there: it takes a signature, or a token with the right to.
    pub(crate) fn check_delete(&self, channel: &str) -> Result<(), reply::Refused> {
        match self.rights {
            Rights::Open => Err(denied(
                "Deleting messages takes a signed request, or a token with the right to delete.",
            )),
            _ => self.check(Resource::Channel(channel), bits::DELETE),
        }
    }

    /// Refuses whoever is known to be another client.
    pub(crate) fn check_is(&self, client: &ClientId) -> Result<(), reply::Refused> {
        let known = match &self.rights {
            // Whoever knows the secret key speaks for everybody.
            Rights::Signed => None,
            Rights::Token(token) => token.client(),
            _ => self.origin.identity.client.as_ref().map(ClientId::as_str),
        };
        match known {
            Some(known) if known != client.as_str() => Err(denied("Forbidden")),
            _ => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use polywire_core::Identity;
    use serde_json::json;

    use super::{
        super::token::{self, Terms, TokenRights},
        *,
    };

    fn caller(known: Option<&str>, rights: Rights) -> Caller {
        let identity = Identity {
            client: known.map(|known| ClientId::new(known).unwrap()),
            ..Identity::unrestricted()
        };
        let origin = Origin::new("pubnub", identity);
        Caller { origin, rights }
    }

    fn with_token(client: Option<&str>, bits: u64) -> Caller {
        let terms = Terms {
            minutes: 1,
            resources: TokenRights {
                channels: [("room".to_owned(), bits)].into(),
                ..TokenRights::default()
            },
            patterns: TokenRights::default(),
            meta: json!({}),
            client: client.map(Into::into),
        };
        let text = token::write(&terms, "secret", SystemTime::now());
        let token = token::read(&text, "secret").unwrap();
        caller(None, Rights::Token(Arc::new(token)))
    }

    #[test]
    fn whoever_is_known_speaks_for_nobody_else() {
        let [ann, bob] = ["ann", "bob"].map(|name| ClientId::new(name).unwrap());
        for known in [
            caller(Some("ann"), Rights::Open),
            with_token(Some("ann"), 1),
        ] {
            assert!(known.check_is(&ann).is_ok());
            assert!(known.check_is(&bob).is_err());
        }
        for unknown in [
            caller(None, Rights::Open),
            with_token(None, 1),
            caller(Some("ann"), Rights::Signed),
        ] {
            assert!(unknown.check_is(&bob).is_ok());
        }
    }

    #[test]
    fn deleting_takes_a_signature_or_the_right_to() {
        assert!(caller(None, Rights::Signed).check_delete("room").is_ok());
        assert!(with_token(None, bits::DELETE).check_delete("room").is_ok());
        for other in [
            caller(None, Rights::Open),
            caller(None, Rights::None),
            with_token(None, bits::READ | bits::WRITE),
        ] {
            assert!(other.check_delete("room").is_err());
        }
    }
}
