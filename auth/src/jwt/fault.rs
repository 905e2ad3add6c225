//! Faults of tokens.

use jsonwebtoken::errors::{Error, ErrorKind};

/// There are no keys at the address of the configuration, or only some that are too old.
#[derive(Debug, thiserror::Error)]
#[error("the keys at jwt.jwks cannot be had")]
pub(crate) struct NoKeys;

/// Why a token counts for nothing. Its text shows nothing that stands in the token but names of claims.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    #[error("it is no JSON Web Token")]
    NoToken,
    #[error("its header wants more to be understood than is known here (`crit`)")]
    Critical,
    #[error("there is no key for its `alg` and `kid`")]
    NoKey,
    #[error("{0}")]
    Invalid(Error),
    #[error(transparent)]
    Unavailable(#[from] NoKeys),
    #[error("the claim `{0}` is missing")]
    Missing(String),
    #[error("the claim `{0}` is not as it must be")]
    Claim(String),
}

impl Fault {
    /// True where another key may be the right one.
    pub(crate) fn is_of_key(&self) -> bool {
        match self {
            Self::NoKey => true,
            Self::Invalid(error) => matches!(error.kind(), ErrorKind::InvalidSignature),
            _ => false,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => Self::NoToken,
            ErrorKind::MissingRequiredClaim(name) => Self::Missing(name.clone()),
            ErrorKind::InvalidClaimFormat(name) => Self::Claim(name.clone()),
            _ => Self::Invalid(error),
        }
    }
}
