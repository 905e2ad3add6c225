//! The simplest part of each sort.

use std::sync::OnceLock;

use async_trait::async_trait;

use crate::{
    AuthenticationError, AuthenticationPolicy, BackendError, Credentials, Draft, Identity,
    LocalNode, Position, PubSubBackend,
};

/// A backend of one node.
#[derive(Debug, Default)]
pub struct LocalBackend(OnceLock<LocalNode>);

#[async_trait]
impl PubSubBackend for LocalBackend {
    async fn start(&self, node: LocalNode) -> Result<(), BackendError> {
        self.0.set(node).map_err(|_| BackendError::NotRunning)
    }

    async fn publish(&self, draft: Draft) -> Result<Position, BackendError> {
        Ok(self
            .0
            .get()
            .ok_or(BackendError::NotRunning)?
            .publish(draft)
            .await)
    }
}

/// Lets everybody do everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

#[async_trait]
impl AuthenticationPolicy for AllowAll {
    async fn authenticate(&self, _: &Credentials) -> Result<Identity, AuthenticationError> {
        Ok(Identity::unrestricted())
    }
}
