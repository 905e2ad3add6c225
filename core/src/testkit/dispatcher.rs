//! The laws of a dispatcher.

use std::{mem::discriminant, sync::Arc};

use parking_lot::Mutex;

use super::within;
use crate::{
    Channel, ClientId, Command, CustomCommand, Dispatcher, Draft, Event, Identity, JsonText,
    Origin, Payload, Position, Target, Verdict,
};

/// Checks the laws of [`Dispatcher`]: a command that passes stays of its variant, and a judgement tells
/// no handler; each event is told to every registered handler once, in the order of registration and in
/// the order of the events; waiting is bounded, and dropped futures leave nothing behind.
///
/// # Panics
/// When a law is broken.
pub async fn dispatcher_laws<D: Dispatcher>(make: impl Fn() -> D) {
    let dispatcher = make();
    let origin = Origin::new("testkit", Identity::unrestricted());
    let told: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
    for handler in 0..2 {
        let told = told.clone();
        dispatcher.register_handler(Arc::new(move |_: &Origin, event: &Event| {
            told.lock().push((handler, format!("{event:?}")));
        }));
    }
    assert!(
        !dispatcher.handlers().is_empty(),
        "a registered handler is among the handlers"
    );

    let room = Channel::new("testkit-room").expect("not empty");
    let ann = ClientId::new("ann").expect("not empty");
    let commands = [
        Command::Connect(ann.clone()),
        Command::Subscribe(room.clone()),
        Command::Publish(Draft::new(room.clone(), Payload::text("hello"))),
        Command::Unsubscribe(room.clone()),
        Command::Custom(CustomCommand::new("testkit-unknown", JsonText::null())),
    ];
    for command in commands {
        let before = discriminant(&command);
        drop(dispatcher.validate(&origin, command.clone()));
        match within("validate", dispatcher.validate(&origin, command)).await {
            Verdict::Proceed(after) => assert_eq!(
                before,
                discriminant(&after),
                "a command may be changed, but not into one of another sort"
            ),
            Verdict::Refuse(refusal) => {
                assert!(!refusal.message.is_empty(), "a refusal says why");
            }
            Verdict::Drop => {}
        }
    }
    assert!(told.lock().is_empty(), "a judgement is not an event");

    let events = [
        Event::Connected(ann),
        Event::Subscribed(room.clone()),
        Event::Published(Target::Channel(room.clone()), Position::default()),
        Event::Unsubscribed(room),
        Event::Disconnected,
    ];
    for event in &events {
        within("handle", dispatcher.handle(&origin, event)).await;
    }
    let expected: Vec<_> = events
        .iter()
        .flat_map(|event| (0..2).map(move |handler| (handler, format!("{event:?}"))))
        .collect();
    assert_eq!(
        *told.lock(),
        expected,
        "every handler is told of every event once, in order"
    );
}
