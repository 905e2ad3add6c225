//! Streams: what was published, for a while, and who waits for more.
//!
//! # Cursors
//!
//! A client asks for what came after a cursor, over any number of channels at once, and gets a new cursor
//! with the answer. Timetokens alone would not do for that. Publications of different channels get theirs
//! from one clock and arrive here under different locks, some of them only once they are stored: one with
//! the time 10 may arrive after one with the time 11 was handed out, and a client that says "after 11" would
//! never see it.
//!
//! So every publication that arrives gets an **order**, under the one lock of [`Streams`]: its timetoken if
//! that is greater than every order before, which is nearly always so, and a new tick of the clock if it
//! came late. Orders rise in the order of arrival. A cursor is the greatest order that was given (the
//! *horizon*), read under the same lock as the answer's messages; a later arrival has a greater one, however
//! late it is. The answer to a cursor is everything with a greater order, so that nothing is lost and nothing
//! comes twice, on however many connections, and however often an answer is lost on the way and asked for
//! again.
//!
//! The timetoken that a publisher is answered is a cursor too: it resumes behind that message. Where the
//! message came late its order is greater than its timetoken, but its timetoken was given to nobody else,
//! so whoever names exactly that one knows the message, and it is left out.
//!
//! Several nodes agree on orders because all publications come to each of them in the order of their
//! timetokens: the backend that carries them hands out both in one step. None is late, orders are
//! timetokens, and a client may go from node to node with its cursor. That is also why a first cursor is the
//! horizon and not the time of day, which would differ from node to node.

mod arrival;
mod batch;
mod bounds;
mod entry;
mod groups;
mod intervals;
mod streams;
mod table;
mod waiter;

pub(crate) use self::{
    batch::{Gap, GapScope},
    bounds::{Bounds, MESSAGES_MAX},
    entry::{Entry, push_payload},
    streams::Streams,
    waiter::Waiter,
};
