//! The buffer that a thread reads into.

use std::cell::RefCell;

/// Bytes that one read takes at most.
const READ_BYTES: usize = 64 << 10;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Lends the buffer of this thread: it belongs to no connection, so that an idle one has none.
///
/// It may not be lent again inside `read`.
pub(crate) fn with_read_buffer<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    READ_BUFFER.with_borrow_mut(|buffer| read(buffer))
}
