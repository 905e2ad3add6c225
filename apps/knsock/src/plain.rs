//! The lines that nearly all clients send, read without a parser.

use memchr::memchr;
use serde_json::{Deserializer, value::RawValue};

/// The values of a line. They are those that a JSON parser finds.
#[derive(Debug, Default)]
pub(crate) struct PlainLine<'l> {
    pub(crate) action: Option<Value<'l>>,
    pub(crate) topic: Option<Value<'l>>,
    pub(crate) message: Option<Value<'l>>,
}

/// A value of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'l> {
    /// A string with its quotes, in which nothing is escaped.
    Plain(&'l str),
    /// Any value, as a parser found it.
    Raw(&'l RawValue),
}

impl<'l> PlainLine<'l> {
    /// Reads an object whose names are the three that are known, each at most once, and in which nothing is
    /// escaped. `None` for everything else, good or bad: a parser shall look at it.
    ///
    /// A line without backslashes and control characters cannot have a bad string: each ends at the next
    /// quote. So a message that is one, as most are, needs no parser at all.
    pub(crate) fn read(line: &'l str) -> Option<Self> {
        // Without a branch for each byte, so that many are looked at at once.
        let has_control = line.bytes().fold(false, |any, byte| any | (byte < b' '));
        if has_control || memchr(b'\\', line.as_bytes()).is_some() {
            return None;
        }
        let mut found = Self::default();
        let mut rest = skip_blanks(line).strip_prefix('{')?;
        loop {
            let field = skip_blanks(rest);
            let (place, after) = if let Some(after) = field.strip_prefix("\"action\"") {
                (&mut found.action, after)
            } else if let Some(after) = field.strip_prefix("\"topic\"") {
                (&mut found.topic, after)
            } else {
                (&mut found.message, field.strip_prefix("\"message\"")?)
            };
            let after = skip_blanks(skip_blanks(after).strip_prefix(':')?);
            let (value, after) = match string(after) {
                Some((value, after)) => (Value::Plain(value), after),
                None => other(after)?,
            };
            if place.replace(value).is_some() {
                return None;
            }
            let after = skip_blanks(after);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => {
                    let end = skip_blanks(after.strip_prefix('}')?);
                    return end.is_empty().then_some(found);
                }
            }
        }
    }
}

/// There are no other blanks on a line without control characters.
fn skip_blanks(text: &str) -> &str {
    // Mostly there is one or none, which is told without a loop.
    let text = text.strip_prefix(' ').unwrap_or(text);
    if text.starts_with(' ') {
        text.trim_start_matches(' ')
    } else {
        text
    }
}

/// The string at the beginning, with its quotes, and what follows it.
fn string(text: &str) -> Option<(&str, &str)> {
    let end = memchr(b'"', text.strip_prefix('"')?.as_bytes())?;
    text.split_at_checked(end + 2)
}

/// The value at the beginning that is no string, and what follows it.
fn other(text: &str) -> Option<(Value<'_>, &str)> {
    let mut values = Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = Value::Raw(values.next()?.ok()?);
    Some((value, text.get(values.byte_offset()..)?))
}
