//! Properties of 5.0 as they stand in a packet (MQTT 5.0 section 2.2.2): values that the decoder does not take are found
//! before it.

use std::ops::Range;

use super::remaining_length::{read, variable_header};

/// Message expiry interval.
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
/// Subscription identifier.
pub(super) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;

/// Where the first value of a property stands; `block` is where the length of the properties does.
pub(super) fn find(packet: &[u8], block: usize, wanted: u8) -> Option<Range<usize>> {
    let (length, length_bytes) = read(packet.get(block..)?).ok()??;
    let mut at = block + length_bytes;
    let end = at.checked_add(length).filter(|end| *end <= packet.len())?;
    while at < end {
        let value = at + 1;
        let length = value_length(packet[at], packet.get(value..end)?)?;
        let behind = value + length;
        if packet[at] == wanted && behind <= end {
            return Some(value..behind);
        }
        at = behind;
    }
    None
}

/// Where what follows the properties begins.
pub(super) fn behind(packet: &[u8], block: usize) -> Option<usize> {
    let (length, length_bytes) = read(packet.get(block..)?).ok()??;
    (block + length_bytes).checked_add(length)
}

/// Where what follows a text, or other bytes with their length before them, begins.
pub(super) fn behind_text(packet: &[u8], at: usize) -> Option<usize> {
    let length = packet.get(at..)?.first_chunk::<2>()?;
    Some(at + 2 + usize::from(u16::from_be_bytes(*length)))
}

/// Where the properties of a PUBLISH stand.
pub(super) fn of_publish(packet: &[u8]) -> Option<usize> {
    let topic = variable_header(packet)?;
    let has_id = packet.first()? & 0b110 != 0;
    Some(behind_text(packet, topic)? + if has_id { 2 } else { 0 })
}

/// Puts another value in the place of a message expiry interval of 0, which the decoder does not take. True when it did.
pub(super) fn substitute_expiry(packet: &mut [u8], block: usize) -> bool {
    let found = find(packet, block, MESSAGE_EXPIRY);
    match found.and_then(|range| packet.get_mut(range)) {
        Some(value) if value.iter().all(|byte| *byte == 0) => {
            value.fill(1);
            true
        }
        _ => false,
    }
}

/// Bytes of a value that `rest` begins with; `None` where there is no such property, or more would have to come.
fn value_length(property: u8, rest: &[u8]) -> Option<usize> {
    match property {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => Some(1),
        0x13 | 0x21..=0x23 => Some(2),
        0x02 | 0x11 | 0x18 | 0x27 => Some(4),
        0x0b => Some(read(rest).ok()??.1),
        0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => behind_text(rest, 0),
        0x26 => behind_text(rest, behind_text(rest, 0)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User property, subscription identifier of two bytes, content type, message expiry interval.
    const BLOCK: &[u8] = b"\x15\x26\0\x01a\0\x01b\x0b\x80\x01\x03\0\x01t\x02\0\0\0\0\x01\x01rest";

    #[test]
    fn a_property_is_found_behind_others() {
        let value = |property| find(BLOCK, 0, property).map(|range| &BLOCK[range]);
        assert_eq!(value(SUBSCRIPTION_IDENTIFIER), Some(&b"\x80\x01"[..]));
        assert_eq!(value(MESSAGE_EXPIRY), Some(&[0; 4][..]));
        assert_eq!(value(0x01), Some(&[1][..]));
        assert_eq!(value(0x23), None);
        assert_eq!(behind(BLOCK, 0), Some(BLOCK.len() - 4));
        // Cut anywhere it is no reason to read on.
        for length in 0..BLOCK.len() - 4 {
            assert_eq!(find(&BLOCK[..length], 0, MESSAGE_EXPIRY), None);
        }
    }

    #[test]
    fn an_expiry_of_0_gets_a_substitute() {
        let mut packet = BLOCK.to_vec();
        assert!(substitute_expiry(&mut packet, 0) && !substitute_expiry(&mut packet, 0));
    }
}
