//! Bodies that came compressed.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// Why a body could not be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnpackError {
    /// What comes out is longer than the limit.
    TooLong,
    /// It is not compressed in any way that is known.
    Malformed,
}

/// Unpacks a body that has a `Content-Encoding`; nothing longer than `bytes_max` is ever made.
///
/// The SDKs send zlib under the name of gzip as well as of deflate, so the bytes decide. A body that is no
/// compression at all is taken as it is: that a client could compress does not mean that it did.
pub(crate) fn unpack(body: &Bytes, bytes_max: usize) -> Result<Bytes, UnpackError> {
    let unpacked = match body.first() {
        Some(0x1f) if body.get(1) == Some(&0x8b) => take(GzDecoder::new(&body[..]), bytes_max),
        _ if is_zlib(body) => take(ZlibDecoder::new(&body[..]), bytes_max),
        _ if is_json(body) => return Ok(body.clone()),
        _ => take(DeflateDecoder::new(&body[..]), bytes_max),
    };
    match unpacked {
        Ok(unpacked) if unpacked.len() > bytes_max => Err(UnpackError::TooLong),
        Ok(unpacked) => Ok(unpacked.into()),
        Err(_) => Err(UnpackError::Malformed),
    }
}

fn take(from: impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    from.take(bytes_max as u64 + 1).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// The header of RFC 1950: method 8, and a sum that 31 divides.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..]
        if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use std::io::Write;

    const MESSAGE: &[u8] = br#"{"text":"hello hello hello"}"#;

    #[test]
    fn the_bytes_decide() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(MESSAGE).unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(MESSAGE).unwrap();
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(MESSAGE).unwrap();
        let packed = [
            zlib.finish().unwrap(),
            gzip.finish().unwrap(),
            deflate.finish().unwrap(),
            MESSAGE.to_vec(),
        ];
        for body in packed {
            let body = Bytes::from(body);
            assert_eq!(unpack(&body, 100).as_deref(), Ok(MESSAGE));
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let mut bomb = ZlibEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![b' '; 50 << 20]).unwrap();
        let bomb = Bytes::from(bomb.finish().unwrap());
        assert_eq!(unpack(&bomb, 32 << 10), Err(UnpackError::TooLong));
        assert_eq!(
            unpack(&Bytes::from_static(b"\x78\x9cnonsense"), 100),
            Err(UnpackError::Malformed)
        );
    }
}
