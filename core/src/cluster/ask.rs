//! Questions between nodes, and their answers: `space.cluster(NAME).serve(handler)`, then `ask`.
//!
//! Each service has a reserved channel of its own. A question names the nodes that are to answer it; each answer goes
//! back on the same channel. A node that stops or is missed drops out of the wait, since nobody can answer for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

use crate::{
    backend::{BackendError, BackendStatus},
    channel::Channel,
    identity::NodeId,
    publication::{Draft, JsonText, Payload, Publication, Retention, Timetoken},
    space::{ChannelListener, Space},
};

/// How long nodes have for their answers, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a node does when another asks.
#[async_trait]
pub trait ClusterHandler: Send + Sync + 'static {
    /// What is asked.
    type Question: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What is answered.
    type Answer: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Answers. Questions are answered side by side, in no order.
    async fn answer(&self, question: Self::Question, asked: Asked) -> Self::Answer;
}

/// Where a question comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The node that asks.
    pub from: NodeId,
    /// When it asked, in the order of all publications.
    pub at: Timetoken,
}

/// Why a question was not answered by all who were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswered {
    /// The other nodes cannot be reached; none was asked.
    #[error("the other nodes cannot be reached")]
    Unreachable,
    /// A node that is there did not answer in time.
    #[error("another node did not answer in time")]
    Late,
}

/// A name under which nodes ask each other, before this node [serves](Self::serve) it.
#[derive(Debug)]
#[must_use = "nobody is asked or answered until it is served"]
pub struct Cluster {
    space: Arc<Space>,
    name: &'static str,
    patience: Duration,
}

/// Asks the other nodes that serve the same name, and answers what they ask. It ends when it is dropped.
pub struct ClusterService<H: ClusterHandler> {
    space: Arc<Space>,
    name: &'static str,
    channel: Channel,
    patience: Duration,
    waiting: Arc<OpenQuestions<H::Answer>>,
    listener: ChannelListener,
}

/// Questions of this node that wait for answers, by their numbers.
struct OpenQuestions<A>(Mutex<(u64, Askers<A>)>);

type Askers<A> = HashMap<u64, mpsc::UnboundedSender<(NodeId, A)>>;

/// What nodes say to each other. Nodes are known by their numbers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClusterMessage<Q, A> {
    /// These nodes are to answer, or all of them are to know and nobody waits.
    Ask {
        from: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<BTreeSet<u64>>,
        question: Q,
    },
    Answer {
        from: u64,
        to: u64,
        number: u64,
        answer: A,
    },
}

impl Space {
    /// Questions between the nodes that serve this name, such as the name of an app.
    pub fn cluster(self: &Arc<Self>, name: &'static str) -> Cluster {
        Cluster {
            space: self.clone(),
            name,
            patience: PATIENCE,
        }
    }
}

impl Cluster {
    /// Sets how long nodes have for their answers. Default 3 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Answers the others from now on, by `handler`, and [takes part](crate::space::Nodes::offer) in the name.
    /// Returns when questions of other nodes arrive.
    pub async fn serve<H: ClusterHandler>(self, handler: Arc<H>) -> ClusterService<H> {
        let Self {
            space,
            name,
            patience,
        } = self;
        let channel = Channel::reserved(&format!("cluster/{name}"));
        let waiting = Arc::new(OpenQuestions(Mutex::default()));
        let incoming = QuestionInbox {
            own: space.hub().node(),
            space: Arc::downgrade(&space),
            channel: channel.clone(),
            handler,
            waiting: waiting.clone(),
        };
        let hear = move |publication: &Publication| incoming.hear(publication);
        let listener = space.listen(channel.clone(), hear).await;
        space.nodes().offer(name);
        ClusterService {
            space,
            name,
            channel,
            patience,
            waiting,
            listener,
        }
    }
}

impl<H: ClusterHandler> ClusterService<H> {
    /// The other nodes that serve the name and are there.
    pub fn others(&self) -> BTreeSet<NodeId> {
        self.space.nodes().others(self.name)
    }

    /// Asks nodes, and waits for the answers of all that are there. A node that is gone has no answer.
    ///
    /// # Errors
    /// See [`Unanswered`].
    ///
    /// # Cancel safety
    /// Whoever drops the future may have asked, and hears no answer.
    pub async fn ask(
        &self,
        nodes: BTreeSet<NodeId>,
        question: H::Question,
    ) -> Result<BTreeMap<NodeId, H::Answer>, Unanswered> {
        self.ask_until(nodes, question, |_| false).await
    }

    /// Asks nodes, and waits for the answers of all that are there, or for one that is `enough`.
    ///
    /// # Errors
    /// See [`Unanswered`].
    ///
    /// # Cancel safety
    /// Whoever drops the future may have asked, and hears no answer.
    pub async fn ask_until(
        &self,
        nodes: BTreeSet<NodeId>,
        question: H::Question,
        enough: impl Fn(&H::Answer) -> bool,
    ) -> Result<BTreeMap<NodeId, H::Answer>, Unanswered> {
        let mut missing = nodes;
        let own = self.space.hub().node();
        missing.retain(|node| *node != own && self.space.nodes().is_there(*node));
        if missing.is_empty() {
            return Ok(BTreeMap::new());
        }
        if self.space.backend_status() != BackendStatus::Ready {
            return Err(Unanswered::Unreachable);
        }
        let mut roster = self.space.nodes().watch();
        let (number, mut answers) = self.waiting.begin();
        // However this ends, the question does not wait any more.
        let _waits = OpenQuestion {
            waiting: &self.waiting,
            number,
        };
        let message: ClusterMessage<_, H::Answer> = ClusterMessage::Ask {
            from: own.0,
            number: Some(number),
            to: Some(missing.iter().map(|node| node.0).collect()),
            question,
        };
        let said = say(&self.space, &self.channel, self.except(), &message).await;
        said.map_err(|_| Unanswered::Unreachable)?;
        let mut answered = BTreeMap::new();
        let wait = async {
            loop {
                missing.retain(|node| self.space.nodes().is_there(*node));
                if missing.is_empty() {
                    return;
                }
                tokio::select! {
                    // Its sender is dropped with the question.
                    Some((node, answer)) = answers.recv() => {
                        if missing.remove(&node) {
                            let is_enough = enough(&answer);
                            answered.insert(node, answer);
                            if is_enough {
                                return;
                            }
                        }
                    }
                    _ = roster.changed() => {}
                }
            }
        };
        let in_time = tokio::time::timeout(self.patience, wait).await;
        in_time.map(|()| answered).map_err(|_| Unanswered::Late)
    }

    /// Has all other nodes answer a question to themselves: nobody waits.
    ///
    /// # Errors
    /// When other nodes may not have got it.
    pub async fn tell(&self, question: H::Question) -> Result<(), BackendError> {
        let message: ClusterMessage<_, H::Answer> = ClusterMessage::Ask {
            from: self.space.hub().node().0,
            number: None,
            to: None,
            question,
        };
        say(&self.space, &self.channel, self.except(), &message).await
    }

    fn except(&self) -> Option<crate::ConnectionId> {
        Some(self.listener.connection())
    }
}

/// A question that waits, until this is dropped.
struct OpenQuestion<'w, A> {
    waiting: &'w OpenQuestions<A>,
    number: u64,
}

impl<A> Drop for OpenQuestion<'_, A> {
    fn drop(&mut self) {
        self.waiting.0.lock().1.remove(&self.number);
    }
}

impl<A> OpenQuestions<A> {
    fn begin(&self) -> (u64, mpsc::UnboundedReceiver<(NodeId, A)>) {
        // At most one answer for each node that was asked is taken out before it ends.
        let (asker, answers) = mpsc::unbounded_channel();
        let (last, askers) = &mut *self.0.lock();
        *last += 1;
        askers.insert(*last, asker);
        (*last, answers)
    }

    fn answered(&self, number: u64, node: NodeId, answer: A) {
        if let Some(asker) = self.0.lock().1.get(&number) {
            // Nobody waits any more where the asker has given up.
            let _ = asker.send((node, answer));
        }
    }
}

/// Takes what other nodes say.
struct QuestionInbox<H: ClusterHandler> {
    own: NodeId,
    space: Weak<Space>,
    channel: Channel,
    handler: Arc<H>,
    waiting: Arc<OpenQuestions<H::Answer>>,
}

impl<H: ClusterHandler> QuestionInbox<H> {
    fn hear(&self, publication: &Publication) {
        let Payload::Json(json) = &publication.payload else {
            return;
        };
        match serde_json::from_str::<ClusterMessage<H::Question, H::Answer>>(json.as_str()) {
            Ok(ClusterMessage::Ask {
                from,
                number,
                to,
                question,
            }) => {
                if from != self.own.0 && to.is_none_or(|to| to.contains(&self.own.0)) {
                    let from = NodeId(from);
                    let at = publication.position().timetoken;
                    self.answer(question, number, Asked { from, at });
                }
            }
            Ok(ClusterMessage::Answer {
                from,
                to,
                number,
                answer,
            }) => {
                if to == self.own.0 {
                    self.waiting.answered(number, NodeId(from), answer);
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, channel = %self.channel, "another node says what is not understood");
            }
        }
    }

    fn answer(&self, question: H::Question, number: Option<u64>, asked: Asked) {
        let Some(space) = self.space.upgrade() else {
            return;
        };
        let (own, channel, handler) = (self.own, self.channel.clone(), self.handler.clone());
        space.clone().runtime().spawn(async move {
            let answer = handler.answer(question, asked).await;
            let Some(number) = number else { return };
            let message: ClusterMessage<H::Question, _> = ClusterMessage::Answer {
                from: own.0,
                to: asked.from.0,
                number,
                answer,
            };
            if let Err(error) = say(&space, &channel, None, &message).await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, %channel, "another node hears no answer");
            }
        });
    }
}

async fn say<Q: Serialize, A: Serialize>(
    space: &Space,
    channel: &Channel,
    except: Option<crate::ConnectionId>,
    message: &ClusterMessage<Q, A>,
) -> Result<(), BackendError> {
    let text = JsonText::of(message).map_err(|error| {
        BackendError::Configuration(format!("a question or answer has no JSON form: {error}"))
    })?;
    let draft = Draft::new(channel.clone(), Payload::Json(text))
        .retention(Retention::NONE)
        .except(except);
    space.publish_reserved(draft).await.map(drop)
}

impl<H: ClusterHandler> fmt::Debug for ClusterService<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterService")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
