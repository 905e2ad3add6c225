//! The questions of this node to all others, and its answers to theirs.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use polywire_core::{
    BackendError, BackendStatus, Channel, ClientId, ConnectionId, Draft, Identity, NodeId, Origin,
    Payload, Retention, Space,
    delivery::{Fanout, Receiver},
    space::RESERVED,
};

use super::{handler::Handler, message::Message, questions::Questions};
use crate::{
    names::{HubName, NAME},
    operation::{Operation, Outcome},
};

/// How long other nodes have for their answers.
const PATIENCE: Duration = Duration::from_secs(3);

/// This node's end of the channel on which nodes ask each other.
pub(crate) struct Nodes {
    node: u64,
    connection: ConnectionId,
    space: Arc<Space>,
    this: Weak<Self>,
    handler: Arc<dyn Handler>,
    questions: Questions,
}

/// Why nothing is known of other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("The other nodes cannot be reached, and only this one was asked. Try again.")]
    Unreachable,
    #[error("Another node did not answer in time. Try again.")]
    Late,
}

impl Nodes {
    /// With what answers the questions of the others.
    pub(crate) fn new(space: &Arc<Space>, handler: impl Handler) -> Arc<Self> {
        let node = space.hub().node();
        Arc::new_cyclic(|this| Self {
            node: node.0,
            connection: ConnectionId::next(node),
            space: space.clone(),
            this: this.clone(),
            handler: Arc::new(handler),
            questions: Questions::default(),
        })
    }

    /// Joins the others, and sees who of them goes, until the server stops.
    pub(crate) async fn run(self: Arc<Self>) {
        let stopping = self.space.runtime().stopping();
        let Ok(channel) = channel() else { return };
        let origin = Origin::new(NAME, Identity::anybody());
        let mut attachment = self.space.attach(origin, self.clone());
        attachment.join(channel).await;
        let nodes = self.space.nodes();
        let mut changes = nodes.watch();
        // Whoever knows of this node may ask it from now on.
        nodes.offer(NAME);
        while tokio::select! {
            changed = changes.changed() => changed.is_ok(),
            () = stopping.cancelled() => false,
        } {
            self.questions.only_of(|node| nodes.is_there(NodeId(node)));
        }
    }

    /// Asks every other node, and returns what became of it there.
    pub(crate) async fn ask(
        &self,
        hub: &HubName,
        operation: Operation,
    ) -> Result<Outcome, Unanswered> {
        if self.space.backend_status() == BackendStatus::Reconnecting {
            return Err(Unanswered::Unreachable);
        }
        let others = self.space.nodes().others(NAME);
        if others.is_empty() {
            return Ok(Outcome::default());
        }
        let others = others.into_iter().map(|node| node.0).collect();
        let (number, answers) = self.questions.begin(others, operation.is_about_one());
        let question = Message::Ask {
            from: self.node,
            number,
            hub: hub.as_str().to_owned(),
            operation,
        };
        let outcome = match self.say(&question).await {
            Ok(()) => tokio::time::timeout(PATIENCE, answers).await,
            Err(_) => {
                self.questions.forget(number);
                return Err(Unanswered::Unreachable);
            }
        };
        match outcome {
            Ok(Ok(outcome)) => Ok(outcome),
            _ => {
                self.questions.forget(number);
                Err(Unanswered::Late)
            }
        }
    }

    async fn say(&self, message: &Message) -> Result<(), BackendError> {
        let Ok(channel) = channel() else {
            return Ok(());
        };
        let mut draft = Draft::new(channel, Payload::text(""))
            .retention(Retention::NONE)
            .except(self.connection);
        draft.meta = message.write();
        self.space.publish_reserved(draft).await.map(|_| ())
    }

    fn hear(&self, message: Message) {
        match message {
            Message::Ask {
                from,
                number,
                hub,
                operation,
            } => {
                let Some(this) = self.this.upgrade() else {
                    return;
                };
                self.space.runtime().spawn(async move {
                    let outcome = this.handler.answer(&hub, &operation).await;
                    let answer = Message::Answer {
                        from: this.node,
                        to: from,
                        number,
                        outcome,
                    };
                    if let Err(error) = this.say(&answer).await {
                        let error = &error as &dyn std::error::Error;
                        tracing::debug!(error, "another node hears no answer");
                    }
                });
            }
            Message::Answer {
                from,
                to,
                number,
                outcome,
            } => {
                if to == self.node {
                    self.questions.answered(number, from, outcome);
                }
            }
        }
    }
}

fn channel() -> Result<Channel, polywire_core::InvalidChannel> {
    Channel::new(&format!("{RESERVED}webpubsub"))
}

impl Receiver for Nodes {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let meta = fanout.publication().meta.as_ref();
        if let Some(message) = meta.and_then(Message::read) {
            self.hear(message);
        }
    }
}
