//! Packet id 0, which is none: the JavaScript SDK begins to count at random, and one time in 65,536 with it.

use bytes::{Bytes, BytesMut};

use super::remaining_length::variable_header;

/// What stands in its place while the packet is looked at.
const SUBSTITUTE: [u8; 2] = [0xff; 2];

/// Puts another id into a SUBSCRIBE or UNSUBSCRIBE of 3.1.1 that has id 0. True when it did.
pub(crate) fn substitute(packet: &mut BytesMut) -> bool {
    if !matches!(packet.first(), Some(0x82 | 0xa2)) {
        return false;
    }
    match id(packet) {
        Some(id) if *id == [0, 0] => {
            *id = SUBSTITUTE;
            true
        }
        _ => false,
    }
}

/// The answer to such a packet, with the id that it came with.
pub(crate) fn restore(answer: &Bytes) -> Bytes {
    let mut answer = BytesMut::from(&answer[..]);
    if let Some(id) = id(&mut answer) {
        *id = [0, 0];
    }
    answer.freeze()
}

/// The packet id, which stands behind the length.
fn id(packet: &mut [u8]) -> Option<&mut [u8; 2]> {
    let start = variable_header(packet)?;
    packet.get_mut(start..)?.first_chunk_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_none_gets_a_substitute() {
        let mut packet = BytesMut::from(&[0x82, 5, 0, 0, 0, 1, b'a'][..]);
        assert!(substitute(&mut packet) && !substitute(&mut packet));
        assert_eq!(packet[2..4], SUBSTITUTE);
        let mut long = BytesMut::from(&[0xa2, 0x85, 1, 0, 0, 0][..]);
        assert!(substitute(&mut long));
        assert_eq!(long[3..5], SUBSTITUTE);
        let answer = Bytes::from_static(&[0x90, 3, 0xff, 0xff, 0]);
        assert_eq!(restore(&answer)[..], [0x90, 3, 0, 0, 0]);
        for other in [
            &[0x30, 2, 0, 0][..],
            &[0x82, 2, 0],
            &[0x82],
            &[0x82, 0xff, 0xff, 0xff, 0xff, 0, 0],
        ] {
            assert!(!substitute(&mut BytesMut::from(other)), "{other:?}");
        }
    }
}
