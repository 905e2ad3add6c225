//! Messages that wait without the numbers that they have on their connection.

use bytes::Bytes;

use super::{Around, Numbering, batch_buffer::BatchSlice};

/// A message that is the same for all but for its number.
#[derive(Clone, Copy)]
pub(crate) struct Numbered<'b> {
    pub(crate) body: &'b [u8],
    pub(crate) number: u64,
    pub(crate) numbering: Numbering,
}

impl Numbered<'_> {
    pub(crate) fn around(&self) -> Around {
        (self.numbering)(self.body.len(), self.number)
    }

    pub(crate) fn frame_length(&self) -> usize {
        self.around().frame_length(self.body.len())
    }

    /// As a frame of its own.
    pub(crate) fn frame(&self) -> Bytes {
        let around = self.around();
        let mut frame = Vec::with_capacity(around.frame_length(self.body.len()));
        around.write_frame(self.body, &mut frame);
        frame.into()
    }
}

/// Bytes of the length that stands before a body on a buffer.
const LENGTH_BYTES: usize = size_of::<u32>();

/// What stands before a body on a buffer.
pub(crate) fn length_before(body: &[u8]) -> Option<[u8; LENGTH_BYTES]> {
    Some(u32::try_from(body.len()).ok()?.to_le_bytes())
}

/// Messages of one connection whose numbers follow each other, and whose bodies lie side by side on a buffer.
///
/// The numbers are put in when the messages are written, in a buffer that all connections of a thread use one
/// after another. Frames that are made when they are queued lie in as many buffers as there are connections, and
/// each is in no cache any more when it is written.
#[derive(Debug)]
pub(crate) struct NumberedRun {
    bodies: BatchSlice,
    numbering: Numbering,
    first: u64,
    count: u32,
    /// Bytes of the frames.
    length: u32,
}

impl NumberedRun {
    /// One message, whose body and its length are `placed`.
    pub(crate) fn new(message: &Numbered<'_>, length: usize, placed: &BatchSlice) -> Self {
        Self {
            bodies: placed.clone(),
            numbering: message.numbering,
            first: message.number,
            count: 1,
            // What is placed on a buffer is far shorter than that.
            length: length as u32,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.length as usize
    }

    /// Takes a message in, if it follows.
    pub(crate) fn extend(
        &mut self,
        message: &Numbered<'_>,
        length: usize,
        placed: &BatchSlice,
    ) -> bool {
        let follows = self.first + u64::from(self.count) == message.number
            && std::ptr::fn_addr_eq(self.numbering, message.numbering)
            && self.bodies.extend(placed);
        if follows {
            self.count += 1;
            self.length += length as u32;
        }
        follows
    }

    /// Writes the frames; the buffer takes no more from now on.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.reserve(self.len());
        let mut rest = self.bodies.bytes();
        let mut number = self.first;
        while let Some((length, behind)) = rest.split_first_chunk() {
            let (body, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
            (self.numbering)(body.len(), number).write_frame(body, to);
            (rest, number) = (behind, number + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::{Few, batch_buffer::BatchBuffers};

    fn numbering(body: usize, number: u64) -> Around {
        let (mut before, mut behind) = (Few::default(), Few::default());
        before.push_varint(body as u64);
        behind.push_decimal(number);
        Around::binary(before, behind)
    }

    fn message(body: &[u8], number: u64) -> Numbered<'_> {
        Numbered {
            body,
            number,
            numbering,
        }
    }

    fn place(buffers: &BatchBuffers, body: &[u8]) -> BatchSlice {
        buffers
            .place(&[&length_before(body).unwrap(), body])
            .unwrap()
    }

    fn run(buffers: &BatchBuffers, message: &Numbered<'_>) -> NumberedRun {
        NumberedRun::new(
            message,
            message.frame_length(),
            &place(buffers, message.body),
        )
    }

    #[test]
    fn only_what_follows_is_taken_in() {
        let buffers = BatchBuffers::default();
        let mut first = run(&buffers, &message(b"a", 7));
        let placed = place(&buffers, b"b");
        let length = message(b"b", 8).frame_length();
        assert!(
            !first.extend(&message(b"b", 9), length, &placed),
            "a number is left out"
        );
        let other = Numbered {
            numbering: |_, _| Around::text(Few::default(), Few::default()),
            ..message(b"b", 8)
        };
        assert!(
            !first.extend(&other, length, &placed),
            "it is numbered otherwise"
        );
        assert!(first.extend(&message(b"b", 8), length, &placed));
        let elsewhere = place(&BatchBuffers::default(), b"c");
        assert!(!first.extend(&message(b"c", 9), length, &elsewhere));
        let mut bytes = Vec::new();
        first.write(&mut bytes);
        assert_eq!(bytes, b"\x82\x03\x01a7\x82\x03\x01b8");
    }

    proptest! {
        /// Together they are what each would be in a frame of its own.
        #[test]
        fn a_run_is_its_frames(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
            first in 0..u64::MAX - 20,
        ) {
            let buffers = BatchBuffers::default();
            let messages: Vec<_> = bodies.iter().zip(first..).map(|(body, n)| message(body, n)).collect();
            let mut whole = run(&buffers, &messages[0]);
            for next in &messages[1..] {
                prop_assert!(whole.extend(next, next.frame_length(), &place(&buffers, next.body)));
            }
            let mut bytes = Vec::new();
            whole.write(&mut bytes);
            prop_assert_eq!(bytes.len(), whole.len());
            prop_assert_eq!(bytes, messages.iter().map(Numbered::frame).collect::<Vec<_>>().concat());
        }
    }
}
