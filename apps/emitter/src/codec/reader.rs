//! The packet reader: whole packets out of a stream of bytes, wherever it was cut.

use bytes::{Buf, Bytes, BytesMut};
use polywire_core::{Draw, Held};

use super::{ack::Ack, remaining_length};

/// Bytes of a packet that has no more than an id.
const ACK_BYTES: usize = 4;

/// Why the bytes cannot be packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadLength {
    /// The length has more than four bytes.
    Malformed,
    /// The packet is longer than the limit.
    TooLong,
    /// The server has no room for the packet now.
    NoRoom,
}

/// Cuts a stream of bytes into packets. Holds nothing between whole packets, and never more than came: a length
/// that is only declared takes no memory.
#[derive(Debug)]
pub(crate) struct PacketReader {
    buffer: BytesMut,
    packet_bytes_max: usize,
    /// The beginning of a packet whose rest has not come, of the memory budget.
    draw: Draw,
}

impl PacketReader {
    pub(crate) fn new(packet_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            packet_bytes_max,
            draw: Draw::new(Held::Requests),
        }
    }

    /// Takes what came.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if self.buffer.is_empty() {
            self.buffer = bytes
                .try_into_mut()
                .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        } else {
            self.buffer.extend_from_slice(&bytes);
        }
    }

    /// True when nothing has come of the next packet.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next packet, if it is one of those that have no more than an id: there are many of them, and they take no
    /// buffer of their own.
    pub(crate) fn next_ack(&mut self) -> Option<Ack> {
        let ack = Ack::of(*self.buffer.first_chunk()?)?;
        if self.buffer.len() == ACK_BYTES {
            self.buffer = BytesMut::new();
        } else {
            self.buffer.advance(ACK_BYTES);
        }
        Some(ack)
    }

    /// The next whole packet.
    pub(crate) fn next(&mut self) -> Result<Option<BytesMut>, BadLength> {
        match self.whole()? {
            Some(length) if length == self.buffer.len() => {
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
            Some(length) => {
                let packet = BytesMut::from(&self.buffer[..length]);
                self.buffer.advance(length);
                Ok(Some(packet))
            }
            None if self.draw.resize(self.buffer.len()) => Ok(None),
            None => Err(BadLength::NoRoom),
        }
    }

    /// How long the first packet is, when all of it is there.
    fn whole(&self) -> Result<Option<usize>, BadLength> {
        let Some(header) = self.buffer.get(1..) else {
            return Ok(None);
        };
        let length = remaining_length::read(header).map_err(|_| BadLength::Malformed)?;
        let Some((rest, length_bytes)) = length else {
            return Ok(None);
        };
        if rest > self.packet_bytes_max {
            return Err(BadLength::TooLong);
        }
        let length = 1 + length_bytes + rest;
        Ok((self.buffer.len() >= length).then_some(length))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packets(reader: &mut PacketReader) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| reader.next().unwrap())
            .map(|packet| packet.to_vec())
            .collect()
    }

    #[test]
    fn a_declared_length_takes_no_memory_and_too_long_is_told_at_once() {
        let mut reader = PacketReader::new(100);
        reader.push(Bytes::from_static(&[0x30, 0xff, 0xff, 0xff, 0x7f]));
        assert_eq!(reader.next(), Err(BadLength::TooLong));
        let mut reader = PacketReader::new(1 << 30);
        reader.push(Bytes::from_static(&[0x30, 0xff, 0xff, 0xff, 0x7f]));
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.buffer.capacity() < 100);
        let mut reader = PacketReader::new(100);
        reader.push(Bytes::from_static(&[0x30, 0xff, 0xff, 0xff, 0xff, 0x01]));
        assert_eq!(reader.next(), Err(BadLength::Malformed));
    }

    #[test]
    fn packets_with_nothing_but_an_id_are_found_between_others() {
        let mut reader = PacketReader::new(100);
        reader.push(Bytes::from_static(&[
            0x40, 2, 0, 7, 0x50, 2, 0, 8, 0xc0, 0, 0x62, 2, 1,
        ]));
        let id = |id| std::num::NonZeroU16::new(id).unwrap();
        assert_eq!(reader.next_ack(), Some(Ack::PubAck(id(7))));
        assert_eq!(reader.next_ack(), Some(Ack::PubRec(id(8))));
        assert_eq!(reader.next_ack(), None);
        assert_eq!(packets(&mut reader), [vec![0xc0, 0]]);
        assert_eq!(reader.next_ack(), None, "a part of one");
        reader.push(Bytes::from_static(&[0]));
        assert_eq!(reader.next_ack(), Some(Ack::PubRel(id(256))));
        assert_eq!(reader.buffer.capacity(), 0, "nothing is kept");
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_packets(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..5),
            cuts in proptest::collection::vec(1..50_usize, 1..50),
        ) {
            let mut expected = Vec::new();
            let mut stream = Vec::new();
            for body in bodies {
                let mut packet = vec![0x30];
                let (low, high) = ((body.len() & 0x7f) as u8, (body.len() >> 7) as u8);
                packet.extend(if high > 0 { vec![low | 0x80, high] } else { vec![low] });
                packet.extend(body);
                stream.extend_from_slice(&packet);
                expected.push(packet);
            }
            let mut reader = PacketReader::new(1000);
            let mut found = Vec::new();
            let mut cuts = cuts.into_iter().cycle();
            while !stream.is_empty() {
                let cut = cuts.next().unwrap_or(1).min(stream.len());
                reader.push(stream.drain(..cut).collect::<Vec<_>>().into());
                found.extend(packets(&mut reader));
            }
            prop_assert_eq!(found, expected);
        }
    }
}
