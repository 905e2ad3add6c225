//! Seth-Pusher on polywire: clients on SockJS at `/connect`, an HTTP API that publishes, and a debug API.
//!
//! ```no_run
//! use polywire_core::{AppRunner, testkit};
//! use polywire_seth::Seth;
//!
//! # async fn run() -> Result<(), polywire_core::StartError> {
//! let server = AppRunner::builder(testkit::LocalBackend::default())
//!     .authentication(testkit::AllowAll)
//!     .app(Seth::default().debug(true))
//!     .listen(([127, 0, 0, 1], 8080).into())
//!     .build()
//!     .await?;
//! server.run(async { tokio::signal::ctrl_c().await.unwrap() }).await;
//! # Ok(())
//! # }
//! ```

mod api;
mod app;
mod authentication;
mod command;
mod debug;
mod encoder;
mod error_budget;
mod reply;
mod session;
mod settings;

pub use self::{app::Seth, settings::SethSettings};
