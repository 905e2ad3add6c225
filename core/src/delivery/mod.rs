//! The delivery engine: encode once per wire format, enqueue per connection, flush per batch.

mod batch_buffer;
mod delay_line;
mod encoder;
mod fanout;
mod flusher;
mod gated_receiver;
mod numbered;
mod numbering;
mod outbox;
mod queued_bytes;
mod receiver;
mod replay_gate;

pub use self::{
    delay_line::DelayLine,
    encoder::Encoder,
    fanout::Fanout,
    flusher::{Flush, Flusher},
    numbering::{Around, Few, Numbering},
    outbox::{Outbox, OutboxOptions, Pushed},
    receiver::{EndReason, Receiver},
    replay_gate::{AlreadyRead, GateDecision, GateOverflow, ReplayGate},
};
pub(crate) use self::{flusher::thread_number, gated_receiver::GatedReceiver, numbered::Numbered};
pub use crate::{framing::Message, transport::Link};
