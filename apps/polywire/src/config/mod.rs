//! The configuration: defaults < TOML file < `POLYWIRE_` environment < flags.

mod choice;
mod emitter;
mod event_handlers;
mod key_sets;
mod listen;
mod load;
mod model;
mod problem;
mod text;

pub(crate) use self::event_handlers::webhook;
pub use self::{
    choice::{AppName, AuthChoice, BackendChoice, FaceChoice, LogFormat, PersistenceChoice},
    load::load,
    model::{
        ApiKeySection, AppSections, Config, EmitterSection, EventHandlerSection,
        ExternalApiSection, HeaderSection, HistorySection, HubSection, KeySetSection,
        KnSockSection, ListenSection, PubNubSection, RedisSection, SethSection, WebPubSubSection,
    },
    problem::{Problem, Problems},
    text::Secret,
};
