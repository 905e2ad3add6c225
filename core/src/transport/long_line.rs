//! Request lines that are longer than HTTP libraries take.

use tokio::io::ReadBuf;

/// Bytes of a request line after which it is cut. Of a longer target, of 64 KiB and more, hyper would tell nobody, and
/// answer without a body, while protocols that put messages into the address have an answer of their own.
pub(super) const LINE_BYTES_MAX: usize = 60 << 10;

/// Watches the first line of a request go by, and cuts its target where it is too long.
#[derive(Debug, Default)]
pub(super) struct LongLine {
    at: At,
    seen: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the line.
    #[default]
    Line,
    /// In the part of the target that is left out.
    Excess,
    /// Behind the line, or it is no line.
    Behind,
}

impl LongLine {
    /// Takes what was read from `start` on, and leaves out of it what is too much. True when it begins to.
    pub(super) fn take(&mut self, buf: &mut ReadBuf<'_>, start: usize) -> bool {
        if self.at == At::Behind {
            return false;
        }
        let mut start = start;
        if self.seen == 0 {
            // RFC 9112 section 2.2: empty lines before a request mean nothing.
            let empty = |byte: &u8| matches!(byte, b'\r' | b'\n');
            let read = &buf.filled()[start..];
            start += read.iter().take_while(|byte| empty(byte)).count();
        }
        let bytes = &buf.filled()[start..];
        // What is left of a body that nobody read is no line.
        if self.seen == 0 && bytes.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            self.at = At::Behind;
            return false;
        }
        let mut cuts = false;
        let (mut keep, mut drop) = (0, 0);
        if self.at == At::Line {
            let room = LINE_BYTES_MAX - self.seen;
            let within = &bytes[..bytes.len().min(room)];
            if within.contains(&b'\n') {
                self.at = At::Behind;
                return false;
            }
            keep = within.len();
            self.seen += keep;
            if keep == bytes.len() {
                return false;
            }
            self.at = At::Excess;
            cuts = true;
        }
        let rest = &bytes[keep..];
        match rest.iter().position(|byte| matches!(byte, b' ' | b'\n')) {
            Some(end) => {
                drop += end;
                self.at = At::Behind;
            }
            None => drop += rest.len(),
        }
        let filled = buf.filled().len();
        let (from, to) = (start + keep + drop, start + keep);
        buf.filled_mut().copy_within(from..filled, to);
        buf.set_filled(filled - drop);
        cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes through of a stream that is read in pieces, and whether it was cut.
    fn through(stream: &[u8], piece: usize) -> (Vec<u8>, bool) {
        let (mut line, mut came, mut cut) = (LongLine::default(), Vec::new(), false);
        for bytes in stream.chunks(piece) {
            let mut memory = vec![0; piece + 3];
            let mut buf = ReadBuf::new(&mut memory);
            buf.put_slice(b"...");
            buf.put_slice(bytes);
            cut |= line.take(&mut buf, 3);
            came.extend_from_slice(&buf.filled()[3..]);
        }
        (came, cut)
    }

    #[test]
    fn a_short_line_comes_through_as_it_is() {
        let mut stream = b"GET /a HTTP/1.1\r\n".to_vec();
        stream.extend(vec![b'x'; 200_000]);
        assert_eq!(through(&stream, 8000), (stream.clone(), false));
        let body = vec![b'{'; 200_000];
        assert_eq!(through(&body, 8000), (body.clone(), false));
    }

    #[test]
    fn empty_lines_before_a_line_mean_nothing() {
        let line = format!("GET /{} HTTP/1.1\r\n", "x".repeat(80_000));
        let stream = format!("\r\n\r\n{line}");
        for piece in [1, 3, 100_000] {
            let (came, cut) = through(stream.as_bytes(), piece);
            let (expected, _) = through(line.as_bytes(), piece);
            assert!(cut);
            assert_eq!(came, [b"\r\n\r\n", &expected[..]].concat(), "{piece}");
        }
    }

    proptest! {
        #[test]
        fn a_long_target_loses_its_end(length in 70_000..200_000usize, piece in 100..90_000usize) {
            let head = " HTTP/1.1\r\nHost: a b\r\n\r\nbody body";
            let stream = format!("GET /{}{head}", "x".repeat(length));
            let (came, cut) = through(stream.as_bytes(), piece);
            prop_assert!(cut);
            let came = String::from_utf8(came).unwrap();
            let expected = format!("GET /{}{head}", "x".repeat(LINE_BYTES_MAX - 5));
            prop_assert_eq!(came, expected);
        }
    }
}
