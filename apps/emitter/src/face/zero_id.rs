//! Packet id 0, which is none: the JavaScript SDK begins to count at random, and one time in 65,536 with it.

use bytes::{Bytes, BytesMut};

/// What stands for it while the packet is looked at.
const LENT: [u8; 2] = [0xff; 2];

/// Gives a SUBSCRIBE or UNSUBSCRIBE of 3.1.1 that has id 0 another one. True when it did.
pub(crate) fn lend(packet: &mut BytesMut) -> bool {
    if !matches!(packet.first(), Some(0x82 | 0xa2)) {
        return false;
    }
    match id(packet) {
        Some(id) if *id == [0, 0] => {
            *id = LENT;
            true
        }
        _ => false,
    }
}

/// The answer to such a packet, with the id that it came with.
pub(crate) fn give_back(answer: &Bytes) -> Bytes {
    let mut answer = BytesMut::from(&answer[..]);
    if let Some(id) = id(&mut answer) {
        *id = [0, 0];
    }
    answer.freeze()
}

/// The packet id, which stands behind the length.
fn id(packet: &mut [u8]) -> Option<&mut [u8; 2]> {
    let rest = packet.get_mut(1..)?;
    let length_bytes = rest.iter().take(4).position(|byte| byte & 0x80 == 0)? + 1;
    rest.get_mut(length_bytes..)?.first_chunk_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_none_is_lent_one() {
        let mut packet = BytesMut::from(&[0x82, 5, 0, 0, 0, 1, b'a'][..]);
        assert!(lend(&mut packet) && !lend(&mut packet));
        assert_eq!(packet[2..4], LENT);
        let mut long = BytesMut::from(&[0xa2, 0x85, 1, 0, 0, 0][..]);
        assert!(lend(&mut long));
        assert_eq!(long[3..5], LENT);
        let answer = Bytes::from_static(&[0x90, 3, 0xff, 0xff, 0]);
        assert_eq!(give_back(&answer)[..], [0x90, 3, 0, 0, 0]);
        for other in [
            &[0x30, 2, 0, 0][..],
            &[0x82, 2, 0],
            &[0x82],
            &[0x82, 0xff, 0xff, 0xff, 0xff, 0, 0],
        ] {
            assert!(!lend(&mut BytesMut::from(other)), "{other:?}");
        }
    }
}
