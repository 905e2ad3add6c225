//! JSON Web Tokens (RFC 7519).

mod claims;
mod fault;
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

pub use self::{key_settings::JwtKeySettings, policy::Jwt, settings::JwtSettings};
