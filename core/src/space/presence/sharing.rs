//! The task through which nodes tell each other who is present.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytestring::ByteString;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    changes::{Changes, parts},
    message::{Change, Message, Say},
    neighbours::Place,
};
use crate::{
    backend::Interest,
    channel::Channel,
    delivery::{Fanout, Receiver},
    identity::{ClientId, ConnectionId, NodeId},
    publication::{Draft, JsonText, Payload, PresenceAction, Retention},
    space::{RESERVED, Space},
};

/// How often a node says that it is there.
const ALIVE: Duration = Duration::from_secs(2);

/// How long a node may be silent before it and its clients count as gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How often in a row a node says that it is there until it must have heard all others.
const ROUNDS: u32 = 3;

/// Messages of other nodes that wait; when more come, the rest is asked for again.
const WAITING_MAX: usize = 4096;

/// Tells other nodes of the changes in the table, and takes what they tell.
pub(crate) struct Sharing {
    space: Arc<Space>,
    changes: Arc<Changes>,
    channel: Channel,
    own: NodeId,
    number: u64,
    others: HashMap<NodeId, Other>,
    /// Everybody is to be told of, as soon as the others can be reached.
    is_behind: bool,
    /// How often in a row the others could be told that this node is there.
    rounds: u32,
}

/// Another node.
struct Other {
    heard: Instant,
    number: u64,
    /// While it tells of everybody: those that it has not told of yet.
    unconfirmed: Option<HashSet<Place>>,
    /// A message of it is missing.
    is_torn: bool,
}

/// Puts what other nodes say into the line of the task.
struct Inbox {
    connection: ConnectionId,
    line: mpsc::Sender<ByteString>,
}

impl Receiver for Inbox {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        if let Payload::Json(json) = &fanout.publication().payload {
            // One that has no room shows by its number.
            let _ = self.line.try_send(json.clone().into_inner());
        }
    }
}

impl Sharing {
    /// `None` where there are no other nodes.
    pub(crate) fn of(space: &Arc<Space>) -> Option<Self> {
        let changes = space.presence().changes.clone()?;
        let channel = Channel::new(&format!("{RESERVED}presence")).ok()?;
        let space = space.clone();
        Some(Self {
            own: space.hub().node(),
            space,
            changes,
            channel,
            number: 0,
            others: HashMap::new(),
            is_behind: false,
            rounds: 0,
        })
    }

    /// Runs until the server has stopped: what clients do while it stops is told too. The clients of a node that
    /// is gone count as present for the time of silence, in which they may come back to another.
    pub(crate) async fn run(mut self) {
        let (line, mut inbox) = mpsc::channel(WAITING_MAX);
        let connection = ConnectionId::next(self.own);
        let interest = Interest::Channel(self.channel.clone());
        let inbox_of_hub = Arc::new(Inbox { connection, line });
        self.space.follow(&interest, inbox_of_hub).await;
        let space = self.space.clone();
        let (stopping, stopped) = (space.runtime().stopping(), space.runtime().stopped());
        // A stop waits until the others were told of it.
        let mut farewell = Some(space.runtime().hold());
        self.is_behind = true;
        let mut ticks = interval(ALIVE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopped.cancelled() => return,
                () = stopping.cancelled(), if farewell.is_some() => {
                    space.nodes().leave();
                    self.say_alive().await;
                    farewell = None;
                }
                () = self.changes.noted() => self.tell().await,
                // Where it fails it is said again soon.
                () = space.nodes().offered() => { self.say_alive().await; }
                Some(text) = inbox.recv() => self.hear(&text).await,
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    /// Publishes; false when other nodes may not have got it.
    async fn say(&mut self, say: Say) -> bool {
        self.number += 1;
        let message = Message {
            from: self.own.0,
            number: self.number,
            say,
        };
        let Ok(text) = JsonText::of(&message) else {
            return false;
        };
        let draft =
            Draft::new(self.channel.clone(), Payload::Json(text)).retention(Retention::NONE);
        self.space.publish_reserved(draft).await.is_ok()
    }

    async fn say_alive(&mut self) -> bool {
        self.say(Say::Alive(self.space.nodes().offers())).await
    }

    async fn tell(&mut self) {
        let to_tell = self.changes.take();
        self.is_behind |= to_tell.overflowed;
        for part in to_tell.parts {
            if self.is_behind {
                break;
            }
            self.is_behind = !self.say(Say::Changes(part)).await;
        }
        self.catch_up().await;
        self.changes.tell(to_tell.up_to);
    }

    /// Where others missed something: tells of everybody, and asks for what this node missed.
    async fn catch_up(&mut self) {
        if self.is_behind && self.tell_all().await {
            self.is_behind = !self.say(Say::Ask(None)).await;
        }
    }

    /// Tells of everybody on this node; false when others may not have got it.
    async fn tell_all(&mut self) -> bool {
        let space = self.space.clone();
        if !self.say(Say::Begin(space.nodes().offers())).await {
            return false;
        }
        for shard in space.presence().everybody_here() {
            for part in parts(shard) {
                if !self.say(Say::Changes(part)).await {
                    return false;
                }
            }
        }
        self.say(Say::End).await
    }

    async fn hear(&mut self, text: &str) {
        let Ok(message) = serde_json::from_str::<Message>(text) else {
            return;
        };
        let from = message.from();
        if from == self.own {
            return;
        }
        let is_known = self.others.contains_key(&from);
        if !is_known {
            // Whoever is new shall not wait to know this node.
            self.say_alive().await;
        }
        let other = self.others.entry(from).or_insert_with(|| Other {
            heard: Instant::now(),
            number: message.number,
            unconfirmed: None,
            is_torn: false,
        });
        other.heard = Instant::now();
        let is_next = message.number == other.number.wrapping_add(1);
        other.number = message.number;
        if is_known && !is_next {
            other.is_torn = true;
        }
        let nodes = self.space.nodes();
        match message.say {
            Say::Alive(offers) => {
                nodes.heard(from, offers);
                if other.is_torn || !is_known {
                    self.say(Say::Ask(Some(from.0))).await;
                }
            }
            Say::Changes(changes) => self.hear_changes(from, &changes).await,
            Say::Begin(offers) => {
                nodes.heard(from, offers);
                other.is_torn = false;
                other.unconfirmed = Some(self.space.presence().places_of(from));
            }
            Say::End => {
                // One that is torn again asks again, and sweeps then.
                let unconfirmed = other.unconfirmed.take().filter(|_| !other.is_torn);
                self.forget(from, unconfirmed.unwrap_or_default()).await;
            }
            Say::Ask(whom) => {
                if whom.is_none_or(|whom| whom == self.own.0) {
                    self.is_behind |= !self.tell_all().await;
                }
            }
        }
    }

    async fn hear_changes(&mut self, from: NodeId, changes: &[Change]) {
        for change in changes {
            let unconfirmed = self.others.get_mut(&from);
            if let Some(unconfirmed) = unconfirmed.and_then(|other| other.unconfirmed.as_mut())
                && let Some(place) = change.place()
            {
                unconfirmed.remove(&place);
            }
            let gone = self.space.presence().hear(self.own, from, change);
            if let Some((channel, client)) = gone {
                self.announce(PresenceAction::Leave, &channel, &client)
                    .await;
            }
        }
    }

    /// A node does not have these any more: one of the others tells the members.
    async fn forget(&self, node: NodeId, places: HashSet<Place>) {
        let gone = self.space.presence().forget(node, places);
        let others = self.others.keys().filter(|other| **other != node);
        if others.min().is_some_and(|least| *least < self.own) {
            return;
        }
        for (channel, client) in gone {
            self.announce(PresenceAction::Timeout, &channel, &client)
                .await;
        }
    }

    async fn announce(&self, action: PresenceAction, channel: &Channel, client: &ClientId) {
        let event = self.space.presence_event(action, channel, client);
        // At once: it is this task that others wait for.
        self.space.announce_at_once(channel, event, None).await;
    }

    /// Says that this node is there, and looks who is not any more.
    async fn look(&mut self) {
        let is_told = self.say_alive().await;
        self.is_behind |= !is_told;
        self.catch_up().await;
        // Whoever cannot be told cannot be heard either.
        self.rounds = if is_told {
            (self.rounds + 1).min(ROUNDS)
        } else {
            0
        };
        self.space.nodes().set_complete(self.rounds == ROUNDS);
        let now = Instant::now();
        let is_silent = |other: &Other| now.duration_since(other.heard) > SILENCE_MAX;
        let silent: Vec<_> = self
            .others
            .iter()
            .filter(|(_, other)| is_silent(other))
            .map(|(node, _)| *node)
            .collect();
        for node in silent {
            self.others.remove(&node);
            self.space.nodes().heard(node, None);
            tracing::info!(node = %format_args!("{:016x}", node.0), "another node is not there any more");
            let places = self.space.presence().places_of(node);
            self.forget(node, places).await;
        }
    }
}
