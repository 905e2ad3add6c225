//! Sockets, TLS on them, and how many are open.

mod read_buffer;
mod reserve;
mod slots;
mod socket;
pub mod tls;
mod trusted_proxies;

pub(crate) use self::{
    read_buffer::with_read_buffer,
    reserve::{ReserveDescriptor, is_out_of_descriptors},
    slots::{ConnectionSlot, Slots},
};
pub use self::{socket::Socket, trusted_proxies::TrustedProxies};
