//! Sessions that other nodes get.

use std::sync::Arc;

use bytestring::ByteString;
use polywire_core::{NodeId, Timetoken};

use super::{Seat, Sessions, record::Record};
use crate::{session::Session, shared::Shared};

impl Sessions {
    /// The client of a connection has come to another node; what was published before the connection began is not
    /// about it.
    pub(super) async fn close(&self, id: &ByteString, at: Timetoken, shared: &Shared) {
        let seat = self.seats.lock().get(id).cloned();
        let Some(seat) = seat.filter(|seat| seat.since < at) else {
            return;
        };
        seat.disconnect();
        if self.ledgers.are_shared().await {
            self.part(shared, &seat).await;
        } else if let Some(session) = seat.session.lock().await.take() {
            // What waits cannot be read elsewhere: its client is told that it begins anew.
            self.end(session, shared).await;
            self.stand_up(id, &seat);
        }
    }

    /// Another node gets a session.
    pub(super) async fn leave(&self, id: &ByteString, shared: &Shared) {
        let Some(seat) = self.seats.lock().get(id).cloned() else {
            return;
        };
        let mut place = seat.session.lock().await;
        self.give(id, &seat, place.take(), shared).await;
    }

    async fn give(
        &self,
        id: &ByteString,
        seat: &Arc<Seat>,
        session: Option<Box<Session>>,
        shared: &Shared,
    ) {
        seat.disconnect();
        if let Some(session) = session {
            session.detach(shared).await;
            self.ledgers.close(id).await;
            self.ledgers.leave(id);
        }
        self.stand_up(id, seat);
    }

    /// Another node says that it has a session: after two could not reach each other both may.
    pub(super) async fn yield_to(&self, node: NodeId, id: &ByteString, shared: &Shared) {
        let Some(seat) = self.seats.lock().get(id).cloned() else {
            return;
        };
        // Whoever is about to take it says so before this goes on.
        let mut place = seat.session.lock().await;
        let text = self.records.get().and_then(|records| records.get(id));
        let record = text.and_then(|text| Record::read(&text));
        if record.is_some_and(|record| NodeId(record.node) == node) {
            self.give(id, &seat, place.take(), shared).await;
        }
    }
}
