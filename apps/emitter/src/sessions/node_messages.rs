//! Messages between nodes when a client comes to one of them: to close its earlier connection, and to leave its
//! session. What that means is said in [`takeover`](super::takeover).

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytestring::ByteString;
use polywire_core::{Asked, ClusterHandler, ClusterService, NodeId, Space, Timetoken};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// What nodes that serve MQTT take part in.
pub(super) const MQTT: &str = "mqtt";

/// How long another node is waited for.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a node that is gone may still write down what it has: it may be about to stop.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What a node is to do with what it has of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionRequest {
    client: String,
    step: Step,
}

/// One of two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// The client has come to the node that asks: its earlier connection is to be closed.
    Close,
    /// The node that asks gets what the session gets: nobody else is to have it.
    Leave,
}

/// Does what another node asks for a client; with when it asked.
#[async_trait]
pub(super) trait StepHandler: Send + Sync + 'static {
    async fn handle(self: Arc<Self>, step: Step, client: ByteString, at: Timetoken);
}

/// Answers other nodes as long as there is somebody who does what they ask.
pub(super) struct Answers<H>(Weak<H>);

#[async_trait]
impl<H: StepHandler> ClusterHandler for Answers<H> {
    type Question = SessionRequest;
    /// It is done.
    type Answer = ();

    async fn answer(&self, request: SessionRequest, asked: Asked) {
        if let Some(handler) = self.0.upgrade() {
            let client = request.client.into();
            handler.handle(request.step, client, asked.at).await;
        }
    }
}

/// What this node and others ask of each other.
pub(super) struct NodeMessages<H: StepHandler> {
    space: Arc<Space>,
    service: Arc<ClusterService<Answers<H>>>,
}

impl<H: StepHandler> NodeMessages<H> {
    /// Listens to other nodes; `None` where there can be none.
    pub(super) async fn begin(space: &Arc<Space>, handler: Weak<H>) -> Option<Self> {
        if !space.is_shared() {
            return None;
        }
        let cluster = space.cluster(MQTT).patience(ANSWER);
        let service = cluster.serve(Arc::new(Answers(handler))).await;
        Some(Self {
            space: space.clone(),
            service: Arc::new(service),
        })
    }

    /// Has any other node close what it has of a client that has come to this one.
    pub(super) fn announce(&self, client: &ByteString) {
        if self.service.others().is_empty() {
            return;
        }
        let request = SessionRequest {
            client: client.to_string(),
            step: Step::Close,
        };
        let service = self.service.clone();
        tokio::spawn(async move {
            if let Err(error) = service.tell(request).await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "other nodes do not hear of a client");
            }
        });
    }

    /// Asks the node that has a session, and waits until it has done it; not for long where that is gone.
    pub(super) async fn ask(&self, node: NodeId, client: &str, step: Step) {
        self.ask_them([node].into(), client, step).await;
        // It said so before it was done, or is gone since.
        if step == Step::Leave && !self.space.nodes().is_there(node) {
            sleep(LAST_WORDS).await;
        }
    }

    /// Has the other nodes close what they have of a client, and waits until they have: from then on it is known whether
    /// one of them has its session.
    pub(super) async fn ask_all(&self, client: &str) {
        self.ask_them(self.service.others(), client, Step::Close)
            .await;
    }

    async fn ask_them(&self, nodes: BTreeSet<NodeId>, client: &str, step: Step) {
        let request = SessionRequest {
            client: client.to_owned(),
            step,
        };
        if let Err(error) = self.service.ask(nodes, request).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                client,
                "another node does not say that it has left a session"
            );
        }
    }
}
