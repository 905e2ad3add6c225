//! Ends of live connections: their rights have ended, or the server sends them away.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use super::{Space, live::LiveConnection};
use crate::{
    backend::BackendError,
    channel::Channel,
    delivery::EndReason,
    framing::CloseReason,
    identity::{ClientId, ConnectionId, Identity},
    interest::Interest,
    publication::{Draft, JsonText, Payload, PresenceAction, Publication, Retention},
};

/// How often it is looked whose rights have ended.
const LOOK: Duration = Duration::from_millis(250);

/// Whom an operator means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whom {
    /// Each connection of a client, on all nodes.
    Client(ClientId),
    /// One connection, on whichever node it is.
    Connection(ConnectionId),
}

/// What nodes tell each other to do with connections.
#[derive(Debug, Serialize, Deserialize)]
struct ControlMessage {
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    control: Control,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Control {
    Disconnect { code: u16, reason: String },
    Subscribe { channel: String },
    Unsubscribe { channel: String },
}

impl Space {
    /// Sends connections away, on all nodes, each told in its protocol; `code` is for protocols that have codes between
    /// 3000 and 4999 to close with.
    ///
    /// # Errors
    /// When other nodes could not be told; those of this node are sent away all the same.
    pub async fn disconnect(
        &self,
        whom: &Whom,
        code: u16,
        reason: &str,
    ) -> Result<(), BackendError> {
        let reason = reason.to_owned();
        self.control(whom, Control::Disconnect { code, reason })
            .await
    }

    /// Puts connections onto a channel, on all nodes, whatever their rights are. Clients of PubNub say with each request
    /// what they are on: nothing changes for them.
    ///
    /// # Errors
    /// When other nodes could not be told; those of this node are on it all the same.
    pub async fn subscribe(&self, whom: &Whom, channel: &Channel) -> Result<(), BackendError> {
        let channel = channel.as_str().to_owned();
        self.control(whom, Control::Subscribe { channel }).await
    }

    /// Takes connections off a channel, on all nodes.
    ///
    /// # Errors
    /// When other nodes could not be told; those of this node are off it all the same.
    pub async fn unsubscribe(&self, whom: &Whom, channel: &Channel) -> Result<(), BackendError> {
        let channel = channel.as_str().to_owned();
        self.control(whom, Control::Unsubscribe { channel }).await
    }

    async fn control(&self, whom: &Whom, control: Control) -> Result<(), BackendError> {
        self.do_here(whom, &control).await;
        if !self.is_shared() {
            return Ok(());
        }
        let (client, connection) = match whom {
            Whom::Client(client) => (Some(client.to_string()), None),
            Whom::Connection(connection) => (None, Some(connection.to_string())),
        };
        let message = ControlMessage {
            client,
            connection,
            control,
        };
        // Texts and numbers always have a JSON form.
        let text = JsonText::of(&message).unwrap_or_else(|_| JsonText::null());
        let draft = Draft::new(control_channel(), Payload::Json(text));
        let draft = draft.retention(Retention::NONE);
        self.publish_reserved(draft).await.map(drop)
    }

    async fn do_here(&self, whom: &Whom, control: &Control) {
        match whom {
            Whom::Connection(connection) => {
                if let Some(live) = self.live.get(*connection) {
                    self.control_one(&live, control).await;
                }
            }
            Whom::Client(client) => {
                for part in self.live.shards() {
                    for live in part.iter().filter(|live| live.is_of(client)) {
                        self.control_one(live, control).await;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn control_one(&self, live: &Arc<LiveConnection>, control: &Control) {
        match control {
            Control::Disconnect { code, reason } => {
                let reason = CloseReason {
                    code: *code,
                    reason: reason.clone().into(),
                };
                self.end(live, &EndReason::Disconnected(reason));
            }
            Control::Subscribe { channel } => {
                if let Ok(channel) = Channel::new(channel)
                    && !channel.is_reserved()
                {
                    self.put_onto(live, &channel).await;
                }
            }
            Control::Unsubscribe { channel } => {
                if let Ok(channel) = Channel::new(channel) {
                    live.receiver().unsubscribed(&channel);
                    self.leave_channel(live, &channel);
                }
            }
        }
    }

    async fn put_onto(&self, live: &Arc<LiveConnection>, channel: &Channel) {
        // Known before anything can come.
        live.receiver().subscribed(channel);
        let by = PresenceAction::Join;
        if self.join(live, None, channel, live.receiver().clone(), by) {
            let interest = Interest::Channel(channel.clone());
            self.subscribe_elsewhere(&interest).await;
        }
    }

    /// Ends a connection: nothing is delivered to it any more, and its receiver is told.
    pub(super) fn end(&self, live: &LiveConnection, why: &EndReason) {
        if live.end() {
            self.leave_everything(live);
            live.receiver().end(why);
        }
    }

    /// Ends a connection whose rights have ended, or were taken back.
    pub(super) fn check_live(&self, live: &LiveConnection) {
        if live.has_lost_rights() {
            self.end(live, &EndReason::Expired);
        } else if live
            .identities()
            .iter()
            .any(|identity| self.revoked.contains(identity))
        {
            self.end(live, &EndReason::Revoked);
        }
    }

    /// Ends all connections of this node whose rights were taken back.
    pub(crate) async fn check_all_live(&self) {
        for part in self.live.shards() {
            for live in part {
                self.check_live(&live);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Ends the presence of clients without a connection that rests on what was taken back.
    pub(crate) async fn end_revoked_leases(&self) {
        let is_over = |identity: &Identity| self.revoked.contains(identity);
        for () in self.presence.end_leases(is_over) {
            tokio::task::yield_now().await;
        }
    }

    /// Ends connections when their rights end, until the server stops: one task for all of them.
    pub(crate) async fn watch_rights(self: Arc<Self>) {
        let stop = self.runtime().stopping();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = stop.cancelled() => return,
            }
            for live in self.live.take_ended(SystemTime::now()) {
                self.check_live(&live);
                self.live.schedule(&live);
            }
        }
    }

    /// Begins to do what other nodes ask for; what is returned has to be run, until the server stops.
    pub(crate) async fn hear_controls(self: &Arc<Self>) -> impl Future<Output = ()> + use<> {
        let space = Arc::downgrade(self);
        let hear = move |publication: &Publication| {
            let Payload::Json(json) = &publication.payload else {
                return;
            };
            let (Some(space), Ok(message)) = (
                space.upgrade(),
                serde_json::from_str::<ControlMessage>(json.as_str()),
            ) else {
                return;
            };
            let ControlMessage {
                client,
                connection,
                control,
            } = message;
            let client = client
                .and_then(|id| ClientId::new(&id).ok())
                .map(Whom::Client);
            let connection = connection
                .and_then(|id| id.parse().ok())
                .map(Whom::Connection);
            if let Some(whom) = client.or(connection) {
                tokio::spawn(async move { space.do_here(&whom, &control).await });
            }
        };
        let listener = self.listen(control_channel(), hear).await;
        let stopping = self.runtime().stopping();
        async move {
            stopping.cancelled().await;
            drop(listener);
        }
    }
}

fn control_channel() -> Channel {
    Channel::reserved("control")
}
