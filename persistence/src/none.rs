//! The policy that keeps nothing.

use std::sync::Arc;

use async_trait::async_trait;
use polywire_core::{Durability, PersistResult, PersistencePolicy, Publication};

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPersistence;

#[async_trait]
impl PersistencePolicy for NoPersistence {
    async fn persist(&self, _: &Arc<Publication>) -> PersistResult {
        Ok(Durability::Delivered)
    }

    fn stores(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_laws() {
        polywire_core::testkit::persistence_laws(|| NoPersistence).await;
    }
}
