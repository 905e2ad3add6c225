//! SockJS frames (sockjs-protocol 0.3.3, "Protocol and framing").

use bytestring::ByteString;

use crate::{delivery::Message, transport::CloseReason};

/// The first frame of a session.
pub const OPEN: &str = "o";

/// The frame that says that the server is there.
pub const HEARTBEAT: &str = "h";

/// The text is not framed as SockJS asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Broken JSON encoding.")]
pub struct BrokenFraming;

/// A message as a JSON string, with what JavaScript engines and proxies stumble over escaped.
pub fn quote(message: &Message) -> String {
    let text = match message {
        Message::Text(text) => std::borrow::Cow::Borrowed(&**text),
        Message::Binary(bytes) => String::from_utf8_lossy(bytes),
    };
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0}'..='\u{1f}'
            | '\u{200c}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff0}'..='\u{ffff}' => {
                out.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    let digit = (c as u32 >> shift) & 15;
                    out.extend(char::from_digit(digit, 16));
                }
            }
            c => out.push(c),
        }
    }
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
    let text = quote(&Message::Text(reason.reason.as_ref().to_owned().into()));
    format!("c[{},{text}]", reason.code)
}

/// The messages that a client sent: a JSON array of strings, or one string; nothing for an empty text.
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
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(list) => Ok(list.into_iter().map(ByteString::from).collect()),
        Err(_) => serde_json::from_str::<String>(text)
            .map(|one| vec![ByteString::from(one)])
            .map_err(|_| BrokenFraming),
    }
}
