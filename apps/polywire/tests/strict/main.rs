//! Whatever is published by one protocol, what clients of all others get is valid for a strict decoder: nobody poisons
//! the connections of others.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod azure;
mod drafts;
mod fence;
mod json;
mod lines;
mod mqtt;
mod mqtt_properties;
mod pubnub;

use polywire_core::Channel;
use polywire_emitter::Emitter;
use polywire_history::HistoryApi;
use polywire_knsock::KnSock;
use polywire_pubnub::PubNub;
use polywire_seth::Seth;
use polywire_testing::{
    Server,
    peers::azure::AZURE_KEY,
    persistence::{HistorySettings, MemoryHistory},
};
use polywire_webpubsub::WebPubSub;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, TestRunner},
};

use self::fence::Fence;

/// Messages that are tried. Each is followed by one that every client must get.
const MESSAGES: usize = 400;

/// Names of channels: each is a good one in some protocol, and not in all.
const NAMES: [&str; 20] = [
    "plain",
    "a/b",
    "a.b",
    "a+b",
    "a/#",
    "+",
    "nul\0name",
    "line\nbreak",
    "\u{7f}",
    "\u{85}",
    "\u{fdd0}",
    "\u{ffff}",
    "\u{2028}",
    "caf\u{e9} \u{1f600}",
    "\"quoted\\",
    "a,b",
    " ",
    "x:y",
    "$shared/g/x",
    "presence-pnpres",
];

/// A longer one than some protocols have.
fn long() -> String {
    "n".repeat(1024)
}

/// All of them, and that of the messages that everybody must get.
fn names() -> Vec<String> {
    let short = NAMES.iter().map(ToString::to_string);
    short.chain([long(), fence::CHANNEL.to_owned()]).collect()
}

fn server() -> Server {
    let builder = Server::compose::<Emitter>("face = \"plain\"\nsys_interval_secs = 0");
    let builder = Server::and::<PubNub>(builder, "hold_secs = 20\npresence = false");
    let azure = format!("access_key = \"{AZURE_KEY}\"");
    let builder = Server::and::<WebPubSub>(builder, &azure);
    let builder = Server::and::<KnSock>(builder, "topic_bytes_max = 1024");
    let builder = Server::and::<Seth>(builder, "name_bytes_max = 1024");
    let kept = HistorySettings::default();
    let rules = kept.rules().unwrap();
    let builder = builder.persistence(MemoryHistory::new(rules, kept.memory_bytes_max));
    Server::start(builder.app(HistoryApi::default()))
}

/// A client of some protocol.
trait Client {
    fn name(&self) -> &'static str;

    /// Reads up to a message that everybody must get, and panics where a strict decoder would refuse what comes.
    fn read_up_to(&mut self, fence: &Fence);
}

#[test]
fn nothing_that_is_published_poisons_a_client() {
    let server = server();
    let at = server.address;
    let mut clients: Vec<Box<dyn Client>> = vec![
        Box::new(mqtt::Client::open(at, mqtt::Kind::Three)),
        Box::new(mqtt::Client::open(at, mqtt::Kind::Five)),
        Box::new(mqtt::Client::open(at, mqtt::Kind::SmallFive)),
        Box::new(pubnub::Client::open(at)),
        Box::new(azure::Client::json(at)),
        Box::new(azure::Client::reliable(at)),
        Box::new(azure::Client::protobuf(at)),
        Box::new(azure::Client::simple(at)),
        Box::new(lines::Client::open(at)),
        Box::new(json::SethClient::open(at)),
    ];
    let mut runner = TestRunner::new(Config::default());
    let drafts = drafts::drafts();
    let mut published = 0;
    for number in 0..MESSAGES {
        let draft = drafts.new_tree(&mut runner).unwrap().current();
        let shown = format!("{draft:?}");
        published += usize::from(server.publish_draft(draft));
        let fence = Fence(number);
        assert!(server.publish_draft(fence.draft()));
        for client in &mut clients {
            let name = client.name();
            let read = || client.read_up_to(&fence);
            let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
            assert!(read.is_ok(), "{name} stumbles over {shown}");
        }
    }
    assert!(published > MESSAGES / 2, "{published} were published");
    for name in names() {
        assert!(Channel::new(&name).is_ok());
        json::check_history(&server, &name);
    }
}
