//! The part of CBOR (RFC 8949) that tokens are made of.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// Maps and arrays inside each other.
const DEPTH_MAX: usize = 16;

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(u64),
    /// A text, or bytes that are one.
    Text(String),
    Bytes(Vec<u8>),
    Map(BTreeMap<String, Value>),
    /// What tokens have no use for.
    Other,
}

/// Writes values one after another.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        // The shortest form, so that equal values have equal bytes.
        match value {
            0..24 => self.0.push(major | value as u8),
            24..0x100 => self.0.extend([major | 24, value as u8]),
            0x100..0x1_0000 => {
                self.0.push(major | 25);
                self.0.extend((value as u16).to_be_bytes());
            }
            0x1_0000..0x1_0000_0000 => {
                self.0.push(major | 26);
                self.0.extend((value as u32).to_be_bytes());
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend(value.to_be_bytes());
            }
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        self.head(0, number);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.head(2, bytes.len() as u64);
        self.0.extend(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.head(3, text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    /// A map begins; as many pairs follow.
    pub(super) fn map(&mut self, pairs: usize) {
        self.head(5, pairs as u64);
    }

    pub(super) fn json(&mut self, json: &Json) {
        match json {
            Json::Null => self.0.push(0xf6),
            Json::Bool(truth) => self.0.push(if *truth { 0xf5 } else { 0xf4 }),
            Json::Number(number) => {
                if let Some(number) = number.as_u64() {
                    self.number(number);
                } else if let Some(number) = number.as_i64() {
                    self.head(1, !number as u64);
                } else {
                    self.0.push(0xfb);
                    let number = number.as_f64().unwrap_or_default();
                    self.0.extend(number.to_be_bytes());
                }
            }
            Json::String(text) => self.text(text),
            Json::Array(elements) => {
                self.head(4, elements.len() as u64);
                for element in elements {
                    self.json(element);
                }
            }
            Json::Object(members) => {
                self.map(members.len());
                for (name, value) in members {
                    self.text(name);
                    self.json(value);
                }
            }
        }
    }
}

/// Reads one value that is all there is; none for anything else.
pub(super) fn read(mut from: &[u8]) -> Option<Value> {
    let value = value(&mut from, 0)?;
    from.is_empty().then_some(value)
}

fn take<'f>(from: &mut &'f [u8], count: u64) -> Option<&'f [u8]> {
    let count = usize::try_from(count).ok()?;
    let (taken, rest) = from.split_at_checked(count)?;
    *from = rest;
    Some(taken)
}

fn value(from: &mut &[u8], depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let head = take(from, 1)?[0];
    let (major, low) = (head >> 5, head & 31);
    let number = match low {
        0..24 => u64::from(low),
        24..28 => take(from, 1 << (low - 24))?
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        // Lengths that are not told beforehand are not used.
        _ => return None,
    };
    Some(match major {
        0 => Value::Number(number),
        2 => {
            let bytes = take(from, number)?;
            match std::str::from_utf8(bytes) {
                Ok(text) => Value::Text(text.to_owned()),
                Err(_) => Value::Bytes(bytes.to_owned()),
            }
        }
        3 => Value::Text(std::str::from_utf8(take(from, number)?).ok()?.to_owned()),
        4 => {
            for _ in 0..number {
                value(from, depth + 1)?;
            }
            Value::Other
        }
        5 => {
            let mut map = BTreeMap::new();
            for _ in 0..number {
                let Value::Text(name) = value(from, depth + 1)? else {
                    return None;
                };
                map.insert(name, value(from, depth + 1)?);
            }
            Value::Map(map)
        }
        1 | 7 => Value::Other,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        writer.map(3);
        writer.bytes(b"v");
        writer.number(2);
        writer.text("meta");
        writer.json(&serde_json::json!({"a": [1, -2, 2.5, null, true], "b": {}}));
        writer.bytes(b"ttl");
        writer.number(43200);
        let Some(Value::Map(map)) = read(&writer.0) else {
            panic!("no map");
        };
        assert_eq!(map["v"], Value::Number(2));
        assert_eq!(map["ttl"], Value::Number(43200));
        assert!(matches!(&map["meta"], Value::Map(meta) if meta["a"] == Value::Other));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            read(&bytes);
        }
    }
}
