//! What a `main.rs` that composes a server needs.

pub use polywire_core::{
    App, AppRunner, AuthenticationError, AuthenticationPolicy, BackendError, Builder, Channel,
    ClientId, Command, Credentials, Dispatcher, Draft, Event, Handler, Handlers, Identity,
    JsonText, Kind, Limits, LocalNode, Origin, Payload, PersistenceError, PersistencePolicy,
    Position, PubSubBackend, Publication, Refusal, Server, Space, StandardDispatcher, StartError,
    Target, Verdict,
};

pub use crate::apps::Seth;
