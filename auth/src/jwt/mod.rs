//! JSON Web Tokens (RFC 7519).

mod claims;
mod fault;
mod issue;
mod jwks;
mod key;
mod key_settings;
mod policy;
mod settings;
mod verifier;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod samples;

pub use self::{
    issue::{IssueError, NewToken},
    key_settings::JwtKeySettings,
    policy::Jwt,
    settings::JwtSettings,
};
