//! Access: who asks, and what they may do; tokens and signatures.

mod admission;
mod caller;
mod cbor;
mod hmac;
mod resource;
mod revoked;
mod signature;
pub(crate) mod token;

pub(crate) use self::{
    admission::Access,
    caller::Caller,
    resource::{Resource, bits},
    revoked::Revoked,
};
