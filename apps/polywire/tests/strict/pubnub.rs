//! PubNub: a poll for all channels at once.

use std::net::SocketAddr;

use polywire_testing::Endpoint;

use crate::{fence::Fence, json::read, names};

pub(crate) struct Client {
    endpoint: Endpoint,
    cursor: String,
}

impl Client {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut client = Self {
            endpoint: Endpoint { address },
            cursor: "0".to_owned(),
        };
        client.poll();
        client
    }

    /// The messages of the next answer.
    fn poll(&mut self) -> Vec<serde_json::Value> {
        let encode =
            |name: &String| -> String { name.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let names: Vec<_> = names().iter().map(encode).collect();
        let (names, cursor) = (names.join(","), &self.cursor);
        let target = format!("/v2/subscribe/demo/{names}/0?tt={cursor}&uuid=strict");
        let answer = self.endpoint.get(&target);
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = read(answer.text());
        self.cursor = answer["t"]["t"].as_str().unwrap().to_owned();
        answer["m"].as_array().unwrap().clone()
    }
}

impl crate::Client for Client {
    fn name(&self) -> &'static str {
        "PubNub"
    }

    fn read_up_to(&mut self, fence: &Fence) {
        loop {
            let messages = self.poll();
            for message in &messages {
                assert!(message["c"].is_string() && message["k"] == "demo");
            }
            if messages.iter().any(|message| message["d"] == fence.text()) {
                return;
            }
        }
    }
}
