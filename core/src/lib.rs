//! The channel space of polywire: vocabulary, policy traits, hub, delivery engine, transports and
//! [`AppRunner`].
//!
//! It knows no protocol of any app and no store: those are other crates that depend on this one.

pub mod cryptography;
pub mod delivery;
pub mod settings;
pub mod space;
#[cfg(any(test, doctest, feature = "testkit"))]
pub mod testkit;
pub mod transport;

mod app;
mod authentication;
mod backend;
mod channel;
mod cluster;
mod counters;
mod dispatcher;
mod domain;
mod drain;
mod framing;
mod hub;
mod identity;
mod interest;
mod limits;
mod log_limiter;
mod memory;
mod net;
mod pattern;
mod persistence;
mod presence;
mod publication;
mod receipt;
mod registry;
mod revocations;
mod runner;
mod runtime;
mod throttle;
mod token_place;
mod turn;
mod wheel;

pub use self::{
    app::App,
    authentication::{AuthenticationError, AuthenticationPolicy, Credentials},
    backend::{Attempt, BackendError, BackendStatus, Placed, PubSubBackend},
    channel::{Channel, InvalidChannel},
    cluster::{Asked, Cluster, ClusterHandler, ClusterService, Unanswered},
    counters::{Counter, Counters},
    dispatcher::{
        Command, CustomCommand, Dispatcher, Event, Handler, Handlers, Origin, Refusal, RefusalKind,
        StandardDispatcher, Verdict,
    },
    domain::{DOMAIN, Domain, InvalidDomain},
    drain::{Drain, DrainHold, DrainPlace},
    hub::{BeingStored, Hub, JoinNumber, LocalNode, PlacedHere, Traffic},
    identity::{
        ClientId, ConnectionId, CredentialId, Grant, Identity, InvalidClientId, InvalidScope,
        NodeId, Permissions, Resource, Rights, Scope, ScopeMatcher,
    },
    interest::Interest,
    limits::Limits,
    log_limiter::LogLimiter,
    memory::{Draw, Held, held_bytes},
    net::TrustedProxies,
    pattern::{InvalidPattern, Level, Pattern},
    persistence::{
        Annotation, Continuation, Durability, DurabilitySetting, History, HistoryError, Order,
        Page, PersistResult, PersistenceError, PersistencePolicy, Query, Rule, RuleSettings, Rules,
        Span, Stored, read_after,
    },
    presence::PresenceSettings,
    publication::{
        BinaryError, Clock, Draft, Epoch, InvalidJson, JsonText, Kind, Payload, Position,
        PresenceAction, PresenceEvent, PresenceSummary, Publication, Retention, Seq, Target, Text,
        Timetoken, decode_draft, encode_draft,
    },
    receipt::Receipt,
    registry::{LazyRegistry, OnChange, Registry, RegistryError},
    runner::{
        AppRunner, BindFailure, Builder, Composition, FromSettings, Listen, Server, Shutdown,
        StartError,
    },
    runtime::Runtime,
    space::Space,
    throttle::{LoginAttempt, Throttled},
    token_place::TokenPlace,
    transport::{Listening, http, tls::TlsOptions},
    turn::{Turn, Wait},
};
