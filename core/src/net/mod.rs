//! Sockets, TLS on them, and how many are open.

mod read_buffer;
mod slots;
mod socket;
pub mod tls;

pub use self::socket::Socket;
pub(crate) use self::{read_buffer::with_read_buffer, slots::Slots};
