//! Fuzzing: everything that reads what clients send, as a fuzzer drives it.

use bytes::Bytes;
use polywire_core::{Channel, ClientId, DOMAIN, Draft, JsonText, Payload, Position};

use crate::{
    access::token,
    filter::Filter,
    history,
    keys::{KeySet, KeySets},
    presence::{States, parse_timeout},
    query::Query,
    subscribe_set::{Location, SubscribeSet},
};

const SECRET: &str = "sec-c-secret";

/// Reads a path and a query, with a `?` between them, as a subscribe does. Whatever they are, nobody names a channel that
/// is reserved, nor one of another tenant without the name of its domain.
#[doc(hidden)]
pub fn read_address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let query = Query::parse(query);
    for (name, _) in query.pairs() {
        let _ = query.get(name);
        let _ = query.is_on(name);
    }
    let value = |name| query.get(name).flatten().unwrap_or_default();
    let _ = parse_timeout(Some(&value("heartbeat")));
    let _ = States::parse(&query);
    let keys = KeySets::new(vec![KeySet::new("p1", "s1"), KeySet::new("p2", "s2")]);
    for set in ["s1", "s2"].iter().filter_map(|key| keys.find(key)) {
        let names = SubscribeSet::parse(set, path, &value("channel-group"));
        for target in names.iter().flat_map(|names| &names.targets) {
            let name = match &target.location {
                Location::Channel(channel) => channel.as_str(),
                Location::Group(name) | Location::Below(name) => name,
            };
            let channel = Channel::new(name).expect("names are not empty");
            assert!(!channel.is_reserved());
            // What is written with the name of its domain the gate judges.
            assert!(set.owns(&channel) || target.shown.starts_with(DOMAIN));
        }
    }
}

/// Reads a filter, and the message behind the first end of a line. It takes bounded work, and pauses change nothing.
#[doc(hidden)]
pub fn read_filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (filter, message) = text.split_once('\n').unwrap_or((text, "{}"));
    let Ok(filter) = Filter::parse(filter) else {
        return;
    };
    let (Ok(room), Ok(ann)) = (Channel::new("room"), ClientId::new("ann")) else {
        return;
    };
    let json = JsonText::parse(Bytes::copy_from_slice(message.as_bytes())).ok();
    let payload = json.clone().map(Payload::json);
    let publication = Draft::new(room, payload.unwrap_or_else(|| Payload::text(message)))
        .publisher(ann)
        .meta(json)
        .at(Position::default());
    let (wants, steps) = filter.decide(&publication, usize::MAX);
    assert_eq!(filter.decide(&publication, 1), (wants, steps));
    // 64 comparisons at most look through all of a message and a pattern.
    assert!(steps <= 1000 * (message.len() + 8192), "{steps}");
}

/// Reads positions and tokens: a text as numbers, and bytes as what a token says, signed or not.
#[doc(hidden)]
pub fn read_token(bytes: &[u8]) {
    // Nobody guesses a signature.
    let text = String::from_utf8_lossy(bytes);
    assert!(token::read(&text, SECRET).is_none());
    let _ = token::read(&token::sign(bytes.to_vec(), SECRET), SECRET);
    let mut numbers = text.split(',').map(|digits| digits.parse().ok());
    let mut next = || numbers.next().flatten();
    let (start, end) = (next(), next());
    for reverse in [false, true] {
        let span = history::range(start, end, reverse, 100).span;
        let newer = if reverse { start } else { end };
        assert!(span.is_empty() || newer.is_none_or(|newer| span.from.0 >= newer));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 29] = [
        "a",
        "%2C",
        ",",
        "-pnpres",
        ".*",
        "$polywire/",
        "$domain/",
        "pubnub:s2/",
        "?",
        "&",
        "=",
        "channel-group",
        "tt",
        "state=%7B%7D",
        "data",
        ".",
        "[",
        "]",
        " LIKE ",
        "'*a%b'",
        " && ",
        "!",
        "(",
        ")",
        " == ",
        "1",
        "\n",
        "{\"a\":",
        "\"x\"}",
    ];

    proptest! {
        /// Words that belong together are often found.
        #[test]
        fn anything_is_read(
            wild: Vec<u8>,
            tame in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..30),
        ) {
            let tame = tame.concat();
            for bytes in [&wild[..], tame.as_bytes()] {
                read_address(bytes);
                read_filter(bytes);
                read_token(bytes);
            }
        }
    }

    /// The seeds of the fuzzers say what they are meant to.
    #[test]
    fn seeds_are_read() {
        for (read, seeds) in [
            (read_address as fn(&[u8]), "addresses"),
            (read_filter, "filters"),
            (read_token, "tokens"),
        ] {
            let folder = format!("{}/fuzz/seeds/{seeds}", env!("CARGO_MANIFEST_DIR"));
            let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
            assert!(!files.is_empty());
            for file in files {
                read(&std::fs::read(file.unwrap().path()).unwrap());
            }
        }
    }
}
