//! Operations on other nodes: what is not known here may be known elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use polywire_core::{Asked, ClusterHandler, ClusterService, Space, Unanswered};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::{
    local_connections::LocalConnections,
    names::{HubName, NAME},
    operation::{Operation, Outcome},
};

/// What a node asks others to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OperationRequest {
    /// The hub, as it was named.
    hub: String,
    operation: Operation,
}

/// Does with the connections of this node what other nodes ask for.
pub(crate) struct OperationHandler {
    pub(crate) connections: Arc<LocalConnections>,
    pub(crate) default_hub: String,
}

#[async_trait]
impl ClusterHandler for OperationHandler {
    type Question = OperationRequest;
    type Answer = Outcome;

    async fn answer(&self, request: OperationRequest, _: Asked) -> Outcome {
        match HubName::new(&request.hub, &self.default_hub) {
            Some(hub) => self.connections.perform(&hub, &request.operation).await,
            None => Outcome::default(),
        }
    }
}

/// The other nodes that serve the app.
pub(crate) struct Nodes {
    space: Arc<Space>,
    handler: Arc<OperationHandler>,
    service: OnceCell<ClusterService<OperationHandler>>,
}

impl Nodes {
    /// With what does what they ask for, from soon on.
    pub(crate) fn new(space: &Arc<Space>, handler: OperationHandler) -> Arc<Self> {
        let nodes = Arc::new(Self {
            space: space.clone(),
            handler: Arc::new(handler),
            service: OnceCell::new(),
        });
        let serving = nodes.clone();
        space.runtime().spawn(async move {
            serving.service().await;
        });
        nodes
    }

    async fn service(&self) -> &ClusterService<OperationHandler> {
        let serve = || self.space.cluster(NAME).serve(self.handler.clone());
        self.service.get_or_init(serve).await
    }

    /// Has every other node do an operation, and returns what became of it there.
    ///
    /// # Errors
    /// When not all of them are known to have done it.
    pub(crate) async fn ask(
        &self,
        hub: &HubName,
        operation: Operation,
    ) -> Result<Outcome, Unanswered> {
        let service = self.service().await;
        let is_about_one = operation.is_about_one();
        let request = OperationRequest {
            hub: hub.as_str().to_owned(),
            operation,
        };
        // One that has found what is asked for is enough.
        let enough = |outcome: &Outcome| is_about_one && outcome.found > 0;
        let answers = service.ask_until(service.others(), request, enough).await?;
        let mut all = Outcome::default();
        answers.into_values().for_each(|outcome| all.add(outcome));
        Ok(all)
    }
}
