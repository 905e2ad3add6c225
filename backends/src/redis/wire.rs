//! Fields with a tag and a length.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::envelope::EnvelopeError;

/// Writes fields: one byte that says what it is, four of length, the content.
pub(super) fn put_field(to: &mut BytesMut, tag: u8, content: &[u8]) -> Result<(), EnvelopeError> {
    let length = u32::try_from(content.len()).map_err(|_| EnvelopeError::TooLong)?;
    to.put_u8(tag);
    to.put_u32(length);
    to.put_slice(content);
    Ok(())
}

/// Reads one field; `None` at the end. The content shares the input's memory.
pub(super) fn take_field(from: &mut Bytes) -> Result<Option<(u8, Bytes)>, EnvelopeError> {
    if from.is_empty() {
        return Ok(None);
    }
    let tag = from.get_u8();
    let length = take_u32(from)? as usize;
    if length > from.len() {
        return Err(EnvelopeError::Truncated);
    }
    Ok(Some((tag, from.split_to(length))))
}

pub(super) fn take_u8(from: &mut Bytes) -> Result<u8, EnvelopeError> {
    from.try_get_u8().map_err(|_| EnvelopeError::Truncated)
}

pub(super) fn take_u32(from: &mut Bytes) -> Result<u32, EnvelopeError> {
    from.try_get_u32().map_err(|_| EnvelopeError::Truncated)
}

pub(super) fn take_u64(from: &mut Bytes) -> Result<u64, EnvelopeError> {
    from.try_get_u64().map_err(|_| EnvelopeError::Truncated)
}
