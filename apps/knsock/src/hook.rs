//! A place to look at what clients send.

use async_trait::async_trait;
use polywire_core::Origin;

use crate::command::Command;

/// What becomes of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is done as it came.
    Continue,
    /// Nothing is done.
    Drop,
    /// This is done instead.
    Replace(Command),
}

/// Sees every valid line before it has an effect. Closures are hooks.
///
/// kn-sock's own handler takes the place of what the server does; a hook comes before it, so that one that
/// only prints changes nothing.
///
/// # Examples
/// ```
/// use polywire_core::Origin;
/// use polywire_knsock::{Action, Command, KnSock};
///
/// let app = KnSock::default().hook(|_: &Origin, command: &Command| match command {
///     Command::Publish(topic, _) if topic.as_str() == "secret" => Action::Drop,
///     _ => Action::Continue,
/// });
/// # let _ = app;
/// ```
#[async_trait]
pub trait Hook: Send + Sync + 'static {
    /// Decides what becomes of `command`.
    async fn handle(&self, origin: &Origin, command: &Command) -> Action;
}

#[async_trait]
impl<F: Fn(&Origin, &Command) -> Action + Send + Sync + 'static> Hook for F {
    async fn handle(&self, origin: &Origin, command: &Command) -> Action {
        self(origin, command)
    }
}
