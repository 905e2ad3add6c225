//! Sockets, TLS on them, how many are open, and how many have yet to speak.

mod read_buffer;
mod reserve;
mod silent;
mod slots;
mod socket;
pub mod tls;
mod trusted_proxies;

pub(crate) use self::{
    read_buffer::with_read_buffer,
    reserve::{ReserveDescriptor, is_out_of_descriptors},
    silent::SilentConnections,
    slots::{ConnectionSlot, Slots},
};
pub use self::{socket::Socket, trusted_proxies::TrustedProxies};
