//! Access: who asks, and what their tokens and signatures say that they may do. Whether they may the gate of the space
//! decides.

mod admission;
mod caller;
mod cbor;
mod door;
mod hmac;
mod scope;
mod signature;
pub(crate) mod token;

pub(crate) use self::{admission::Access, caller::Caller};
