//! Publications, their payloads and their positions in a channel.

mod binary;
mod clock;
mod draft;
mod json;
mod kind;
mod number;
mod payload;
mod position;
mod presence_summary;
mod surrogate;

pub use self::{
    binary::{BinaryError, decode_draft, encode_draft},
    clock::Clock,
    draft::{Draft, Publication, Retention, Target},
    json::{InvalidJson, JsonText},
    kind::{Kind, PresenceAction, PresenceEvent},
    payload::{Payload, Text},
    position::{Epoch, Position, Seq, Timetoken},
    presence_summary::PresenceSummary,
};
