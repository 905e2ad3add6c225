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

pub mod apps;
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

pub use self::signal::{on_hangup, stop_signal, stop_signals, survive_file_size_limit};

/// The code in the guide, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/writing-parts.md")]
struct WritingParts;
