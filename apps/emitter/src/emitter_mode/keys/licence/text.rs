//! The text of a licence.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::cipher::Cipher;

/// Bytes of a licence before it was packed, at most: it has less than a hundred.
const UNPACKED_MAX: usize = 1024;

/// A text is not an Emitter licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an Emitter licence of version 1, 2 or 3")]
pub(crate) struct InvalidLicence;

/// What a licence says: whose keys they are, and how they are encrypted.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) cipher: Cipher,
    pub(super) contract: u32,
    pub(super) signature: u32,
    pub(super) index: u16,
}

pub(super) fn parse(text: &str) -> Result<Content, InvalidLicence> {
    let (body, version) = text.trim().rsplit_once(':').unwrap_or((text.trim(), "1"));
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(body)
        .map_err(|_| InvalidLicence)?;
    match version {
        "1" => first(&bytes),
        "2" => packed(&bytes, Cipher::V2),
        "3" => packed(&bytes, Cipher::V3),
        _ => None,
    }
    .ok_or(InvalidLicence)
}

/// The key of the cipher, contract, signature, when it ends and what sort it is.
fn first(bytes: &[u8]) -> Option<Content> {
    let bytes: &[u8; 32] = bytes.try_into().ok()?;
    let number = |place: usize| bytes[place..place + 4].try_into().map(u32::from_be_bytes);
    Some(Content {
        cipher: Cipher::V1(bytes[..16].try_into().ok()?),
        contract: number(16).ok()?,
        signature: number(20).ok()?,
        index: 1,
    })
}

/// The key of the cipher, its nonce, contract, signature, index.
fn packed<const N: usize>(
    bytes: &[u8],
    cipher: fn([u8; 32], [u8; N]) -> Cipher,
) -> Option<Content> {
    if snap::raw::decompress_len(bytes).ok()? > UNPACKED_MAX {
        return None;
    }
    let plain = snap::raw::Decoder::new().decompress_vec(bytes).ok()?;
    let mut rest = &plain[..];
    let key = chunk(&mut rest)?.try_into().ok()?;
    let nonce = chunk(&mut rest)?.try_into().ok()?;
    Some(Content {
        cipher: cipher(key, nonce),
        contract: u32::try_from(number(&mut rest)?).ok()?,
        signature: u32::try_from(number(&mut rest)?).ok()?,
        index: u16::try_from(number(&mut rest)?).ok()?,
    })
}

fn chunk<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (chunk, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(chunk)
}

/// An unsigned LEB128 number.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
