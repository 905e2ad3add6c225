//! What Redis says, frame by frame.

use std::io::{self, BufRead};

/// Reads one frame of RESP3, whole.
pub(super) fn read_frame(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let (mut frame, mut parts) = (Vec::new(), 1);
    while parts > 0 {
        parts -= 1;
        let begin = frame.len();
        if from.read_until(b'\n', &mut frame)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let sort = frame[begin];
        let number = std::str::from_utf8(&frame[begin + 1..]).unwrap_or_default();
        let count = number.trim_end().parse::<usize>().unwrap_or(0);
        match sort {
            b'*' | b'>' | b'~' => parts += count,
            b'%' => parts += 2 * count,
            // A length of -1 is no number, and has no content.
            b'$' | b'=' if !number.starts_with('-') => {
                let length = frame.len();
                frame.resize(length + count + 2, 0);
                from.read_exact(&mut frame[length..])?;
            }
            _ => {}
        }
    }
    Ok(frame)
}

/// What was published, where a frame is a message and not an answer or a notice of a subscription.
pub(super) fn message(frame: &[u8]) -> Option<&[u8]> {
    let (head, mut rest) = line(frame)?;
    let parts: usize = std::str::from_utf8(head.strip_prefix(b">")?)
        .ok()?
        .parse()
        .ok()?;
    let mut name = None;
    let mut last = None;
    for _ in 0..parts {
        let (length, text) = line(rest)?;
        let length: usize = std::str::from_utf8(length.strip_prefix(b"$")?)
            .ok()?
            .parse()
            .ok()?;
        last = text.get(..length);
        name = name.or(last);
        rest = text.get(length + 2..)?;
    }
    matches!(name?, b"message" | b"pmessage" | b"smessage").then_some(last?)
}

/// A line without its end, and what follows.
fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\r')?;
    Some((&text[..end], text.get(end + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart() {
        let frames: [&[u8]; 5] = [
            b"+OK\r\n",
            b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n",
            b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
            b"%1\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n",
            b">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\nb\r\n",
        ];
        let all = frames.concat();
        let mut from = all.as_slice();
        for frame in frames {
            assert_eq!(read_frame(&mut from).unwrap(), frame);
        }
        assert_eq!(
            read_frame(&mut from).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        let messages = frames.map(message);
        let published: [&[u8]; 2] = [b"\r\n\r\n", b"b"];
        assert_eq!(
            messages,
            [None, Some(published[0]), None, None, Some(published[1])]
        );
    }
}
