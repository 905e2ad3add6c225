//! The delivery engine: encode once per wire format, enqueue per connection, flush per batch.

mod encoder;
mod fanout;
mod flusher;
mod held;
mod link;
mod numbered;
mod numbering;
mod outbox;
mod piece;
mod receiver;
mod sheet;

pub use self::{
    encoder::{Encoder, Message},
    fanout::Fanout,
    flusher::{Flush, Flusher},
    link::Link,
    numbering::{Around, Few, Numbering},
    outbox::{Outbox, OutboxOptions, Pushed},
    receiver::Receiver,
};
pub(crate) use self::{flusher::thread_number, held::Held};
