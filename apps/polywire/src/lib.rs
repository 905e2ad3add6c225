//! The polywire server, and all of its parts behind one name.
//!
//! Use it in three ways: run the `polywire` binary, compose its parts in a `main.rs` of your own, or
//! implement one of its traits.
//!
//! ```no_run
//! use polywire::prelude::*;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), StartError> {
//!     let server = AppRunner::builder(Memory::default())
//!         .authentication(ApiKey::new("batman", "bruce_wayne"))
//!         .app(Seth::default())
//!         .listen(([127, 0, 0, 1], 8080).into())
//!         .build()
//!         .await?;
//!     server.run(stop_signal()).await;
//!     Ok(())
//! }
//! ```

pub mod cli;
pub mod compose;
pub mod config;
pub mod logging;
pub mod prelude;
mod signal;

pub use polywire_auth as auth;
pub use polywire_backends as backends;
pub use polywire_core as core;
pub use polywire_persistence as persistence;

pub use self::signal::{on_hangup, stop_signal};

/// The bundled apps.
pub mod apps {
    pub use polywire_emitter::{self as emitter, Emitter};
    pub use polywire_history::{self as history, HistoryApi};
    pub use polywire_knsock::{self as knsock, KnSock};
    pub use polywire_pubnub::{KeySet, PubNub};
    pub use polywire_seth::Seth;
    pub use polywire_webpubsub::{self as webpubsub, WebPubSub};
}

/// The code in the guide, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/writing-parts.md")]
struct WritingParts;
