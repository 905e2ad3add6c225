//! The contract of an app that answers requests on the fast path.

use std::pin::Pin;

use crate::transport::http::{Answer, Request};

/// Answers GET requests that have no body, each in one piece, perhaps after a long wait.
///
/// # Laws
/// - It takes only what the [routes](crate::App::routes) of its app take, and answers it as these do: which way a
///   request comes depends on what came before it on the same connection. Responders are asked before
///   the routes of any app.
/// - Its answers have no headers that are the connection's own business: `connection`, `content-length`, `date`,
///   `transfer-encoding`, `upgrade`.
/// - When the client goes away the future is dropped, at any await.
/// - When the server [stops](crate::Runtime::stopping) it answers soon.
pub trait Responder: Send + Sync + 'static {
    /// True for a path, percent-encoded as it came, that it answers.
    fn takes(&self, path: &str) -> bool;

    /// Answers a request for such a path. The future is all that is kept of a request that waits, so it had better
    /// be small.
    fn respond(&self, request: Request) -> Responding<'_>;
}

/// An answer that is being waited for.
pub type Responding<'r> = Pin<Box<dyn Future<Output = Answer> + Send + 'r>>;

const _: fn(&dyn Responder) = |_| ();
