//! PubNub on polywire: the vendor's unmodified SDKs, with another `origin`.
//!
//! ```no_run
//! use polywire_core::{AppRunner, testkit};
//! use polywire_pubnub::{KeySet, PubNub};
//!
//! # async fn run() -> Result<(), polywire_core::StartError> {
//! let server = AppRunner::builder(testkit::LocalBackend::default())
//!     .authentication(testkit::AllowAll)
//!     .app(PubNub::default().key_set(KeySet::new("pub-c-mine", "sub-c-mine")))
//!     .listen(([127, 0, 0, 1], 8080).into())
//!     .build()
//!     .await?;
//! server.run(async { tokio::signal::ctrl_c().await.unwrap() }).await;
//! # Ok(())
//! # }
//! ```

mod access;
mod app;
mod call;
mod compression;
mod context;
mod filter;
mod fuzzing;
mod grant;
mod group_registry;
mod groups;
mod held_polls;
mod history;
mod instance_cluster;
mod instances;
mod jsonp;
mod keys;
mod names;
mod presence;
mod publish;
mod query;
mod recent;
mod reply;
mod route;
mod service;
mod settings;
mod stream;
mod subscribe;
mod subscribe_set;
mod text;

pub use self::{
    app::PubNub,
    fuzzing::{read_address, read_filter, read_token},
    keys::KeySet,
    settings::{KeySetSettings, PubNubSettings},
};
