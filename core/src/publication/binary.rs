//! A draft in bytes, as it is carried between nodes and kept in stores.
//!
//! ```text
//! { <tag: 1 byte> <length: 4 bytes> <content> } ...
//! ```
//!
//! Names, JSON and payloads are carried as they are. Fields with a tag that is not known are skipped, so
//! that a later version may add some. Decoding is total: whatever comes is a draft or an error.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use super::{
    Draft, InvalidJson, JsonText, Kind, Payload, PresenceAction, PresenceEvent, PresenceSummary,
    Retention, Target,
};
use crate::{
    channel::Channel,
    identity::{ClientId, ConnectionId, NodeId},
};

const CHANNEL: u8 = b'c';
const CLIENT: u8 = b'u';
const CLIENT_NUMBER: u8 = b'U';
const PUBLISHER: u8 = b'p';
const PUBLISHER_NUMBER: u8 = b'P';
const PROVEN: u8 = b'v';
const META: u8 = b'm';
const PROPERTIES: u8 = b'a';
const LABEL: u8 = b'l';
const EXCEPT: u8 = b'x';
const RETENTION: u8 = b'r';
const KIND: u8 = b'k';
const PRESENCE: u8 = b'e';
const PRESENT: u8 = b'w';
const PRESENT_NUMBER: u8 = b'W';
const STATE: u8 = b's';
const OCCUPANCY: u8 = b'o';
const CAME: u8 = b'+';
const CAME_NUMBER: u8 = b'1';
const WENT: u8 = b'-';
const WENT_NUMBER: u8 = b'2';
const TIMED_OUT: u8 = b't';
const TIMED_OUT_NUMBER: u8 = b'3';
const JSON: u8 = b'J';
const TEXT: u8 = b'T';
const BINARY: u8 = b'B';

/// Why bytes are not a draft, or a draft cannot be put into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryError {
    /// A field says that it is longer than what is there.
    #[error("the bytes end too early")]
    Truncated,
    /// The content of a field is not what its tag promises.
    #[error("a field is not valid")]
    InvalidField,
    /// The target or the payload is missing.
    #[error("the bytes name no target or have no payload")]
    Incomplete,
    /// A field is longer than its length can say.
    #[error("a field is too long")]
    TooLong,
}

/// Appends `draft` to `to`. What was appended before an error stays there.
///
/// # Errors
/// A field longer than 4 GiB.
pub fn encode_draft(draft: &Draft, to: &mut BytesMut) -> Result<(), BinaryError> {
    match &draft.target {
        Target::Channel(channel) => put_field(to, CHANNEL, channel.as_str().as_bytes())?,
        Target::Client(client) => put_client(to, CLIENT, CLIENT_NUMBER, client)?,
    }
    if let Some(publisher) = &draft.publisher {
        put_client(to, PUBLISHER, PUBLISHER_NUMBER, publisher)?;
        if draft.is_proven {
            put_field(to, PROVEN, b"")?;
        }
    }
    if let Some(meta) = &draft.meta {
        put_field(to, META, meta.as_str().as_bytes())?;
    }
    if let Some(properties) = &draft.properties {
        put_field(to, PROPERTIES, properties.as_str().as_bytes())?;
    }
    if let Some(label) = &draft.label {
        put_field(to, LABEL, label.as_bytes())?;
    }
    if let Some(except) = draft.except {
        put_head(to, EXCEPT, 16)?;
        to.put_u64(except.node.0);
        to.put_u64(except.number);
    }
    if draft.retention != Retention::DEFAULT {
        let ttl = draft.retention.ttl;
        put_head(to, RETENTION, if ttl.is_some() { 13 } else { 1 })?;
        to.put_u8(draft.retention.store.into());
        if let Some(ttl) = ttl {
            to.put_u64(ttl.as_secs());
            to.put_u32(ttl.subsec_nanos());
        }
    }
    put_kind(to, &draft.kind)?;
    match &draft.payload {
        Payload::Json(json) => put_field(to, JSON, json.as_str().as_bytes())?,
        // A text that remembers the JSON string it came in as becomes the same text from it again.
        Payload::Text(text) => match text.quoted() {
            Some(quoted) => put_field(to, JSON, quoted.as_str().as_bytes())?,
            None => put_field(to, TEXT, text.value().as_bytes())?,
        },
        Payload::Binary(bytes) => put_field(to, BINARY, bytes)?,
    }
    Ok(())
}

fn put_client(
    to: &mut BytesMut,
    text: u8,
    number: u8,
    client: &ClientId,
) -> Result<(), BinaryError> {
    let tag = if client.is_numeric() { number } else { text };
    put_field(to, tag, client.as_str().as_bytes())
}

fn put_kind(to: &mut BytesMut, kind: &Kind) -> Result<(), BinaryError> {
    match kind {
        Kind::Message => Ok(()),
        Kind::Signal => put_field(to, KIND, b"S"),
        Kind::Action => put_field(to, KIND, b"A"),
        Kind::Clear => put_field(to, KIND, b"C"),
        Kind::Presence(event) => {
            put_head(to, PRESENCE, 9)?;
            to.put_u8(match event.action {
                PresenceAction::Connect => b'C',
                PresenceAction::Disconnect => b'D',
                PresenceAction::Join => b'J',
                PresenceAction::Leave => b'L',
                PresenceAction::Timeout => b'T',
                PresenceAction::StateChange => b'S',
            });
            to.put_u64(event.occupancy as u64);
            if let Some(client) = &event.client {
                put_client(to, PRESENT, PRESENT_NUMBER, client)?;
            }
            if let Some(state) = &event.state {
                put_field(to, STATE, state.as_str().as_bytes())?;
            }
            Ok(())
        }
        Kind::PresenceSummary(summary) => {
            // A version that does not know it takes it for no message.
            put_field(to, KIND, b"I")?;
            put_head(to, OCCUPANCY, 9)?;
            to.put_u8(summary.is_incomplete().into());
            to.put_u64(summary.occupancy as u64);
            for (action, text, number) in SUMMED_UP {
                for client in summary.who(action) {
                    put_client(to, text, number, client)?;
                }
            }
            Ok(())
        }
    }
}

/// The parts of a summary.
const SUMMED_UP: [(PresenceAction, u8, u8); 3] = [
    (PresenceAction::Join, CAME, CAME_NUMBER),
    (PresenceAction::Leave, WENT, WENT_NUMBER),
    (PresenceAction::Timeout, TIMED_OUT, TIMED_OUT_NUMBER),
];

/// Reads a draft that takes up all of `from`, and shares its memory.
///
/// # Errors
/// Bytes that [`encode_draft`] does not write.
pub fn decode_draft(mut from: Bytes) -> Result<Draft, BinaryError> {
    let mut found = Found::default();
    while let Some((tag, content)) = take_field(&mut from)? {
        found.take(tag, content)?;
    }
    found.finish()
}

/// The fields that were found so far.
#[derive(Default)]
struct Found {
    target: Option<Target>,
    payload: Option<Payload>,
    publisher: Option<ClientId>,
    is_proven: bool,
    meta: Option<JsonText>,
    properties: Option<JsonText>,
    label: Option<ByteString>,
    except: Option<ConnectionId>,
    retention: Option<Retention>,
    kind: Kind,
    present: Option<ClientId>,
    state: Option<JsonText>,
    summary: PresenceSummary,
}

impl Found {
    fn take(&mut self, tag: u8, mut content: Bytes) -> Result<(), BinaryError> {
        match tag {
            CHANNEL => {
                let channel = Channel::new(text(&content)?);
                self.target = Some(channel.map_err(|_| BinaryError::InvalidField)?.into());
            }
            CLIENT | CLIENT_NUMBER => {
                self.target = Some(client(&content, tag == CLIENT_NUMBER)?.into());
            }
            PUBLISHER | PUBLISHER_NUMBER => {
                self.publisher = Some(client(&content, tag == PUBLISHER_NUMBER)?);
            }
            PROVEN => self.is_proven = true,
            META => self.meta = json(content)?,
            PROPERTIES => self.properties = json(content)?,
            LABEL => self.label = Some(text(&content)?.into()),
            EXCEPT => {
                self.except = Some(ConnectionId {
                    node: NodeId(take_u64(&mut content)?),
                    number: take_u64(&mut content)?,
                });
            }
            RETENTION => self.retention = Some(retention(content)?),
            KIND => {
                self.kind = match take_u8(&mut content)? {
                    b'S' => Kind::Signal,
                    b'A' => Kind::Action,
                    b'C' => Kind::Clear,
                    b'I' => Kind::PresenceSummary(Box::default()),
                    _ => return Err(BinaryError::InvalidField),
                }
            }
            PRESENCE => self.kind = Kind::Presence(presence(content)?),
            PRESENT | PRESENT_NUMBER => {
                self.present = Some(client(&content, tag == PRESENT_NUMBER)?);
            }
            STATE => self.state = json(content)?,
            OCCUPANCY => {
                if take_u8(&mut content)? != 0 {
                    self.summary.leave_out();
                }
                let occupancy = usize::try_from(take_u64(&mut content)?);
                self.summary.occupancy = occupancy.map_err(|_| BinaryError::InvalidField)?;
            }
            JSON => {
                self.payload = Some(match json(content.clone())? {
                    Some(json) => Payload::json(json),
                    None => Payload::text(text(&content)?.to_owned()),
                });
            }
            CAME | CAME_NUMBER => {
                self.sum_up(PresenceAction::Join, &content, tag == CAME_NUMBER)?;
            }
            WENT | WENT_NUMBER => {
                self.sum_up(PresenceAction::Leave, &content, tag == WENT_NUMBER)?;
            }
            TIMED_OUT | TIMED_OUT_NUMBER => {
                self.sum_up(PresenceAction::Timeout, &content, tag == TIMED_OUT_NUMBER)?;
            }
            TEXT => {
                let text = ByteString::try_from(content);
                self.payload = Some(Payload::text(text.map_err(|_| BinaryError::InvalidField)?));
            }
            BINARY => self.payload = Some(Payload::Binary(content)),
            _ => {}
        }
        Ok(())
    }

    fn sum_up(
        &mut self,
        action: PresenceAction,
        content: &[u8],
        numeric: bool,
    ) -> Result<(), BinaryError> {
        let client = Some(client(content, numeric)?);
        self.summary.note(&PresenceEvent {
            action,
            client,
            occupancy: self.summary.occupancy,
            state: None,
        });
        Ok(())
    }

    fn finish(self) -> Result<Draft, BinaryError> {
        let (Some(target), Some(payload)) = (self.target, self.payload) else {
            return Err(BinaryError::Incomplete);
        };
        let mut kind = self.kind;
        if let Kind::Presence(event) = &mut kind {
            event.client = self.present;
            event.state = self.state;
        }
        if let Kind::PresenceSummary(summary) = &mut kind {
            **summary = self.summary;
        }
        let mut draft = Draft::new(target, payload)
            .publisher(self.publisher)
            .except(self.except)
            .retention(self.retention.unwrap_or(Retention::DEFAULT))
            .kind(kind);
        draft.is_proven = self.is_proven && draft.publisher.is_some();
        draft.meta = self.meta;
        draft.properties = self.properties;
        draft.label = self.label;
        Ok(draft)
    }
}

fn text(content: &[u8]) -> Result<&str, BinaryError> {
    std::str::from_utf8(content).map_err(|_| BinaryError::InvalidField)
}

/// `None` for JSON that another version took and this one does not, since not every client can read it.
fn json(content: Bytes) -> Result<Option<JsonText>, BinaryError> {
    match JsonText::parse(content) {
        Ok(json) => Ok(Some(json)),
        Err(InvalidJson::Syntax) => Err(BinaryError::InvalidField),
        Err(InvalidJson::NumberTooLarge | InvalidJson::TooDeep) => Ok(None),
    }
}

fn client(content: &[u8], numeric: bool) -> Result<ClientId, BinaryError> {
    let text = text(content)?;
    if numeric {
        let number = serde_json::from_str(text).map_err(|_| BinaryError::InvalidField)?;
        return Ok(ClientId::number(&number));
    }
    ClientId::new(text).map_err(|_| BinaryError::InvalidField)
}

fn retention(mut content: Bytes) -> Result<Retention, BinaryError> {
    let store = take_u8(&mut content)? != 0;
    let ttl = if content.is_empty() {
        None
    } else {
        let (secs, nanos) = (take_u64(&mut content)?, take_u32(&mut content)?);
        if nanos >= 1_000_000_000 {
            return Err(BinaryError::InvalidField);
        }
        Some(Duration::new(secs, nanos))
    };
    Ok(Retention { store, ttl })
}

fn presence(mut content: Bytes) -> Result<PresenceEvent, BinaryError> {
    let action = match take_u8(&mut content)? {
        b'C' => PresenceAction::Connect,
        b'D' => PresenceAction::Disconnect,
        b'J' => PresenceAction::Join,
        b'L' => PresenceAction::Leave,
        b'T' => PresenceAction::Timeout,
        b'S' => PresenceAction::StateChange,
        _ => return Err(BinaryError::InvalidField),
    };
    let occupancy = usize::try_from(take_u64(&mut content)?);
    Ok(PresenceEvent {
        action,
        client: None,
        occupancy: occupancy.map_err(|_| BinaryError::InvalidField)?,
        state: None,
    })
}

/// Writes fields: one byte that says what it is, four of length, the content.
fn put_field(to: &mut BytesMut, tag: u8, content: &[u8]) -> Result<(), BinaryError> {
    put_head(to, tag, content.len())?;
    to.put_slice(content);
    Ok(())
}

fn put_head(to: &mut BytesMut, tag: u8, length: usize) -> Result<(), BinaryError> {
    let length = u32::try_from(length).map_err(|_| BinaryError::TooLong)?;
    let [a, b, c, d] = length.to_be_bytes();
    to.put_slice(&[tag, a, b, c, d]);
    Ok(())
}

/// Reads one field; `None` at the end. The content shares the input's memory.
fn take_field(from: &mut Bytes) -> Result<Option<(u8, Bytes)>, BinaryError> {
    if from.is_empty() {
        return Ok(None);
    }
    let tag = from.get_u8();
    let length = take_u32(from)? as usize;
    if length > from.len() {
        return Err(BinaryError::Truncated);
    }
    Ok(Some((tag, from.split_to(length))))
}

fn take_u8(from: &mut Bytes) -> Result<u8, BinaryError> {
    from.try_get_u8().map_err(|_| BinaryError::Truncated)
}

fn take_u32(from: &mut Bytes) -> Result<u32, BinaryError> {
    from.try_get_u32().map_err(|_| BinaryError::Truncated)
}

fn take_u64(from: &mut Bytes) -> Result<u64, BinaryError> {
    from.try_get_u64().map_err(|_| BinaryError::Truncated)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::sample_drafts;

    fn whole(draft: &Draft) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        encode_draft(draft, &mut bytes).unwrap();
        bytes.to_vec()
    }

    fn samples() -> Vec<Draft> {
        let room = Channel::new("room/\u{e9}").unwrap();
        let targets = [
            Target::from(room),
            Target::from(ClientId::number(&17.into())),
            Target::from(ClientId::number(
                &serde_json::Number::from_f64(1.5e300).unwrap(),
            )),
        ];
        targets.iter().flat_map(sample_drafts).collect()
    }

    #[test]
    fn every_field_survives() {
        for draft in samples() {
            let again = decode_draft(whole(&draft).into()).unwrap();
            assert_eq!(again, draft);
            let Target::Client(client) = &again.target else {
                continue;
            };
            assert!(client.is_numeric());
        }
    }

    #[test]
    fn fields_of_a_later_version_are_skipped() {
        let draft = &samples()[0];
        let mut bytes = whole(draft);
        bytes.extend_from_slice(b"?\0\0\0\x03abc");
        assert_eq!(decode_draft(bytes.into()).unwrap(), *draft);
    }

    #[test]
    fn cut_bytes_are_an_error() {
        for draft in samples().iter().filter(|draft| draft.payload.len() < 100) {
            let bytes = whole(draft);
            for end in 0..bytes.len() {
                // Each ends within a field, or lacks the payload, which comes last.
                assert!(decode_draft(Bytes::copy_from_slice(&bytes[..end])).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_draft_or_an_error(bytes: Vec<u8>) {
            let _ = decode_draft(bytes.into());
        }

        #[test]
        fn any_damage_is_survived(index in 0usize..40, at: prop::sample::Index, byte: u8) {
            let all = samples();
            let mut bytes = whole(&all[index % all.len()]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode_draft(bytes.into());
        }
    }
}
