//! SockJS frames (sockjs-protocol 0.3.3, "Protocol and framing").

use std::borrow::Cow;

use bytestring::ByteString;
use serde_json::value::RawValue;

use super::{CloseReason, Message};

/// The first frame of a session.
pub const OPEN: &str = "o";

/// The frame that says that the server is there.
pub const HEARTBEAT: &str = "h";

/// The text is not framed as SockJS asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Broken JSON encoding.")]
pub struct BrokenFraming;

/// Why the body of a send request is no list of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// There is none, or it is not an array.
    #[error("Payload expected.")]
    Missing,
    /// It is not JSON.
    #[error("Broken JSON encoding.")]
    Broken,
}

/// A message as a JSON string, with what JavaScript engines and proxies stumble over escaped.
pub fn quote(message: &Message) -> String {
    match message {
        Message::Text(text) => quote_text(text),
        Message::Binary(bytes) => quote_text(&String::from_utf8_lossy(bytes)),
    }
}

fn quote_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 2);
    out.push('"');
    // What needs no escape is copied in runs: most messages are one run.
    let mut run = 0;
    for (at, c) in text.char_indices() {
        let short = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{0}'..='\u{1f}'
            | '\u{200c}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff0}'..='\u{ffff}' => "",
            _ => continue,
        };
        out.push_str(&text[run..at]);
        run = at + c.len_utf8();
        if short.is_empty() {
            out.push_str("\\u");
            for shift in [12, 8, 4, 0] {
                out.extend(char::from_digit(c as u32 >> shift & 15, 16));
            }
        } else {
            out.push_str(short);
        }
    }
    out.push_str(&text[run..]);
    out.push('"');
    out
}

/// An `a[...]` frame of quoted messages.
pub fn message_frame<S: AsRef<str>>(quoted: &[S]) -> String {
    let length: usize = quoted
        .iter()
        .map(|message| message.as_ref().len() + 1)
        .sum();
    let mut out = String::with_capacity(length + 2);
    out.push_str("a[");
    for (index, message) in quoted.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(message.as_ref());
    }
    out.push(']');
    out
}

/// A `c[code,"reason"]` frame.
pub fn close_frame(reason: &CloseReason) -> String {
    format!("c[{},{}]", reason.code, quote_text(&reason.reason))
}

/// The messages of a WebSocket text frame: a JSON array of strings, or one string; nothing for an empty
/// text.
///
/// An element that is not a string counts as its JSON text; a lone surrogate becomes U+FFFD.
///
/// # Errors
/// Anything else.
pub fn incoming(frame: &[u8]) -> Result<Vec<ByteString>, BrokenFraming> {
    if frame.is_empty() {
        return Ok(Vec::new());
    }
    let text = std::str::from_utf8(frame).map_err(|_| BrokenFraming)?;
    if let Some(messages) = array(text) {
        return Ok(messages);
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(one) if one.get().starts_with('"') => Ok(vec![message(one)]),
        _ => Err(BrokenFraming),
    }
}

/// The messages of the body of a send request: a JSON array.
///
/// # Errors
/// See [`PayloadError`].
pub fn payload(body: &[u8]) -> Result<Vec<ByteString>, PayloadError> {
    if body.is_empty() {
        return Err(PayloadError::Missing);
    }
    let text = std::str::from_utf8(body).map_err(|_| PayloadError::Broken)?;
    array(text).ok_or_else(|| match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => PayloadError::Missing,
        Err(_) => PayloadError::Broken,
    })
}

fn array(text: &str) -> Option<Vec<ByteString>> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(text) {
        return Some(list.into_iter().map(ByteString::from).collect());
    }
    let list = serde_json::from_str::<Vec<&RawValue>>(text).ok()?;
    Some(list.into_iter().map(message).collect())
}

fn message(raw: &RawValue) -> ByteString {
    let json = raw.get();
    let Some(inner) = json.strip_prefix('"').and_then(|s| s.strip_suffix('"')) else {
        return json.into();
    };
    match serde_json::from_str::<Cow<'_, str>>(json) {
        Ok(text) => text.into_owned().into(),
        // The syntax was checked: only a lone surrogate is left to go wrong.
        Err(_) => unescape_lossy(inner).into(),
    }
}

/// What is between the quotes of a JSON string, with U+FFFD for each surrogate that has no partner.
fn unescape_lossy(inner: &str) -> String {
    let mut units = Vec::new();
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        let mut after = escape[1..].chars();
        let kind = after.next().unwrap_or('\\');
        rest = after.as_str();
        if kind == 'u' {
            // Escaped code units that follow each other may pair up.
            if !plain.is_empty() {
                push_units(&mut out, &mut units);
                out.push_str(plain);
            }
            let (digits, after) = rest.split_at_checked(4).unwrap_or((rest, ""));
            units.push(u16::from_str_radix(digits, 16).unwrap_or(0xfffd));
            rest = after;
            continue;
        }
        push_units(&mut out, &mut units);
        out.push_str(plain);
        out.push(match kind {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            other => other,
        });
    }
    push_units(&mut out, &mut units);
    out.push_str(rest);
    out
}

fn push_units(out: &mut String, units: &mut Vec<u16>) {
    let decoded = char::decode_utf16(units.drain(..));
    out.extend(decoded.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quoted(text: &str) -> String {
        quote(&Message::Text(text.to_owned().into()))
    }

    fn texts(frame: &str) -> Vec<String> {
        let found = incoming(frame.as_bytes()).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_character_survives_and_the_dangerous_ones_are_escaped() {
        for c in '\0'..=char::MAX {
            let json = quoted(&c.to_string());
            let back: String = serde_json::from_str(&json).unwrap();
            assert_eq!(back, c.to_string());
            let dangerous = matches!(c as u32,
                0..=0x1f | 0x200c..=0x200f | 0x2028..=0x202f | 0x2060..=0x206f | 0xfff0..=0xffff);
            assert_eq!(
                json.contains("\\u") || json.len() == 4 && json.starts_with("\"\\"),
                dangerous || c == '"' || c == '\\',
                "{c:?} as {json}"
            );
            assert_eq!(
                json,
                json.to_lowercase()
                    .replace(&c.to_lowercase().to_string(), &c.to_string()),
                "{c:?} is escaped in lower case"
            );
            if c == '\u{3000}' {
                break;
            }
        }
        assert_eq!(
            quoted("a\u{0}\u{1f}\n\u{2028}\u{ffff}\u{7f}b"),
            "\"a\\u0000\\u001f\\n\\u2028\\uffff\u{7f}b\""
        );
    }

    #[test]
    fn frames_are_compact() {
        assert_eq!(
            message_frame(&[quoted("x"), quoted("y\"")]),
            r#"a["x","y\""]"#
        );
        assert_eq!(close_frame(&CloseReason::GO_AWAY), r#"c[3000,"Go away!"]"#);
    }

    #[test]
    fn takes_what_clients_send() {
        assert!(texts("").is_empty());
        assert!(texts("[]").is_empty());
        assert_eq!(texts(r#"["a","b"]"#), ["a", "b"]);
        assert_eq!(texts(r#""one""#), ["one"]);
        assert_eq!(
            texts(r#" [ "a" , 1, null,{"k": [2]},true ] "#),
            ["a", "1", "null", "{\"k\": [2]}", "true"]
        );
        for bad in [
            "[", "[\"a", "{}", "1", "null", "x", "[\"a\"]x", "\"", "[\"\n\"]",
        ] {
            assert_eq!(incoming(bad.as_bytes()), Err(BrokenFraming), "{bad}");
        }
        assert_eq!(incoming(b"[\"\xff\"]"), Err(BrokenFraming));
    }

    #[test]
    fn surrogates_pair_up_or_are_replaced() {
        assert_eq!(texts(r#"["\ud83d\udc34"]"#), ["🐴"]);
        assert_eq!(texts(r#"["\ud83d"]"#), ["\u{fffd}"]);
        assert_eq!(texts(r#""\udc34\ud83d""#), ["\u{fffd}\u{fffd}"]);
        assert_eq!(
            texts(r#"["é\ud83d\udc34\\\n\"\u0041\ud83dx\/\b\f\r\t","ok"]"#),
            ["é🐴\\\n\"A\u{fffd}x/\u{8}\u{c}\r\t", "ok"]
        );
    }

    #[test]
    fn a_send_request_says_what_is_wrong() {
        assert_eq!(payload(b""), Err(PayloadError::Missing));
        assert_eq!(payload(b"[\"x"), Err(PayloadError::Broken));
        assert_eq!(payload(b"\xff"), Err(PayloadError::Broken));
        assert_eq!(payload(b"{}"), Err(PayloadError::Missing));
        assert_eq!(payload(b"\"x\""), Err(PayloadError::Missing));
        assert_eq!(payload(b"[]"), Ok(vec![]));
        assert_eq!(payload(b"[\"x\"]"), Ok(vec!["x".into()]));
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read_back(list in prop::collection::vec(any::<String>(), 0..6)) {
            let frame = message_frame(&list.iter().map(|text| quoted(text)).collect::<Vec<_>>());
            prop_assert_eq!(texts(&frame[1..]), list.clone());
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&frame[1..]).unwrap(), list);
        }

        #[test]
        fn any_code_units_are_read(units in prop::collection::vec(any::<u16>(), 0..40)) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let expected = String::from_utf16_lossy(&units);
            prop_assert_eq!(texts(&format!("[\"{escaped}\"]")), [expected]);
        }

        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = incoming(&bytes);
            let _ = payload(&bytes);
        }
    }
}
