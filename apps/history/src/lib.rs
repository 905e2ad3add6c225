//! An HTTP API that reads the history of channels, for every protocol's channels alike.
//!
//! `GET /history/v1/channels/{channel}` answers with one JSON object a line (`application/x-ndjson`), the oldest
//! first. The same lines carry a whole store from one place to another: see [`Line`].

mod app;
mod error;
mod follow;
mod line;
mod query;
mod reading;
mod settings;
mod time;

pub use self::{
    app::HistoryApi,
    line::{InvalidLine, Line},
    settings::HistoryApiSettings,
    time::{InvalidTime, timetoken},
};
