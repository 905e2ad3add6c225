//! Instances on several nodes: a client whose tabs ask different nodes leaves a channel with the last of them.

use std::sync::Arc;

use async_trait::async_trait;
use polywire_core::{Asked, Channel, ClientId, ClusterHandler, ClusterService, Space};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::instances::Instances;

/// What nodes ask each other about instances.
#[derive(Default)]
pub(crate) struct InstanceCluster(OnceCell<ClusterService<InstancesHere>>);

/// The instances of this node.
struct InstancesHere(Arc<Instances>);

/// An instance leaves, or one without an id.
#[derive(Serialize, Deserialize)]
struct InstanceLeaves {
    channel: String,
    client: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
}

#[async_trait]
impl ClusterHandler for InstancesHere {
    type Question = InstanceLeaves;
    /// True when others stay.
    type Answer = bool;

    async fn answer(&self, question: InstanceLeaves, _: Asked) -> bool {
        let names = (
            Channel::new(&question.channel),
            ClientId::new(&question.client),
        );
        match names {
            (Ok(channel), Ok(client)) => {
                !self
                    .0
                    .leave(&channel, &client, question.instance.as_deref())
            }
            _ => false,
        }
    }
}

impl InstanceCluster {
    /// Answers other nodes from now on.
    pub(crate) async fn serve(&self, space: &Arc<Space>, instances: &Arc<Instances>) {
        let here = Arc::new(InstancesHere(instances.clone()));
        let serve = || space.cluster("pubnub/instances").serve(here);
        self.0.get_or_init(serve).await;
    }

    /// An instance leaves that this node knows of no more. True when others of the client stay on other nodes; where they
    /// do not answer nobody is known to.
    pub(crate) async fn leave(
        &self,
        space: &Space,
        channel: &Channel,
        client: &ClientId,
        instance: Option<&str>,
    ) -> bool {
        let Some(service) = self.0.get() else {
            return false;
        };
        if !space.presence().gives_signs_elsewhere(channel, client) {
            return false;
        }
        let question = InstanceLeaves {
            channel: channel.as_str().to_owned(),
            client: client.as_str().to_owned(),
            instance: instance.map(Into::into),
        };
        match service.ask(service.others(), question).await {
            Ok(answers) => answers.into_values().any(|stays| stays),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "it is not known who stays on other nodes");
                false
            }
        }
    }
}
