//! The record in a message, found again in whatever bytes a protocol wraps around it.

use memchr::memmem::Finder;

/// Begins a record. No protocol escapes these characters, and the filler has none of them.
const MARK: &[u8] = b"~pw:";

/// Hexadecimal digits of the time and of the number.
const TIME_DIGITS: usize = 16;
const NUMBER_DIGITS: usize = 8;

/// Bytes of a record: the least that a message has.
pub(super) const RECORD_BYTES: usize = MARK.len() + TIME_DIGITS + NUMBER_DIGITS;

/// When a message was sent, and which one of its channel it is; 0 for those that only try the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) nanos: u64,
    pub(super) number: u32,
}

impl Record {
    /// The record, filled up to `size` bytes.
    pub(super) fn write(self, size: usize, text: &mut String) {
        use std::fmt::Write;
        text.clear();
        // Writing to a String cannot fail.
        let _ = write!(text, "~pw:{:016x}{:08x}", self.nanos, self.number);
        text.extend(std::iter::repeat_n('.', size.saturating_sub(text.len())));
    }

    fn read(bytes: &[u8]) -> Self {
        let (time, number) = bytes[MARK.len()..RECORD_BYTES].split_at(TIME_DIGITS);
        Self {
            nanos: hex(time),
            number: hex(number) as u32,
        }
    }
}

/// Garbage in, garbage out: it is the server that would have garbled it, and the order check tells.
fn hex(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            _ => digit.wrapping_sub(b'a').wrapping_add(10) & 15,
        };
        (value << 4) | u64::from(digit)
    })
}

/// Finds records in a stream of bytes without parsing what is around them.
pub(super) struct Scanner {
    finder: Finder<'static>,
    /// From the beginning of a record to the earliest beginning of the next.
    stride: usize,
}

impl Scanner {
    /// For messages of `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self {
            finder: Finder::new(MARK),
            stride: size.max(RECORD_BYTES),
        }
    }

    /// Gives each record of `data` to `found`. What may be the beginning of one whose rest has not come is
    /// kept in `tail`, which belongs to the connection.
    pub(super) fn scan(&self, tail: &mut Vec<u8>, data: &[u8], mut found: impl FnMut(Record)) {
        if tail.is_empty() {
            let rest = self.scan_whole(data, &mut found);
            tail.extend_from_slice(rest);
        } else {
            let mut joined = std::mem::take(tail);
            joined.extend_from_slice(data);
            let rest = self.scan_whole(&joined, &mut found);
            tail.extend_from_slice(rest);
        }
    }

    fn scan_whole<'d>(&self, data: &'d [u8], found: &mut impl FnMut(Record)) -> &'d [u8] {
        let mut from = 0;
        while let Some(offset) = self.finder.find(&data[from..]) {
            let at = from + offset;
            if data.len() - at < RECORD_BYTES {
                return &data[at..];
            }
            found(Record::read(&data[at..]));
            from = (at + self.stride).min(data.len());
        }
        // A mark may be cut in two; fewer bytes than it has are kept.
        let kept = (data.len() - from).min(MARK.len() - 1);
        &data[data.len() - kept..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_found_however_the_bytes_are_cut() {
        let mut stream = Vec::new();
        let mut text = String::new();
        let records: Vec<_> = (1..20)
            .map(|number| Record {
                nanos: u64::from(number) * 0x1234_5678_9abc,
                number,
            })
            .collect();
        for record in &records {
            record.write(50, &mut text);
            assert_eq!(text.len(), 50);
            stream.extend_from_slice(b"{\"~\":\"~p");
            stream.extend_from_slice(text.as_bytes());
            stream.extend_from_slice(b"\"}\n");
        }
        let scanner = Scanner::new(50);
        for cut in 1..stream.len() {
            let (mut tail, mut found) = (Vec::new(), Vec::new());
            for piece in stream.chunks(cut) {
                scanner.scan(&mut tail, piece, |record| found.push(record));
            }
            assert_eq!(found, records, "pieces of {cut}");
        }
    }
}
