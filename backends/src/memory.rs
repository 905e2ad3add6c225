//! The backend of a single node.

use std::sync::OnceLock;

use async_trait::async_trait;
use polywire_core::{Attempt, BackendError, Draft, LocalNode, Placed, PubSubBackend, Receipt};

/// Everything stays in the memory of one node. It is always ready and never fails.
///
/// # Examples
/// ```
/// use polywire_backends::Memory;
/// use polywire_core::AppRunner;
///
/// let builder = AppRunner::builder(Memory::default());
/// ```
#[derive(Debug, Default)]
pub struct Memory {
    node: OnceLock<LocalNode>,
}

#[async_trait]
impl PubSubBackend for Memory {
    async fn start(&self, node: LocalNode) -> Result<(), BackendError> {
        self.node.set(node).map_err(|_| BackendError::NotRunning)
    }

    async fn publish(&self, draft: Draft) -> Result<Receipt, BackendError> {
        let node = self.node.get().ok_or(BackendError::NotRunning)?;
        Ok(node.publish(draft).await?)
    }

    async fn place(&self, draft: Draft) -> Result<Placed, BackendError> {
        let node = self.node.get().ok_or(BackendError::NotRunning)?;
        Ok(node.place(draft).await?.into())
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn publish_now(&self, draft: Draft) -> Attempt {
        match self.node.get() {
            Some(node) => match node.publish_now(draft) {
                Ok(receipt) => Attempt::Done(Ok(receipt)),
                Err(draft) => Attempt::Waits(draft),
            },
            None => Attempt::Done(Err(BackendError::NotRunning)),
        }
    }
}
