//! The task that runs an app's side of an HTTP session.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{HttpSession, session::Inbound};
use crate::{
    delivery::Message,
    transport::{CloseReason, Ending, SessionHandler},
    turn::Turn,
};

/// Calls the app for one session, from open to close. It ends when the session ends.
pub(super) async fn run(
    session: Arc<HttpSession>,
    mut handler: Box<dyn SessionHandler>,
    mut inbound: mpsc::UnboundedReceiver<Inbound>,
) {
    let _guard = EndWithTask(session.clone());
    handler.on_open().await;
    let mut turn = Turn::begin();
    while let Some(batch) = turn.wait(inbound.recv()).await {
        let Inbound {
            messages,
            room,
            taken,
        } = batch;
        for text in messages {
            // What came before the client left is still taken; what came before the app closed is not.
            if !session.takes_messages() {
                break;
            }
            handler.on_message(Message::Text(text)).await;
            turn.give_way().await;
        }
        drop((room, taken));
    }
    handler.on_close(Ending::Closed(1000)).await;
}

/// A handler that panics takes its session with it.
struct EndWithTask(Arc<HttpSession>);

impl Drop for EndWithTask {
    fn drop(&mut self) {
        self.0.fail(&CloseReason::new(1011, "The server failed"));
    }
}
