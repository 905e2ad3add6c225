//! The pump: moves what comes in on a connection to the app, until one of them ends it.

use std::{io, sync::Arc};

use bytes::Bytes;

use super::{
    Decoder, Incoming, close_frame, connection::WebSocketConnection, pong_frame, text_frame,
};
use crate::{
    framing::{CloseReason, Framing, Message, sockjs},
    transport::{Ending, SessionHandler},
    turn::Turn,
};

/// Serves one connection from open to close. `read_ahead` came together with the handshake.
pub(super) async fn run(
    connection: Arc<WebSocketConnection>,
    mut handler: Box<dyn SessionHandler>,
    read_ahead: Bytes,
) {
    if connection.options().framing == Framing::SockJsWebSocket {
        connection.send(text_frame(sockjs::OPEN.as_bytes()));
    }
    let options = connection.options();
    let mut decoder = Decoder::new(options.message_bytes_max, options.idle_frames_max);
    let mut incoming = Vec::new();
    connection.decode(&mut decoder, &read_ahead, &mut incoming);
    drop(read_ahead);
    connection.set_busy(true);
    handler.on_open().await;
    let mut ending = Ending::Lost;
    let mut turn = Turn::begin();
    loop {
        for item in incoming.drain(..) {
            // Also when the app or the queue's bound ended it: nobody waits for an answer any more.
            if connection.outbox().is_closing() {
                break;
            }
            if let Incoming::Close(reason) = &item {
                ending = Ending::Closed(reason.code);
            }
            take(&connection, &mut *handler, &mut turn, item).await;
            turn.give_way().await;
        }
        connection.set_busy(false);
        // An idle connection keeps no buffer.
        incoming = Vec::new();
        if !turn.wait(connection.readable()).await {
            break;
        }
        match connection.read(&mut decoder, &mut incoming) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        // What came may be no whole message.
        turn.give_way().await;
        connection.set_busy(true);
    }
    drop(decoder);
    handler.on_close(ending).await;
    drop(handler);
    // Nothing more may be queued; where the client did not close in order, there is nobody to tell.
    connection.close(Bytes::new());
    connection.drain().await;
}

async fn take(
    connection: &WebSocketConnection,
    handler: &mut dyn SessionHandler,
    turn: &mut Turn,
    item: Incoming,
) {
    match item {
        Incoming::Message(message) => message_came(connection, handler, turn, message).await,
        Incoming::Ping(payload) => connection.send(pong_frame(&payload)),
        Incoming::Pong => {}
        Incoming::Close(reason) => {
            // Section 5.5.1: the answer repeats the code.
            connection.close(close_frame(&CloseReason {
                reason: "".into(),
                ..reason
            }));
        }
    }
}

/// Hands a message to the app, as the framing reads it.
async fn message_came(
    connection: &WebSocketConnection,
    handler: &mut dyn SessionHandler,
    turn: &mut Turn,
    message: Message,
) {
    if connection.options().framing != Framing::SockJsWebSocket {
        return handler.on_message(message).await;
    }
    match sockjs::incoming(message.as_bytes()) {
        Ok(messages) => {
            for text in messages {
                if connection.outbox().is_closing() {
                    return;
                }
                handler.on_message(Message::Text(text)).await;
                turn.give_way().await;
            }
        }
        // SockJS: broken framing ends the connection at once.
        Err(_) => connection.close(Bytes::new()),
    }
}
