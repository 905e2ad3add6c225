//! Names that a `main.rs` which composes a server needs.

pub use async_trait::async_trait;
pub use polywire_auth::{
    And, ApiKey, ApiKeySettings, AuthenticationPolicyExt, Echo, Header, HeaderSettings, Or,
};
pub use polywire_backends::{Memory, Redis, RedisHistory, RedisSettings};
pub use polywire_core::{
    App, AppRunner, AuthenticationError, AuthenticationPolicy, BackendError, Builder, Channel,
    ClientId, Command, Credentials, Dispatcher, Draft, Durability, Event, Grant, Handler, Handlers,
    History, HistoryError, Identity, JsonText, Kind, Limits, Listen, Listening, LocalNode, Origin,
    Pattern, Payload, Permissions, PersistResult, PersistenceError, PersistencePolicy, Position,
    PubSubBackend, Publication, Receipt, Refusal, Rule, Rules, Scope, Server, Space,
    StandardDispatcher, StartError, Target, TlsOptions, Verdict, transport::sockjs::SockJsOptions,
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
