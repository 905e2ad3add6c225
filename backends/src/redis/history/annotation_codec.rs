//! The codec of annotations: kind, value and author as Redis keeps them.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use polywire_core::{Annotation, ClientId, Timetoken};

/// Kind and value behind their lengths, then the author: nothing, `t` and a text, or `n` and a number.
pub(super) fn write(annotation: &Annotation) -> Bytes {
    let mut to = BytesMut::new();
    for text in [&annotation.kind, &annotation.value] {
        to.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        to.put_slice(text.as_bytes());
    }
    if let Some(author) = &annotation.author {
        to.put_u8(if author.is_numeric() { b'n' } else { b't' });
        to.put_slice(author.as_str().as_bytes());
    }
    to.freeze()
}

/// `None` for bytes that were not written so.
pub(super) fn read(at: Timetoken, mut from: Bytes) -> Option<Annotation> {
    let mut text = || {
        let len = from.try_get_u32().ok()? as usize;
        if len > from.len() {
            return None;
        }
        ByteString::try_from(from.split_to(len)).ok()
    };
    let (kind, value) = (text()?, text()?);
    let author = match from.try_get_u8().ok() {
        None => None,
        Some(sort) => {
            let text = std::str::from_utf8(&from).ok()?;
            Some(match (sort, text.parse()) {
                (b'n', Ok(number)) => ClientId::number(&number),
                _ => ClientId::new(text).ok()?,
            })
        }
    };
    Some(Annotation {
        at,
        kind,
        value,
        author,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_survive() {
        for author in [
            None,
            ClientId::new("ann").ok(),
            Some(ClientId::number(&7.into())),
        ] {
            let annotation = Annotation {
                at: Timetoken(5),
                kind: "reaction".into(),
                value: "\u{1f600}".into(),
                author,
            };
            let written = write(&annotation);
            let read_again = read(Timetoken(5), written.clone()).unwrap();
            assert_eq!(read_again, annotation);
            for end in 0..8 {
                assert_eq!(read(Timetoken(5), written.slice(..end)), None);
            }
        }
    }
}
