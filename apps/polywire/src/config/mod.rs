//! The configuration: defaults < TOML file < `POLYWIRE_` environment < flags.

mod choice;
mod key_sets;
mod listen;
mod load;
mod model;
mod problem;
mod text;

pub use self::{
    choice::{AppName, AuthChoice, BackendChoice, LogFormat, PersistenceChoice},
    load::load,
    model::{
        ApiKeySection, AppSections, Config, EmitterSection, ExternalApiSection, HeaderSection,
        HistorySection, KeySetSection, KnSockSection, ListenSection, PubNubSection, RedisSection,
        SethSection, WebPubSubSection,
    },
    problem::{Problem, Problems},
    text::Secret,
};
