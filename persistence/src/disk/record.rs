//! Records: what the log says.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use polywire_core::{
    Annotation, BinaryError, Channel, ClientId, Epoch, Position, Publication, Seq, Span, Target,
    Timetoken, decode_draft, encode_draft,
};

use super::frame::HEADER;

/// The record is a publication.
pub(super) const PUBLICATION: u8 = b'P';
const DELETION: u8 = b'D';
const ANNOTATION: u8 = b'A';
const REMOVAL: u8 = b'R';
const HEAD: u8 = b'H';

/// Bytes of a publication in front of its draft.
const POSITION: usize = 24;

/// A record that is no publication. There are few of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// The publications of the span are gone.
    Deletion { target: Target, span: Span },
    /// Something was attached to the publication with the timetoken.
    Annotation {
        target: Target,
        publication: Timetoken,
        annotation: Annotation,
    },
    /// What was attached at a time is gone.
    Removal {
        target: Target,
        publication: Timetoken,
        at: Timetoken,
    },
    /// The last position of a target, where its last publication is kept no more or continuity was lost.
    Head {
        target: Target,
        position: Position,
        broken: bool,
    },
}

/// The bytes are no record of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record is not valid")]
pub(super) struct Invalid;

impl From<bytes::TryGetError> for Invalid {
    fn from(_: bytes::TryGetError) -> Self {
        Self
    }
}

pub(super) fn encode_publication(
    publication: &Publication,
    to: &mut BytesMut,
) -> Result<(), BinaryError> {
    put_position(to, publication.position());
    encode_draft(publication, to)
}

/// Bytes of the record of a plain publication to `target` besides its payload.
pub(super) fn record_overhead(target: &Target) -> u64 {
    let name = match target {
        Target::Channel(channel) => channel.as_str().len(),
        Target::Client(client) => client.as_str().len(),
    };
    // Two fields, each with a tag and a length.
    (HEADER + POSITION + name + 2 * 5) as u64
}

/// The content of a publication; shares its memory.
pub(super) fn decode_publication(mut content: Bytes) -> Result<Publication, Invalid> {
    let position = take_position(&mut content)?;
    let draft = decode_draft(content).map_err(|_| Invalid)?;
    Ok(draft.at(position))
}

fn put_position(to: &mut BytesMut, position: Position) {
    to.put_u64_le(position.epoch.0);
    to.put_u64_le(position.seq.0);
    to.put_u64_le(position.timetoken.0);
}

fn take_position(from: &mut Bytes) -> Result<Position, Invalid> {
    Ok(Position {
        epoch: Epoch(from.try_get_u64_le()?),
        seq: Seq(from.try_get_u64_le()?),
        timetoken: Timetoken(from.try_get_u64_le()?),
    })
}

impl Note {
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Deletion { .. } => DELETION,
            Self::Annotation { .. } => ANNOTATION,
            Self::Removal { .. } => REMOVAL,
            Self::Head { .. } => HEAD,
        }
    }

    pub(super) fn encode(&self, to: &mut BytesMut) {
        match self {
            Self::Deletion { target, span } => {
                put_target(to, target);
                to.put_u64_le(span.from.0);
                to.put_u64_le(span.to.0);
            }
            Self::Annotation {
                target,
                publication,
                annotation,
            } => {
                put_target(to, target);
                to.put_u64_le(publication.0);
                to.put_u64_le(annotation.at.0);
                put_text(to, &annotation.kind);
                put_text(to, &annotation.value);
                if let Some(author) = &annotation.author {
                    put_client(to, author);
                }
            }
            Self::Removal {
                target,
                publication,
                at,
            } => {
                put_target(to, target);
                to.put_u64_le(publication.0);
                to.put_u64_le(at.0);
            }
            Self::Head {
                target,
                position,
                broken,
            } => {
                put_target(to, target);
                put_position(to, *position);
                to.put_u8((*broken).into());
            }
        }
    }

    pub(super) fn decode(kind: u8, mut from: Bytes) -> Result<Self, Invalid> {
        let target = take_target(&mut from)?;
        let timetoken = |from: &mut Bytes| from.try_get_u64_le().map(Timetoken);
        match kind {
            DELETION => Ok(Self::Deletion {
                target,
                span: Span {
                    from: timetoken(&mut from)?,
                    to: timetoken(&mut from)?,
                },
            }),
            ANNOTATION => Ok(Self::Annotation {
                target,
                publication: timetoken(&mut from)?,
                annotation: Annotation {
                    at: timetoken(&mut from)?,
                    kind: take_text(&mut from)?,
                    value: take_text(&mut from)?,
                    author: if from.is_empty() {
                        None
                    } else {
                        Some(take_client(&mut from)?)
                    },
                },
            }),
            REMOVAL => Ok(Self::Removal {
                target,
                publication: timetoken(&mut from)?,
                at: timetoken(&mut from)?,
            }),
            HEAD => Ok(Self::Head {
                target,
                position: take_position(&mut from)?,
                broken: from.try_get_u8()? != 0,
            }),
            _ => Err(Invalid),
        }
    }
}

pub(super) fn put_target(to: &mut BytesMut, target: &Target) {
    match target {
        Target::Channel(channel) => {
            to.put_u8(b'c');
            put_text(to, channel.as_str());
        }
        Target::Client(client) => put_client(to, client),
    }
}

fn put_client(to: &mut BytesMut, client: &ClientId) {
    to.put_u8(if client.is_numeric() { b'U' } else { b'u' });
    put_text(to, client.as_str());
}

fn put_text(to: &mut BytesMut, text: &str) {
    // Names and annotations are far below 4 GiB: their limits are.
    to.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
    to.put_slice(text.as_bytes());
}

pub(super) fn take_target(from: &mut Bytes) -> Result<Target, Invalid> {
    if from.first() == Some(&b'c') {
        from.advance(1);
        let channel = Channel::new(&take_text(from)?);
        return Ok(channel.map_err(|_| Invalid)?.into());
    }
    Ok(take_client(from)?.into())
}

fn take_client(from: &mut Bytes) -> Result<ClientId, Invalid> {
    let tag = from.try_get_u8()?;
    let text = take_text(from)?;
    match tag {
        b'u' => ClientId::new(&text).map_err(|_| Invalid),
        b'U' => {
            let number = serde_json::from_str(&text).map_err(|_| Invalid)?;
            Ok(ClientId::number(&number))
        }
        _ => Err(Invalid),
    }
}

fn take_text(from: &mut Bytes) -> Result<ByteString, Invalid> {
    let len = from.try_get_u32_le()? as usize;
    if len > from.len() {
        return Err(Invalid);
    }
    // A copy: the input is a whole file, and what is kept must not hold it in memory.
    let text = std::str::from_utf8(&from[..len]).map_err(|_| Invalid)?;
    let text = ByteString::from(text);
    from.advance(len);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use polywire_core::testkit::sample_drafts;
    use proptest::prelude::*;

    use super::*;

    fn targets() -> [Target; 3] {
        [
            Channel::new("room/\u{e9}").unwrap().into(),
            ClientId::new("ann").unwrap().into(),
            ClientId::number(&17.into()).into(),
        ]
    }

    const POSITION: Position = Position {
        epoch: Epoch(3),
        seq: Seq(u64::MAX),
        timetoken: Timetoken(17),
    };

    fn notes() -> Vec<Note> {
        let author = [None, Some(ClientId::number(&4.into()))];
        let mut all = Vec::new();
        for target in targets() {
            all.push(Note::Deletion {
                target: target.clone(),
                span: Span::ALL,
            });
            for author in author.clone() {
                all.push(Note::Annotation {
                    target: target.clone(),
                    publication: Timetoken(1),
                    annotation: Annotation {
                        at: Timetoken(2),
                        kind: "reaction".into(),
                        value: "\u{1f600}".into(),
                        author,
                    },
                });
            }
            all.push(Note::Removal {
                target: target.clone(),
                publication: Timetoken(1),
                at: Timetoken(2),
            });
            all.push(Note::Head {
                target,
                position: POSITION,
                broken: true,
            });
        }
        all
    }

    #[test]
    fn notes_survive() {
        for note in notes() {
            let mut bytes = BytesMut::new();
            note.encode(&mut bytes);
            assert_eq!(Note::decode(note.kind(), bytes.freeze()), Ok(note));
        }
    }

    #[test]
    fn publications_survive() {
        for draft in targets().iter().flat_map(sample_drafts) {
            let publication = draft.at(POSITION);
            let mut bytes = BytesMut::new();
            encode_publication(&publication, &mut bytes).unwrap();
            assert_eq!(decode_publication(bytes.freeze()), Ok(publication));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_an_error(kind: u8, bytes: Vec<u8>) {
            for kind in [kind, b'D', b'A', b'R', b'H'] {
                let _ = Note::decode(kind, bytes.clone().into());
            }
            let _ = decode_publication(bytes.into());
        }
    }
}
