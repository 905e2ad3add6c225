//! A session as it is written down: all but the messages that wait.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU16,
    sync::Arc,
};

use polywire_core::{ClientId, ConnectionId, Identity, JsonText, NodeId, Origin};
use serde::{Deserialize, Serialize};

use super::{Kept, Ledger};
use crate::{
    client::Client,
    connect::Will,
    contact::Terms,
    face::Face,
    in_flight::{InFlight, OnItsWay, Window},
    session::{Absence, Session, Share},
    share::Member,
    shared::{IN_FLIGHT_MAX, NAME, Shared},
    subscription::{Filter, Subscription, Wish},
    version::Version,
};

/// A session, without the messages that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The node that has it.
    pub(crate) node: u64,
    version: Version,
    pub(crate) expiry_secs: u32,
    filters: Vec<(String, Wish)>,
    /// With the name of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shares: Vec<(String, String, Wish)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    received: Vec<NonZeroU16>,
    /// None while the client is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    away: Option<Away>,
}

/// What is known of a client that is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Away {
    absence: Absence,
    on_its_way: OnItsWay,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    will: Option<Will>,
}

impl Record {
    /// Reads what was written down.
    pub(super) fn read(text: &JsonText) -> Option<Self> {
        serde_json::from_str(text.as_str()).ok()
    }

    pub(crate) fn of(session: &Session, node: NodeId) -> Self {
        let filters = session.client.subscriptions().into_iter();
        let shares = session.groups.iter();
        let away = session.absence.map(|absence| Away {
            absence,
            on_its_way: session.client.on_its_way(),
            will: session.will.clone(),
        });
        Self {
            node: node.0,
            version: session.version,
            expiry_secs: session.expiry_secs,
            filters: filters
                .map(|held| (held.filter.written().to_string(), held.wish))
                .collect(),
            shares: shares
                .map(|share| {
                    let filter = share.filter.written().to_string();
                    (share.group.clone(), filter, share.wish)
                })
                .collect(),
            // While it is connected this changes with each message.
            received: match &away {
                Some(_) => session.received.iter().copied().collect(),
                None => Vec::new(),
            },
            away,
        }
    }

    /// The session of a client that is away, subscribed to what it was. What comes is held until it is
    /// [complete](Self::complete).
    pub(crate) async fn restore(
        &self,
        id: &str,
        ledger: Option<Ledger>,
        shared: &Shared,
    ) -> Option<Box<Session>> {
        let (space, sessions) = (&shared.space, &shared.sessions);
        let name = ClientId::new(id).ok()?;
        let terms = Terms {
            version: self.version,
            packet_bytes_max: None,
        };
        let window = Window {
            version: self.version,
            messages_max: usize::from(IN_FLIGHT_MAX),
            packet_bytes_max: usize::MAX,
        };
        let bytes_max = space.limits().outbound_bytes_max;
        let in_flight = InFlight::lasting(window, bytes_max, sessions.budget.clone(), ledger);
        let connection = ConnectionId::next(space.hub().node());
        let encoders = shared.plain(self.version);
        let client = Client::lasting(connection, name, terms, encoders, in_flight);
        let client = Arc::new(client);
        client.hold();
        // Its client was allowed what it is subscribed to, and is looked at again when it comes.
        let origin = Origin::new(NAME, Identity::anybody());
        let mut attachment = space.attach(origin, client.clone());
        for (filter, wish) in &self.filters {
            let Ok(filter) = Filter::parse(filter) else {
                continue;
            };
            client.subscribe(Subscription {
                filter: filter.clone(),
                wish: *wish,
            });
            if let Err(refusal) = filter.subscribe(&mut attachment).await {
                tracing::debug!(client = id, %refusal, "a subscription was not restored");
            }
        }
        Some(Box::new(Session {
            version: self.version,
            id: id.into(),
            client,
            face: Face::Plain,
            attachment,
            will: None,
            received: HashSet::new(),
            aliases: HashMap::new(),
            groups: Vec::new(),
            expiry_secs: self.expiry_secs,
            absence: None,
            is_written: true,
            is_explained: false,
        }))
    }

    /// What is known of a session whose messages that wait were read: nobody else has it any more.
    pub(crate) async fn complete(self, session: &mut Session, kept: Kept, shared: &Shared) {
        session.received = self.received.into_iter().collect();
        // One that was connected when its node ended is away since it begins again.
        session.absence = Some(match &self.away {
            Some(away) => away.absence,
            None => Absence::from_now(self.expiry_secs),
        });
        let (on_its_way, will) = self.away.map(|away| (away.on_its_way, away.will)).unzip();
        session.will = will.flatten();
        let (space, client) = (&shared.space, &session.client);
        client.take_up(kept, on_its_way, space.hub().flusher());
        for (group, filter, wish) in self.shares {
            let Ok(filter) = Filter::parse(&filter) else {
                continue;
            };
            let member = Member {
                client: Arc::downgrade(client),
                wish,
            };
            let shares = &shared.emitter.groups;
            let joined = shares.join(space, &group, &filter, client.id(), member);
            if joined.await.is_ok() {
                session.groups.push(Share {
                    group,
                    filter,
                    wish,
                });
            }
        }
    }
}
