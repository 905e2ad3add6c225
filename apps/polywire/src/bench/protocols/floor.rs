//! The protocol of [`serve-floor`](crate::bench::floor): a letter says who connects, lengths cut messages.

use super::{Opening, Protocol};

/// The letter of a subscriber, its answer, and the letter of a publisher.
pub(in crate::bench) const SUBSCRIBER: u8 = b'S';
pub(in crate::bench) const WELCOME: u8 = b'K';
pub(in crate::bench) const PUBLISHER: u8 = b'P';

pub(super) struct Floor;

impl Protocol for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn open(&self, opening: &mut Opening, out: &mut Vec<u8>) -> Result<bool, String> {
        let subscriber = opening.is_subscriber();
        if opening.stage == 0 {
            opening.stage = 1;
            out.push(if subscriber { SUBSCRIBER } else { PUBLISHER });
        }
        Ok(!subscriber || opening.received.contains(&WELCOME))
    }

    fn publish(&self, _: usize, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}
