//! Names that a `main.rs` which composes a server needs: every app, every policy, and the types that they take.
//!
//! ```no_run
//! use polywire::prelude::*;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), StartError> {
//! let history = DiskHistory::open(DiskSettings::new("data"), Rules::default())?;
//! let chat = Webhook::new("https://chat.example/hooks/{event}").expect("a URL");
//! let azure = WebPubSub::new("a-long-random-text").webhooks("chat", [chat]);
//! let server = AppRunner::builder(Memory::default())
//!     .authentication(ApiKey::new("batman", "bruce_wayne").or(Header::default()))
//!     .persistence(history)
//!     .app(Seth::default())
//!     .app(KnSock::default())
//!     .app(HistoryApi::default())
//!     .app(PubNub::default().key_set(KeySet::new("pub-c-mine", "sub-c-mine")))
//!     .app(azure.expect("a public address"))
//!     .app(Emitter::default().faces(Faces::Plain))
//!     .listen(([127, 0, 0, 1], 8080).into())
//!     .build()
//!     .await?;
//! server.run(stop_signal()).await;
//! # Ok(())
//! # }
//! ```

pub use async_trait::async_trait;
pub use polywire_auth::{
    And, ApiKey, ApiKeySettings, AuthenticationPolicyExt, Echo, Header, HeaderSettings, Http,
    HttpSettings, Jwt, JwtKeySettings, JwtSettings, Or, RoleSource, Roles, RolesSettings,
};
pub use polywire_backends::{Memory, Redis, RedisHistory, RedisSettings};
pub use polywire_core::{
    App, AppRunner, AuthenticationError, AuthenticationPolicy, BackendError, Builder, Channel,
    ClientId, Command, Credentials, Dispatcher, Draft, Durability, Event, Grant, Handler, Handlers,
    History, HistoryError, Identity, JsonText, Kind, Limits, Listen, Listening, LocalNode, Origin,
    Pattern, Payload, Permissions, PersistResult, PersistenceError, PersistencePolicy, Position,
    PubSubBackend, Publication, Receipt, Refusal, Rights, Rule, Rules, Scope, Server, Shutdown,
    Space, StandardDispatcher, StartError, Target, TlsOptions, Verdict,
    transport::sockjs::SockJsOptions,
};
pub use polywire_emitter::{Faces, InvalidSetting, PlainMqtt, SessionLimits};
pub use polywire_knsock::{Action, Hook};
pub use polywire_persistence::{
    DiskBounds, DiskHistory, DiskSettings, ExternalApi, ExternalApiSettings, MemoryHistory,
    Namespaced, NoPersistence, PersistencePolicyExt, RedisStream, RedisStreamSettings, Retry, Tee,
};
pub use polywire_webpubsub::{EventHandler, SystemEvent, Webhook, WebhookError};

pub use crate::{
    apps::{KeySet, types::*},
    stop_signal,
};
