//! Sockets, TLS on them, and how many are open.

mod read_buffer;
mod reserve;
mod slots;
mod socket;
pub mod tls;

pub use self::socket::Socket;
pub(crate) use self::{
    read_buffer::with_read_buffer,
    reserve::{ReserveDescriptor, is_out_of_descriptors},
    slots::Slots,
};
