//! A publication as it travels through Redis.
//!
//! ```text
//! pw1 <epoch> <seq> <timetoken>\n      written by the script, in decimal
//! <node: 8 bytes> <number: 8 bytes>    who published it, and its number there
//! { <tag: 1 byte> <length: 4 bytes> <content> } ...
//! ```
//!
//! Names, JSON and payloads are carried as they are. Fields with a tag that is not known are skipped, so
//! that a later version may add some. Decoding is total: whatever comes is a publication or an error.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use polywire_core::{
    Channel, ClientId, ConnectionId, Draft, Epoch, JsonText, Kind, NodeId, Payload, Position,
    PresenceAction, PresenceEvent, Publication, Retention, Seq, Target, Timetoken,
};

use super::wire::{put_field, take_field, take_u8, take_u32, take_u64};

/// What every envelope begins with; the script writes it.
const MAGIC: &[u8] = b"pw1 ";
/// The line of the script is never longer: three numbers of at most 20 digits.
const LINE_MAX: usize = 80;

const CHANNEL: u8 = b'c';
const CLIENT: u8 = b'u';
const CLIENT_NUMBER: u8 = b'U';
const PUBLISHER: u8 = b'p';
const PUBLISHER_NUMBER: u8 = b'P';
const META: u8 = b'm';
const EXCEPT: u8 = b'x';
const RETENTION: u8 = b'r';
const KIND: u8 = b'k';
const PRESENCE: u8 = b'e';
const PRESENT: u8 = b'w';
const PRESENT_NUMBER: u8 = b'W';
const STATE: u8 = b's';
const JSON: u8 = b'J';
const TEXT: u8 = b'T';
const BINARY: u8 = b'B';

/// Who published something: the number is never used twice on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PublishId {
    pub(super) node: NodeId,
    pub(super) number: u64,
}

/// Why bytes are not an envelope, or a draft cannot be put into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnvelopeError {
    #[error("the envelope ends too early")]
    Truncated,
    #[error("it does not begin like an envelope")]
    NotAnEnvelope,
    #[error("a field of the envelope is not valid")]
    InvalidField,
    #[error("the envelope names no target or has no payload")]
    Incomplete,
    #[error("a field is too long for an envelope")]
    TooLong,
    #[error("this sort of publication cannot travel")]
    UnknownKind,
}

/// The body of an envelope: everything but the place.
pub(super) fn encode(id: PublishId, draft: &Draft) -> Result<Bytes, EnvelopeError> {
    let mut to = BytesMut::with_capacity(draft.payload.len() + 128);
    to.put_u64(id.node.0);
    to.put_u64(id.number);
    match &draft.target {
        Target::Channel(channel) => put_field(&mut to, CHANNEL, channel.as_str().as_bytes())?,
        Target::Client(client) => put_client(&mut to, CLIENT, CLIENT_NUMBER, client)?,
    }
    if let Some(publisher) = &draft.publisher {
        put_client(&mut to, PUBLISHER, PUBLISHER_NUMBER, publisher)?;
    }
    if let Some(meta) = &draft.meta {
        put_field(&mut to, META, meta.as_str().as_bytes())?;
    }
    if let Some(except) = draft.except {
        let mut content = BytesMut::new();
        content.put_u64(except.node.0);
        content.put_u64(except.number);
        put_field(&mut to, EXCEPT, &content)?;
    }
    if draft.retention != Retention::DEFAULT {
        let mut content = BytesMut::new();
        content.put_u8(draft.retention.store.into());
        if let Some(ttl) = draft.retention.ttl {
            content.put_u64(ttl.as_secs());
            content.put_u32(ttl.subsec_nanos());
        }
        put_field(&mut to, RETENTION, &content)?;
    }
    put_kind(&mut to, &draft.kind)?;
    match &draft.payload {
        Payload::Json(json) => put_field(&mut to, JSON, json.as_str().as_bytes())?,
        // A text that remembers the JSON string it came in as becomes the same text from it again.
        Payload::Text(text) => match text.quoted() {
            Some(quoted) => put_field(&mut to, JSON, quoted.as_str().as_bytes())?,
            None => put_field(&mut to, TEXT, text.value().as_bytes())?,
        },
        Payload::Binary(bytes) => put_field(&mut to, BINARY, bytes)?,
    }
    Ok(to.freeze())
}

fn put_client(
    to: &mut BytesMut,
    text: u8,
    number: u8,
    client: &ClientId,
) -> Result<(), EnvelopeError> {
    let tag = if client.is_numeric() { number } else { text };
    put_field(to, tag, client.as_str().as_bytes())
}

fn put_kind(to: &mut BytesMut, kind: &Kind) -> Result<(), EnvelopeError> {
    match kind {
        Kind::Message => Ok(()),
        Kind::Signal => put_field(to, KIND, b"S"),
        Kind::Action => put_field(to, KIND, b"A"),
        Kind::Presence(event) => {
            let mut content = BytesMut::new();
            content.put_u8(match event.action {
                PresenceAction::Connect => b'C',
                PresenceAction::Disconnect => b'D',
                PresenceAction::Join => b'J',
                PresenceAction::Leave => b'L',
                PresenceAction::Timeout => b'T',
                PresenceAction::StateChange => b'S',
                _ => return Err(EnvelopeError::UnknownKind),
            });
            content.put_u64(event.occupancy as u64);
            put_field(to, PRESENCE, &content)?;
            if let Some(client) = &event.client {
                put_client(to, PRESENT, PRESENT_NUMBER, client)?;
            }
            if let Some(state) = &event.state {
                put_field(to, STATE, state.as_str().as_bytes())?;
            }
            Ok(())
        }
        _ => Err(EnvelopeError::UnknownKind),
    }
}

/// A whole envelope, as it comes from Redis.
pub(super) fn decode(mut from: Bytes) -> Result<(PublishId, Publication), EnvelopeError> {
    if !from.starts_with(MAGIC) {
        return Err(EnvelopeError::NotAnEnvelope);
    }
    from.advance(MAGIC.len());
    let end = from
        .iter()
        .take(LINE_MAX)
        .position(|byte| *byte == b'\n')
        .ok_or(EnvelopeError::NotAnEnvelope)?;
    let line = from.split_to(end);
    from.advance(1);
    let mut numbers = line.split(|byte| *byte == b' ').map(number);
    let (Some(Some(epoch)), Some(Some(seq)), Some(Some(timetoken)), None) = (
        numbers.next(),
        numbers.next(),
        numbers.next(),
        numbers.next(),
    ) else {
        return Err(EnvelopeError::NotAnEnvelope);
    };
    let (id, draft) = decode_body(from)?;
    let position = Position {
        epoch: Epoch(epoch),
        seq: Seq(seq),
        timetoken: Timetoken(timetoken),
    };
    Ok((id, draft.at(position)))
}

/// A number in decimal digits.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The body of an envelope.
pub(super) fn decode_body(mut from: Bytes) -> Result<(PublishId, Draft), EnvelopeError> {
    let id = PublishId {
        node: NodeId(take_u64(&mut from)?),
        number: take_u64(&mut from)?,
    };
    let mut found = Found::default();
    while let Some((tag, content)) = take_field(&mut from)? {
        found.take(tag, content)?;
    }
    Ok((id, found.finish()?))
}

/// The fields that were found so far.
#[derive(Default)]
struct Found {
    target: Option<Target>,
    payload: Option<Payload>,
    publisher: Option<ClientId>,
    meta: Option<JsonText>,
    except: Option<ConnectionId>,
    retention: Option<Retention>,
    kind: Kind,
    present: Option<ClientId>,
    state: Option<JsonText>,
}

impl Found {
    fn take(&mut self, tag: u8, mut content: Bytes) -> Result<(), EnvelopeError> {
        match tag {
            CHANNEL => {
                let channel = Channel::new(text(&content)?);
                self.target = Some(channel.map_err(|_| EnvelopeError::InvalidField)?.into());
            }
            CLIENT | CLIENT_NUMBER => {
                self.target = Some(client(&content, tag == CLIENT_NUMBER)?.into());
            }
            PUBLISHER | PUBLISHER_NUMBER => {
                self.publisher = Some(client(&content, tag == PUBLISHER_NUMBER)?);
            }
            META => self.meta = Some(json(content)?),
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
                    _ => return Err(EnvelopeError::InvalidField),
                }
            }
            PRESENCE => self.kind = Kind::Presence(presence(content)?),
            PRESENT | PRESENT_NUMBER => {
                self.present = Some(client(&content, tag == PRESENT_NUMBER)?);
            }
            STATE => self.state = Some(json(content)?),
            JSON => self.payload = Some(Payload::json(json(content)?)),
            TEXT => {
                let text = ByteString::try_from(content);
                self.payload = Some(Payload::text(
                    text.map_err(|_| EnvelopeError::InvalidField)?,
                ));
            }
            BINARY => self.payload = Some(Payload::Binary(content)),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Draft, EnvelopeError> {
        let (Some(target), Some(payload)) = (self.target, self.payload) else {
            return Err(EnvelopeError::Incomplete);
        };
        let mut kind = self.kind;
        if let Kind::Presence(event) = &mut kind {
            event.client = self.present;
            event.state = self.state;
        }
        let mut draft = Draft::new(target, payload)
            .publisher(self.publisher)
            .except(self.except)
            .retention(self.retention.unwrap_or(Retention::DEFAULT))
            .kind(kind);
        draft.meta = self.meta;
        Ok(draft)
    }
}

fn text(content: &[u8]) -> Result<&str, EnvelopeError> {
    std::str::from_utf8(content).map_err(|_| EnvelopeError::InvalidField)
}

fn json(content: Bytes) -> Result<JsonText, EnvelopeError> {
    JsonText::parse(content).map_err(|_| EnvelopeError::InvalidField)
}

fn client(content: &[u8], numeric: bool) -> Result<ClientId, EnvelopeError> {
    let text = text(content)?;
    if numeric {
        let number = serde_json::from_str(text).map_err(|_| EnvelopeError::InvalidField)?;
        return Ok(ClientId::number(&number));
    }
    ClientId::new(text).map_err(|_| EnvelopeError::InvalidField)
}

fn retention(mut content: Bytes) -> Result<Retention, EnvelopeError> {
    let store = take_u8(&mut content)? != 0;
    let ttl = if content.is_empty() {
        None
    } else {
        let (secs, nanos) = (take_u64(&mut content)?, take_u32(&mut content)?);
        if nanos >= 1_000_000_000 {
            return Err(EnvelopeError::InvalidField);
        }
        Some(Duration::new(secs, nanos))
    };
    Ok(Retention { store, ttl })
}

fn presence(mut content: Bytes) -> Result<PresenceEvent, EnvelopeError> {
    let action = match take_u8(&mut content)? {
        b'C' => PresenceAction::Connect,
        b'D' => PresenceAction::Disconnect,
        b'J' => PresenceAction::Join,
        b'L' => PresenceAction::Leave,
        b'T' => PresenceAction::Timeout,
        b'S' => PresenceAction::StateChange,
        _ => return Err(EnvelopeError::InvalidField),
    };
    let occupancy = usize::try_from(take_u64(&mut content)?);
    Ok(PresenceEvent {
        action,
        client: None,
        occupancy: occupancy.map_err(|_| EnvelopeError::InvalidField)?,
        state: None,
    })
}

#[cfg(test)]
mod tests {
    use polywire_core::testkit::sample_drafts;
    use proptest::prelude::*;

    use super::*;

    const ID: PublishId = PublishId {
        node: NodeId(7),
        number: 9,
    };

    fn whole(draft: &Draft) -> Vec<u8> {
        let mut bytes = b"pw1 17000000000000001 3 17000000000000009\n".to_vec();
        bytes.extend_from_slice(&encode(ID, draft).unwrap());
        bytes
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
            let (id, publication) = decode(whole(&draft).into()).unwrap();
            assert_eq!(id, ID);
            assert_eq!(*publication, draft);
            assert_eq!(
                format!("{:?}", publication.position()),
                "Position { epoch: Epoch(17000000000000001), seq: Seq(3), \
                 timetoken: Timetoken(17000000000000009) }"
            );
            let Target::Client(client) = &publication.target else {
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
        assert_eq!(*decode(bytes.into()).unwrap().1, *draft);
    }

    #[test]
    fn a_cut_envelope_is_an_error() {
        for draft in samples().iter().filter(|draft| draft.payload.len() < 100) {
            let bytes = whole(draft);
            for end in 0..bytes.len() {
                assert!(decode(Bytes::copy_from_slice(&bytes[..end])).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_envelope_or_an_error(bytes: Vec<u8>) {
            let _ = decode(bytes.clone().into());
            let _ = decode([b"pw1 1 2 3\n", &bytes[..]].concat().into());
        }

        #[test]
        fn any_damage_is_survived(index in 0usize..40, at: prop::sample::Index, byte: u8) {
            let all = samples();
            let mut bytes = whole(&all[index % all.len()]);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode(bytes.into());
        }
    }
}
