//! The Emitter protocol: topics that begin with a key, and requests.
//!
//! A topic of plain MQTT is a channel; here it is `key/channel/?options`. A connection speaks one of the two for all its
//! life.

pub(crate) mod context;
pub(crate) mod detect;
mod fault;
pub(crate) mod interest;
pub(crate) mod keys;
pub(crate) mod pages;
mod presence;
mod presence_watch;
pub(crate) mod publish;
mod requests;
pub(crate) mod session;
pub(crate) mod stored;
mod subscribe;
pub(crate) mod topic;
