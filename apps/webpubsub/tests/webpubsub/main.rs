//! Azure Web PubSub as bytes: frames, the reliable subprotocol, tokens and the service REST API, with a server in this process.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod api;
mod frames;
mod reliable;
mod tokens;
mod transfer;

use polywire_testing::{Server, peers::azure::AZURE_KEY};
use polywire_webpubsub::WebPubSub;

/// In memory, with one key.
fn server() -> Server {
    Server::of::<WebPubSub>(&format!("access_key = \"{AZURE_KEY}\""))
}
