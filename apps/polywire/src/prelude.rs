//! What a `main.rs` that composes a server needs.

pub use async_trait::async_trait;
pub use polywire_auth::{ApiKey, AuthenticationPolicyExt, Echo, Header};
pub use polywire_backends::{Memory, Redis, RedisSettings};
pub use polywire_core::{
    App, AppRunner, AuthenticationError, AuthenticationPolicy, BackendError, Builder, Channel,
    ClientId, Command, Credentials, Dispatcher, Draft, Durability, Event, Handler, Handlers,
    History, Identity, JsonText, Kind, Limits, Listen, LocalNode, Origin, Payload, PersistResult,
    PersistenceError, PersistencePolicy, Position, PubSubBackend, Publication, Receipt, Refusal,
    Rule, Rules, Server, Space, StandardDispatcher, StartError, Target, TlsOptions, Verdict,
};
pub use polywire_persistence::{
    DiskHistory, DiskSettings, ExternalApi, ExternalApiSettings, MemoryHistory, Namespaced,
    NoPersistence, PersistencePolicyExt, RedisStream, RedisStreamSettings, Tee,
};

pub use crate::{
    apps::{KeySet, KnSock, PubNub, Seth},
    stop_signal,
};
