//! The matrix: every protocol publishes, every protocol receives, with the SDKs that people use, on one port, and on two
//! nodes. What is found is written into docs/ by `POLYWIRE_TEST_WRITE=1 cargo test -p polywire --test server matrix`.

mod agents;
mod cuts;
mod history;
mod messages;
mod order;
mod payloads;
mod scene;
mod table;
mod wildcards;
mod writers;

use self::scene::Scene;
use crate::support::page;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    PubNub,
    WebPubSub,
    Mqtt,
    Emitter,
    Seth,
    KnSock,
}

impl Protocol {
    const ALL: &[Self] = &[
        Self::PubNub,
        Self::WebPubSub,
        Self::Mqtt,
        Self::Emitter,
        Self::Seth,
        Self::KnSock,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::PubNub => "PubNub",
            Self::WebPubSub => "Azure Web PubSub",
            Self::Mqtt => "MQTT",
            Self::Emitter => "Emitter",
            Self::Seth => "Seth-Pusher",
            Self::KnSock => "kn-sock",
        }
    }
}

fn run(scene: &mut Scene) {
    page::check("payloads.md", "payloads", &payloads::run(scene));
    order::run(scene);
    page::check("payloads.md", "wildcards", &wildcards::run(scene));
    page::check("history.md", "history", &history::run(scene));
    page::check("guarantees.md", "cuts", &cuts::run(scene));
}

#[test]
fn on_one_node() {
    run(&mut Scene::on_one_node());
}

#[test]
fn on_two_nodes() {
    let mut scene = Scene::on_two_nodes();
    run(&mut scene);
    let moved = cuts::elsewhere(&mut scene);
    page::check("guarantees.md", "cuts on another node", &moved);
}
