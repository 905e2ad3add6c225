//! Gossip: the task through which nodes tell each other that they are there and who is present.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use super::{
    message::{GossipMessage, Say},
    peers::Peers,
};
use crate::{
    channel::Channel,
    identity::NodeId,
    presence::{Changes, parts},
    publication::{Draft, JsonText, Payload, Publication, Retention},
    space::{ChannelListener, Space},
};

/// How often a node says that it is there.
const ALIVE: Duration = Duration::from_secs(2);

/// How often in a row a node says that it is there until it must have heard all others.
const ROUNDS: u32 = 3;

/// Tells other nodes of the changes in the table, and takes what they tell.
pub(crate) struct Gossip {
    space: Arc<Space>,
    changes: Arc<Changes>,
    channel: Channel,
    inbox: Arc<GossipInbox>,
    /// Hears the others, from the start of the task.
    listener: Option<ChannelListener>,
    number: u64,
    /// Everybody is to be told of, as soon as the others can be reached.
    is_behind: bool,
    /// How often in a row the others could be told that this node is there.
    rounds: u32,
}

/// Takes what other nodes say, at once: what is delivered afterwards, such as word of a newcomer, may make somebody
/// look into the table.
struct GossipInbox {
    own: NodeId,
    space: Weak<Space>,
    peers: Mutex<Peers>,
    /// There is something to do.
    wake: Notify,
}

impl GossipInbox {
    fn hear(&self, publication: &Publication) {
        let Payload::Json(json) = &publication.payload else {
            return;
        };
        let message = serde_json::from_str::<GossipMessage>(json.as_str());
        if let (Ok(message), Some(space)) = (message, self.space.upgrade())
            && message.from() != self.own
            && (self.peers.lock()).hear(space.presence(), space.nodes(), message)
        {
            self.wake.notify_one();
        }
    }
}

impl Gossip {
    /// `None` where there are no other nodes.
    pub(crate) fn of(space: &Arc<Space>) -> Option<Self> {
        let changes = space.presence().changes()?;
        let channel = Channel::reserved("presence");
        let own = space.hub().node();
        let inbox = GossipInbox {
            own,
            space: Arc::downgrade(space),
            peers: Mutex::new(Peers::new(own)),
            wake: Notify::new(),
        };
        Some(Self {
            space: space.clone(),
            changes,
            channel,
            inbox: Arc::new(inbox),
            listener: None,
            number: 0,
            is_behind: false,
            rounds: 0,
        })
    }

    /// Runs until the server has stopped: what clients do while it stops is told too. The clients of a node that
    /// is gone count as present for the time of silence, in which they may come back to another.
    pub(crate) async fn run(mut self) {
        let (space, inbox) = (self.space.clone(), self.inbox.clone());
        let hearing = inbox.clone();
        let hear = move |publication: &Publication| hearing.hear(publication);
        self.listener = Some(space.listen(self.channel.clone(), hear).await);
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
                () = inbox.wake.notified() => self.do_what_follows().await,
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    /// Publishes; false when other nodes may not have got it.
    async fn say(&mut self, say: Say) -> bool {
        self.number += 1;
        let message = GossipMessage {
            from: self.inbox.own.0,
            number: self.number,
            say,
        };
        let Ok(text) = JsonText::of(&message) else {
            return false;
        };
        let draft = Draft::new(self.channel.clone(), Payload::Json(text))
            .retention(Retention::NONE)
            .except(self.listener.as_ref().map(ChannelListener::connection));
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

    /// Does what follows from what others said.
    async fn do_what_follows(&mut self) {
        let to_do = self.inbox.peers.lock().take_to_do();
        if to_do.greet {
            self.say_alive().await;
        }
        for node in to_do.ask {
            self.say(Say::Ask(Some(node.0))).await;
        }
        if to_do.tell_all {
            self.is_behind |= !self.tell_all().await;
        }
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
        let (presence, nodes) = (self.space.presence(), self.space.nodes());
        let is_more = self.inbox.peers.lock().look(presence, nodes);
        if is_more {
            self.do_what_follows().await;
        }
    }
}
