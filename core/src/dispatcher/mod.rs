//! The contract of a dispatcher.

mod command;
mod handler;
mod standard;

pub use self::{
    command::{Command, CustomCommand, Event, Origin, Refusal, RefusalKind, Verdict},
    handler::{Handler, Handlers},
    standard::StandardDispatcher,
};

use std::sync::Arc;

use async_trait::async_trait;

/// Sees every command of every client: before it has an effect, where it can be changed, dropped or
/// refused, and afterwards, where handlers are told.
///
/// # Laws
/// - [`validate`](Self::validate) is called once per command, after authentication and the check of
///   grants and limits. What it returns is what happens.
/// - [`handle`](Self::handle) is called once for each command that took effect, in the order of the
///   connection that sent it. It cannot stop anything any more.
/// - While it [is silent](Self::is_silent) neither is called for what is published.
/// - Commands of one connection come one after another; those of different connections come at once.
/// - A dispatcher may wait, but delays the connection that it waits for. The future may be dropped at any
///   await.
///
/// [`testkit::dispatcher_laws`](crate::testkit) checks an implementation.
///
/// # Examples
/// ```
/// use polywire_core::{Command, Dispatcher, Handlers, Origin, Refusal, Verdict};
///
/// /// Nobody may join the channel `secret`.
/// #[derive(Default)]
/// struct NoSecrets(Handlers);
///
/// #[async_trait::async_trait]
/// impl Dispatcher for NoSecrets {
///     fn handlers(&self) -> &Handlers {
///         &self.0
///     }
///     async fn validate(&self, _: &Origin, command: Command) -> Verdict {
///         match &command {
///             Command::Subscribe(channel) if channel.as_str() == "secret" => {
///                 Verdict::Refuse(Refusal::forbidden("This channel is closed."))
///             }
///             _ => Verdict::Proceed(command),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Dispatcher: Send + Sync + 'static {
    /// The registered handlers.
    fn handlers(&self) -> &Handlers;

    /// Adds a handler that is told of every command that took effect.
    fn register_handler(&self, handler: Arc<dyn Handler>) {
        self.handlers().add(handler);
    }

    /// True while everything that is published passes as it came and nobody is told of it. Then neither
    /// [`validate`](Self::validate) nor [`handle`](Self::handle) is called for it, which saves their futures.
    fn is_silent(&self) -> bool {
        false
    }

    /// Judges a command; may give it back changed.
    async fn validate(&self, origin: &Origin, command: Command) -> Verdict {
        let _ = origin;
        Verdict::Proceed(command)
    }

    /// Tells of something that happened. The default calls [`handle_connect`](Self::handle_connect) and
    /// its like, then the handlers.
    async fn handle(&self, origin: &Origin, event: &Event) {
        match event {
            Event::Connected(_) => self.handle_connect(origin, event).await,
            Event::Subscribed(_) => self.handle_subscribe(origin, event).await,
            Event::Unsubscribed(_) => self.handle_unsubscribe(origin, event).await,
            Event::Published(..) => self.handle_publish(origin, event).await,
            Event::Disconnected => self.handle_disconnect(origin, event).await,
        }
        self.handlers().tell(origin, event).await;
    }

    /// A connection took an identity.
    async fn handle_connect(&self, origin: &Origin, event: &Event) {
        let _ = (origin, event);
    }

    /// A connection joined a channel.
    async fn handle_subscribe(&self, origin: &Origin, event: &Event) {
        let _ = (origin, event);
    }

    /// A connection left a channel.
    async fn handle_unsubscribe(&self, origin: &Origin, event: &Event) {
        let _ = (origin, event);
    }

    /// Something was published.
    async fn handle_publish(&self, origin: &Origin, event: &Event) {
        let _ = (origin, event);
    }

    /// A connection ended.
    async fn handle_disconnect(&self, origin: &Origin, event: &Event) {
        let _ = (origin, event);
    }
}

const _: fn(&dyn Dispatcher) = |_| ();
