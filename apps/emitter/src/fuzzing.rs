//! Entry points of the fuzzers: everything that reads what clients send.

use bytes::{Bytes, BytesMut};

use crate::{
    codec::{connect::Connect, incoming::Incoming, reader::PacketReader, version::Version},
    emitter_mode::{
        interest,
        keys::{Keyring, Licence, OwnKeys, Pattern},
        stored,
        topic::{Address, Topic, has_form},
    },
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

/// Reads a topic as both a message and a filter do.
pub fn topics(text: &str) {
    let _ = has_form(text);
    let _ = Address::parse(text);
    if let Ok(topic) = Topic::parse(text) {
        let path = topic.path.as_str();
        let is_below = |path| interest::pattern(path).is_some_and(|all| all.matches(path));
        assert!(topic.path.is_wild() || is_below(path));
        let _ = stored::span(&topic.options);
    }
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
