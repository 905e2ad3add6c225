//! The handler of questions: what a node does when another asks.

use async_trait::async_trait;

use crate::operation::{Operation, Outcome};

/// Answers the questions of other nodes.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    /// Does an operation with the connections of a hub, which is named as it came.
    async fn answer(&self, hub: &str, operation: &Operation) -> Outcome;
}
