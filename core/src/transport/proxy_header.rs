//! The PROXY protocol, versions 1 and 2: what a proxy says of a connection before its first byte.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use bytes::{Buf, BytesMut};

use crate::net::{Socket, with_read_buffer};

/// Section 2.1: what version 1 begins with, and its bytes with the end of the line.
const V1: &[u8] = b"PROXY ";
const V1_BYTES_MAX: usize = 107;

/// Section 2.2: what version 2 begins with, and the bytes before what is of variable length.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_BYTES: usize = 16;

/// Bytes of a header of version 2 with everything that a proxy adds, such as what it knows of TLS.
const V2_BYTES_MAX: usize = 4096;

/// Why a header cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadHeader {
    #[error("the PROXY protocol header is malformed")]
    Malformed,
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

/// What a connection begins with.
#[derive(Debug, PartialEq, Eq)]
enum Begin {
    /// It cannot be told yet.
    Partial,
    /// No header.
    Other,
    /// A header of so many bytes, and whom the proxy speaks for, unless for itself.
    Header(usize, Option<SocketAddr>),
    Malformed,
}

/// Reads the header of a connection, if it begins with one, and says whom the proxy speaks for. `first` is what was read behind
/// it. The caller bounds the time.
pub(super) async fn read(
    socket: &Socket,
    first: &mut BytesMut,
) -> Result<Option<SocketAddr>, BadHeader> {
    loop {
        match begin(first) {
            Begin::Partial => {}
            Begin::Other => return Ok(None),
            Begin::Header(length, source) => {
                first.advance(length);
                return Ok(source);
            }
            Begin::Malformed => return Err(BadHeader::Malformed),
        }
        socket.readable().await.map_err(BadHeader::Io)?;
        let read = with_read_buffer(|buffer| {
            let count = socket.try_read(&mut buffer[..V2_BYTES_MAX])?;
            first.extend_from_slice(&buffer[..count]);
            Ok::<_, io::Error>(count)
        });
        match read {
            Ok(0) => return Err(BadHeader::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(BadHeader::Io(error)),
        }
    }
}

fn begin(bytes: &[u8]) -> Begin {
    let may_be = |signature: &[u8]| {
        let length = bytes.len().min(signature.len());
        bytes[..length] == signature[..length]
    };
    if may_be(V1) {
        version_1(bytes)
    } else if may_be(V2) {
        version_2(bytes)
    } else {
        Begin::Other
    }
}

fn version_1(bytes: &[u8]) -> Begin {
    let line = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = memchr::memchr(b'\n', line) else {
        let is_whole = line.len() == V1_BYTES_MAX;
        return if is_whole {
            Begin::Malformed
        } else {
            Begin::Partial
        };
    };
    let text = line[..end].strip_suffix(b"\r");
    let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) else {
        return Begin::Malformed;
    };
    let words: Vec<_> = text.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Begin::Header(end + 1, None),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, _, port, _] => {
            let address = match family {
                "TCP4" => source.parse::<Ipv4Addr>().map(IpAddr::from),
                _ => source.parse::<Ipv6Addr>().map(IpAddr::from),
            };
            match (address, port.parse()) {
                (Ok(address), Ok(port)) => Begin::Header(end + 1, Some((address, port).into())),
                _ => Begin::Malformed,
            }
        }
        _ => Begin::Malformed,
    }
}

fn version_2(bytes: &[u8]) -> Begin {
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED_BYTES>() else {
        return Begin::Partial;
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if V2_FIXED_BYTES + length > V2_BYTES_MAX || !matches!(command, 0x20 | 0x21) {
        return Begin::Malformed;
    }
    let Some(mut rest) = rest.get(..length) else {
        return Begin::Partial;
    };
    let source = match (command, family) {
        // The proxy speaks for itself, or of something that is no TCP.
        (0x20, _) | (_, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => None,
        (_, 0x11) if length >= 12 => {
            let address = Ipv4Addr::from(rest.get_u32());
            rest.advance(4);
            Some((address, rest.get_u16()).into())
        }
        (_, 0x21) if length >= 36 => {
            let address = Ipv6Addr::from(rest.get_u128());
            rest.advance(16);
            Some((address, rest.get_u16()).into())
        }
        _ => return Begin::Malformed,
    };
    Begin::Header(V2_FIXED_BYTES + length, source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2, &[command, family], &length, rest].concat()
    }

    fn source(header: &[u8]) -> Option<String> {
        let Begin::Header(length, source) = begin(header) else {
            panic!("{:?}", String::from_utf8_lossy(header));
        };
        assert_eq!(length, header.len());
        source.map(|source| source.to_string())
    }

    #[test]
    fn both_versions_are_read() {
        let text = b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 443\r\n";
        assert_eq!(source(text).as_deref(), Some("192.0.2.7:5000"));
        let text = b"PROXY TCP6 2001:db8::1 ::1 5000 443\r\n";
        assert_eq!(source(text).as_deref(), Some("[2001:db8::1]:5000"));
        assert_eq!(source(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(source(b"PROXY UNKNOWN a b c d\r\n"), None);

        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0x13, 0x88, 1, 187];
        assert_eq!(
            source(&v2(0x21, 0x11, &four)).as_deref(),
            Some("192.0.2.7:5000")
        );
        let more = [&four[..], &[4, 0, 1, 0]].concat();
        assert_eq!(
            source(&v2(0x21, 0x11, &more)).as_deref(),
            Some("192.0.2.7:5000")
        );
        let six = [&Ipv6Addr::LOCALHOST.octets()[..], &[0; 16], &[0, 9, 0, 1]].concat();
        assert_eq!(source(&v2(0x21, 0x21, &six)).as_deref(), Some("[::1]:9"));
        assert_eq!(source(&v2(0x20, 0x11, &four)), None, "LOCAL");
        assert_eq!(source(&v2(0x21, 0x31, &[0; 216])), None, "a local socket");
    }

    #[test]
    fn what_breaks_the_rules_is_malformed() {
        let long = [V1, &[b'x'; V1_BYTES_MAX]].concat();
        let texts: [&[u8]; 7] = [
            b"PROXY TCP4 ::1 ::1 1 1\r\n",
            b"PROXY TCP6 192.0.2.7 10.0.0.1 1 1\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 70000 1\r\n",
            b"PROXY TCP4 192.0.2.7\r\n",
            b"PROXY UDP4 192.0.2.7 10.0.0.1 1 1\r\n",
            b"PROXY UNKNOWN\n",
            &long,
        ];
        for text in texts {
            assert_eq!(
                begin(text),
                Begin::Malformed,
                "{}",
                String::from_utf8_lossy(text)
            );
        }
        for header in [
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x21, 0x44, &[0; 36]),
            v2(0x21, 0x11, &[0; V2_BYTES_MAX]),
        ] {
            assert_eq!(begin(&header), Begin::Malformed, "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_left() {
        for other in [
            "GET / HTTP/1.1",
            "POST",
            "PUT",
            "\r\n\r\nGET",
            "{",
            "\x16\x03",
            "PROXY\n",
        ] {
            assert_eq!(begin(other.as_bytes()), Begin::Other, "{other:?}");
        }
        for part in ["", "P", "\r\n", "PROXY "] {
            assert_eq!(begin(part.as_bytes()), Begin::Partial, "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_nothing_waits_for_more_than_the_bound(
            version in 0..3usize,
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [[&b""[..], V1, V2][version], &bytes].concat();
            begin(&bytes);
            let long = [&bytes[..], &[0; V2_BYTES_MAX]].concat();
            prop_assert_ne!(begin(&long), Begin::Partial);
            for end in 0..bytes.len() {
                if let Begin::Header(length, source) = begin(&bytes[..end]) {
                    prop_assert_eq!(begin(&bytes), Begin::Header(length, source));
                }
            }
        }
    }
}
