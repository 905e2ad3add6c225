//! The line decoder: a stream of bytes, cut into lines.

use bytes::{Bytes, BytesMut};
use memchr::memchr;
use polywire_core::{Draw, Held};

/// Why a line is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    /// It is longer than the limit.
    #[error("a line is longer than {0} bytes")]
    TooLong(usize),
    /// The server holds as much as its memory budget allows.
    #[error("there is no room for a line whose end has not come")]
    NoRoom,
}

/// Cuts a stream of bytes, joined or split anywhere, into lines.
///
/// Only new bytes are searched for the end of a line, and nothing is kept of a line that is whole.
#[derive(Debug)]
pub(crate) struct LineDecoder {
    bytes_max: usize,
    /// The beginning of a line whose end has not come.
    partial: BytesMut,
    /// That beginning, of the memory budget.
    draw: Draw,
}

impl LineDecoder {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            partial: BytesMut::new(),
            draw: Draw::new(Held::Requests),
        }
    }

    /// True when nothing has come of the next line.
    pub(crate) fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// Calls `line` for every line that `input` ends, without its `\n`.
    ///
    /// # Errors
    /// A line that passes the limit, whether its end has come or not, or that there is no room for. Lines before it were
    /// given.
    pub(crate) fn decode(
        &mut self,
        mut input: &[u8],
        mut line: impl FnMut(Bytes),
    ) -> Result<(), LineError> {
        while let Some(end) = memchr(b'\n', input) {
            let (last, rest) = (&input[..end], &input[end + 1..]);
            self.check(last.len())?;
            if self.partial.is_empty() {
                line(Bytes::copy_from_slice(last));
            } else {
                self.partial.extend_from_slice(last);
                line(std::mem::take(&mut self.partial).freeze());
            }
            input = rest;
        }
        self.check(input.len())?;
        self.partial.extend_from_slice(input);
        if self.draw.resize(self.partial.len()) {
            Ok(())
        } else {
            Err(LineError::NoRoom)
        }
    }

    fn check(&self, more: usize) -> Result<(), LineError> {
        if self.partial.len() + more > self.bytes_max {
            return Err(LineError::TooLong(self.bytes_max));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(input: &[u8], cuts: &[usize], max: usize) -> (Vec<Bytes>, bool) {
        let mut decoder = LineDecoder::new(max);
        let (mut lines, mut rest, mut cuts) = (Vec::new(), input, cuts.iter().cycle());
        while !rest.is_empty() {
            let take = cuts
                .next()
                .map_or(rest.len(), |cut| (*cut).clamp(1, rest.len()));
            let (piece, after) = rest.split_at(take);
            rest = after;
            if decoder.decode(piece, |line| lines.push(line)).is_err() {
                return (lines, false);
            }
        }
        (lines, true)
    }

    #[test]
    fn a_line_is_given_when_its_end_comes_and_not_before() {
        let mut decoder = LineDecoder::new(100);
        let mut lines = Vec::new();
        decoder.decode(b"ab", |line| lines.push(line)).unwrap();
        assert!(lines.is_empty());
        decoder.decode(b"c\n\nd", |line| lines.push(line)).unwrap();
        assert_eq!(lines, ["abc", ""]);
    }

    #[test]
    fn a_long_line_is_refused_before_its_end_and_never_given() {
        assert_eq!(
            decode(b"ok\n12345", &[], 4),
            (vec![Bytes::from_static(b"ok")], false)
        );
        assert_eq!(decode(b"12345\n", &[], 4), (vec![], false));
        assert_eq!(
            decode(b"1234\n", &[], 4),
            (vec![Bytes::from_static(b"1234")], true)
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            input in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            cuts in prop::collection::vec(1usize..20, 1..6),
        ) {
            prop_assert_eq!(decode(&input, &cuts, 30), decode(&input, &[], 30));
        }
    }
}
