//! What nodes ask of each other when a client comes to one of them: to close its earlier connection, and to leave its
//! session. What that means is said in [`takeover`](super::takeover).

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytestring::ByteString;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use polywire_core::{
    Channel, ClientId, ConnectionId, Draft, Identity, JsonText, NodeId, Origin, Payload, Retention,
    Space, Timetoken,
    delivery::{Fanout, Receiver},
    space::Attachment,
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::settings::NAME;

/// What nodes that serve MQTT take part in.
pub(super) const MQTT: &str = "mqtt";

const CHANNEL: &str = "$polywire/mqtt/clients";

/// How long another node is waited for.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a node that is gone may still write down what it has: it may be about to stop.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What nodes say to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    /// The client has come to this node: its earlier connection is to be closed.
    Close(Request),
    /// This node gets what the session gets: nobody else is to have it.
    Leave(Request),
    /// That is done.
    Done { node: u64, number: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    client: String,
    /// Who asks.
    node: u64,
    /// Of the question; 0 where nobody waits for an answer.
    number: u64,
}

/// One of two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Close,
    Leave,
}

/// What this node and others ask of each other.
pub(super) struct NodeMessages {
    space: Arc<Space>,
    channel: Channel,
    questions: Arc<Questions>,
    /// Dropped with this.
    _attachment: Attachment,
}

#[derive(Default)]
struct Questions(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    last: u64,
    /// How many answers are missing, and who is told when none is.
    open: HashMap<u64, (usize, oneshot::Sender<()>)>,
}

impl Questions {
    fn begin(&self, answers: usize) -> (u64, oneshot::Receiver<()>) {
        let (done, all) = oneshot::channel();
        let mut waiting = self.0.lock();
        waiting.last += 1;
        let number = waiting.last;
        waiting.open.insert(number, (answers, done));
        (number, all)
    }

    fn answered(&self, number: u64) {
        let mut waiting = self.0.lock();
        let Some((missing, _)) = waiting.open.get_mut(&number) else {
            return;
        };
        *missing = missing.saturating_sub(1);
        if *missing == 0
            && let Some((_, done)) = waiting.open.remove(&number)
        {
            // Nobody waits any more where the asker has given up.
            let _ = done.send(());
        }
    }

    fn forget(&self, number: u64) {
        self.0.lock().open.remove(&number);
    }
}

/// Does what another node asks for a client; with when it asked.
pub(super) type StepHandler =
    dyn Fn(Step, ByteString, Timetoken) -> BoxFuture<'static, ()> + Send + Sync;

struct Listener {
    connection: ConnectionId,
    space: Weak<Space>,
    questions: Arc<Questions>,
    handle: Arc<StepHandler>,
}

impl NodeMessages {
    /// Listens to other nodes; `None` where there can be none.
    pub(super) async fn begin(space: &Arc<Space>, handle: Arc<StepHandler>) -> Option<Self> {
        let channel = Channel::new(CHANNEL).ok()?;
        if !space.is_shared() {
            return None;
        }
        let questions = Arc::new(Questions::default());
        let listener = Arc::new(Listener {
            connection: ConnectionId::next(space.hub().node()),
            space: Arc::downgrade(space),
            questions: questions.clone(),
            handle,
        });
        let origin = Origin::new(NAME, Identity::anybody());
        let mut attachment = space.attach(origin, listener);
        attachment.join(channel.clone()).await;
        space.nodes().offer(MQTT);
        Some(Self {
            space: space.clone(),
            channel,
            questions,
            _attachment: attachment,
        })
    }

    /// Has any other node close what it has of a client that has come to this one.
    pub(super) fn announce(&self, client: &ByteString) {
        if self.space.nodes().others(MQTT).is_empty() {
            return;
        }
        let message = Message::Close(Request {
            client: client.to_string(),
            node: self.space.hub().node().0,
            number: 0,
        });
        let (space, channel) = (self.space.clone(), self.channel.clone());
        tokio::spawn(async move { say(&space, channel, &message).await });
    }

    /// Asks the node that has a session, and waits until it has done it; not for long where that is gone.
    pub(super) async fn ask(&self, node: NodeId, client: &str, step: Step) {
        if !self.space.nodes().is_there(node) {
            if step == Step::Leave {
                sleep(LAST_WORDS).await;
            }
            return;
        }
        self.ask_them(1, client, step).await;
    }

    /// Has the other nodes close what they have of a client, and waits until they have: from then on it is known whether
    /// one of them has its session.
    pub(super) async fn ask_all(&self, client: &str) {
        let others = self.space.nodes().others(MQTT).len();
        if others > 0 {
            self.ask_them(others, client, Step::Close).await;
        }
    }

    async fn ask_them(&self, answers: usize, client: &str, step: Step) {
        let (number, all) = self.questions.begin(answers);
        let request = Request {
            client: client.to_owned(),
            node: self.space.hub().node().0,
            number,
        };
        let message = match step {
            Step::Close => Message::Close(request),
            Step::Leave => Message::Leave(request),
        };
        say(&self.space, self.channel.clone(), &message).await;
        if timeout(ANSWER, all).await.is_err() {
            tracing::warn!(
                client,
                "another node does not say that it has left a session"
            );
        }
        self.questions.forget(number);
    }
}

async fn say(space: &Space, channel: Channel, message: &Message) {
    let Ok(json) = JsonText::of(message) else {
        return;
    };
    let draft = Draft::new(channel, Payload::Json(json)).retention(Retention::NONE);
    if let Err(error) = space.publish_reserved(draft).await {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "other nodes do not hear of a client");
    }
}

impl Listener {
    fn hear(&self, message: Message, at: Timetoken) {
        let Some(space) = self.space.upgrade() else {
            return;
        };
        let own = space.hub().node().0;
        let (request, step) = match message {
            Message::Done { node, number } => {
                if node == own {
                    self.questions.answered(number);
                }
                return;
            }
            Message::Close(request) => (request, Step::Close),
            Message::Leave(request) => (request, Step::Leave),
        };
        if request.node == own {
            return;
        }
        let done = (self.handle)(step, request.client.into(), at);
        tokio::spawn(async move {
            done.await;
            if request.number > 0
                && let Ok(channel) = Channel::new(CHANNEL)
            {
                let done = Message::Done {
                    node: request.node,
                    number: request.number,
                };
                say(&space, channel, &done).await;
            }
        });
    }
}

impl Receiver for Listener {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let publication = fanout.publication();
        if let Payload::Json(json) = &publication.payload
            && let Ok(message) = serde_json::from_str(json.as_str())
        {
            self.hear(message, publication.position().timetoken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_when_all_have() {
        let questions = Questions::default();
        let (first, mut all) = questions.begin(2);
        let (second, mut given_up) = questions.begin(1);
        assert_ne!(first, second);
        questions.answered(first);
        questions.answered(second + 1);
        assert!(all.try_recv().is_err());
        questions.answered(first);
        assert!(all.try_recv().is_ok());
        questions.answered(first);
        questions.forget(second);
        questions.answered(second);
        assert!(given_up.try_recv().is_err());
        assert!(questions.0.lock().open.is_empty());
    }

    #[test]
    fn what_nodes_say_is_read_as_it_was_written() {
        let request = Request {
            client: "a \"b\"".into(),
            node: u64::MAX,
            number: 7,
        };
        for message in [
            Message::Close(request.clone()),
            Message::Leave(request),
            Message::Done { node: 1, number: 0 },
        ] {
            let text = serde_json::to_string(&message).unwrap();
            assert_eq!(
                serde_json::from_str::<Message>(&text).unwrap(),
                message,
                "{text}"
            );
        }
    }
}
