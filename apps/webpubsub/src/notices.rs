//! Notices: what the code behind a hub is told, and does not answer.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
};

use polywire_core::Space;
use tokio::sync::Semaphore;

use crate::{
    connection::Connection, connection_records::ConnectionRecords, event_handlers::EventHandlers,
};

/// Notices that may wait for handlers.
const NOTICES_MAX: usize = 10_000;

/// What the code behind a hub is told, and does not answer.
#[derive(Debug)]
pub(crate) enum Notice {
    Connected,
    /// With the reason.
    Disconnected(String),
}

/// The way of notices to the code behind hubs: in order for each connection, and bounded.
pub(crate) struct Notices {
    space: Arc<Space>,
    handlers: Arc<EventHandlers>,
    records: Arc<ConnectionRecords>,
    /// One permit for each notice that may wait for its handler.
    permits: Arc<Semaphore>,
}

impl Notices {
    pub(crate) fn new(
        space: &Arc<Space>,
        handlers: &Arc<EventHandlers>,
        records: &Arc<ConnectionRecords>,
    ) -> Self {
        Self {
            space: space.clone(),
            handlers: handlers.clone(),
            records: records.clone(),
            permits: Arc::new(Semaphore::new(NOTICES_MAX)),
        }
    }

    /// Tells the code behind a hub what happened, behind what it is being told already; does not wait until it
    /// knows.
    pub(crate) async fn tell(&self, connection: &Arc<Connection>, notice: Notice) {
        let Some(handler) = self.handlers.of(&connection.hub).cloned() else {
            return;
        };
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            let hub = connection.hub.as_str();
            return tracing::warn!(hub, ?notice, "left out: too many events wait for handlers");
        };
        let (connection, records) = (connection.clone(), self.records.clone());
        let mut turn = Box::pin(connection.turn.clone().lock_owned());
        // Takes its place in the line now: tasks may begin in another order than they were spawned.
        let at_once = poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await;
        self.space.runtime().spawn(async move {
            let turn = match at_once {
                Poll::Ready(turn) => turn,
                Poll::Pending => turn.await,
            };
            let described = connection.described();
            match &notice {
                Notice::Connected => {
                    if handler.is_told_of_ends() {
                        records.write(&connection).await;
                    }
                    handler.connected(&described).await;
                }
                Notice::Disconnected(_) if records.is_told_elsewhere(&connection) => {}
                Notice::Disconnected(reason) => {
                    handler.disconnected(&described, reason).await;
                    records.erase(&connection.id).await;
                }
            }
            drop((turn, permit));
        });
    }
}
