//! What a fuzzer drives: everything that reads what clients send.

use bytes::{Bytes, BytesMut};

use crate::{
    connect::Connect,
    face,
    incoming::Incoming,
    keys::{Keyring, Licence, OwnKeys, Pattern},
    reader::PacketReader,
    version::Version,
};

/// Bytes of a packet, at most.
const PACKET_BYTES_MAX: usize = 1 << 20;

/// A licence whose keys are looked for.
const LICENCE: &str = "AAECAwQFBgcICQoLDA0ODwECAwQKCwwNAAAAAAAAAAI:1";

/// Reads a stream of packets, cut as its first byte says: CONNECT, and then packets of its version.
pub fn packets(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let mut reader = PacketReader::new(PACKET_BYTES_MAX);
    let mut version = None;
    for chunk in stream.chunks(usize::from(*cut).max(1)) {
        reader.push(Bytes::copy_from_slice(chunk));
        while let Ok(Some(packet)) = reader.next() {
            match version {
                None => version = read_connect(packet),
                Some(version) => {
                    if let Ok(incoming) = Incoming::decode(version, packet) {
                        incoming.topic().into_iter().for_each(topics);
                    }
                }
            }
        }
    }
}

fn read_connect(packet: BytesMut) -> Option<Version> {
    Connect::decode(packet).ok().map(|connect| connect.version)
}

/// Reads a topic.
pub fn topics(text: &str) {
    face::read_topic(text);
}

/// Reads keys, targets and licences, none of which may be taken for valid.
pub fn keys(text: &str) {
    let own = OwnKeys::new("a master key that no fuzzer knows");
    let ring = Keyring::new(own, Licence::parse(LICENCE).ok());
    for key in text.split('\n') {
        assert!(key.len() == 32 || ring.read(key).is_none(), "{key}");
        let _ = ring.looks_like_a_key(key);
        let _ = Pattern::parse(key);
        let _ = Licence::parse(key);
    }
}
