//! The remaining length of a packet, and the other lengths that are written like it: seven bits in a byte, the low ones
//! first, in at most four bytes (MQTT 5.0 section 1.5.5).

use bytes::{BufMut, BytesMut};

const BYTES_MAX: usize = 4;

/// The length has more than four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads a length that bytes begin with: its value, and how many bytes it takes. `None` when there is more to come.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(BYTES_MAX).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < BYTES_MAX {
        Ok(None)
    } else {
        Err(Malformed)
    }
}

/// A length that bytes begin with, and what stands behind it.
pub(crate) fn split(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (value, length) = read(bytes).ok()??;
    Some((value, bytes.get(length..)?))
}

/// Where the variable header of a packet begins: behind its first byte and the remaining length.
pub(crate) fn variable_header(packet: &[u8]) -> Option<usize> {
    let (_, length) = read(packet.get(1..)?).ok()??;
    Some(1 + length)
}

pub(crate) fn write(bytes: &mut BytesMut, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return bytes.put_u8(low);
        }
        bytes.put_u8(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fifth_byte_is_malformed() {
        assert_eq!(read(&[0xff, 0xff, 0xff, 0x7f]), Ok(Some((268_435_455, 4))));
        assert_eq!(read(&[0xff, 0xff, 0xff]), Ok(None));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff]), Err(Malformed));
        assert_eq!(variable_header(&[0x30]), None);
        assert_eq!(variable_header(&[0x30, 0x80, 1, 7]), Some(3));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value in 0..268_435_456_usize, more in any::<u8>()) {
            let mut bytes = BytesMut::new();
            write(&mut bytes, value);
            let length = bytes.len();
            prop_assert_eq!(read(&bytes[..length - 1]), Ok(None));
            bytes.put_u8(more);
            prop_assert_eq!(read(&bytes), Ok(Some((value, length))));
            prop_assert_eq!(split(&bytes), Some((value, &[more][..])));
        }
    }
}
