//! Transfer codings that HTTP libraries do not know.

/// What the header is called.
const NAME: &[u8] = b"transfer-encoding:";

/// What it is called where it is hidden; no header has this name.
const HIDDEN: &[u8] = b"x-transfer-coding:";

/// Hides a `Transfer-Encoding` other than `chunked` in what was read of a head, and says whether there is one. Of such a
/// request hyper would tell nobody, and answer 400 without a body; RFC 9112 section 6.1 asks for 501.
///
/// A line that comes in pieces is not seen; hyper refuses it in its own way.
pub(super) fn hide_unknown(read: &mut [u8]) -> bool {
    let mut is_hidden = false;
    let mut rest = read;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        rest = &mut rest[end + 1..];
        let Some(length) = memchr::memchr(b'\n', rest) else {
            break;
        };
        let line = &mut rest[..length];
        if line.is_empty() || line == b"\r" {
            break;
        }
        if line.len() >= NAME.len()
            && line[..NAME.len()].eq_ignore_ascii_case(NAME)
            && !is_chunked(&line[NAME.len()..])
        {
            line[..NAME.len()].copy_from_slice(HIDDEN);
            is_hidden = true;
        }
    }
    is_hidden
}

/// True where the value of a `Transfer-Encoding` is `chunked` and nothing else.
pub(super) fn is_chunked(value: &[u8]) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Option<String> {
        let mut read = text.as_bytes().to_vec();
        hide_unknown(&mut read).then(|| String::from_utf8(read).unwrap())
    }

    #[test]
    fn only_other_codings_of_a_head_are_hidden() {
        for coding in ["gzip", " gzip, chunked", "", "\tidentity "] {
            let text = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-encoding:{coding}\r\n\r\nx");
            let expected = text.replace("Transfer-encoding", "x-transfer-coding");
            assert_eq!(hidden(&text), Some(expected), "{coding}");
        }
        for text in [
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked \r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\n\r\ntransfer-encoding: in a body\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gz",
            "transfer-encoding: gzip\r\n\r\n",
            "GET / HTTP/1.1\n\n\ntransfer-encoding: gzip\n",
            "",
        ] {
            assert_eq!(hidden(text), None, "{text}");
        }
    }
}
