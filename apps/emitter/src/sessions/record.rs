//! A session as it is written down: all but the messages that wait.

use std::{collections::HashMap, num::NonZeroU16, sync::Arc};

use polywire_core::{ClientId, ConnectionId, Identity, NodeId, Origin, Refusal, space::Attachment};
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::{
    client::Client,
    connect::Will,
    contact::Terms,
    face::Face,
    in_flight::{InFlight, OnItsWay, Window},
    parcel::Parcel,
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

    /// The session of a client that is away, subscribed to what it was.
    pub(crate) async fn restore(
        self,
        id: &str,
        ledger: Option<Ledger>,
        waiting: Vec<(u64, Parcel)>,
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
        let mut in_flight = InFlight::lasting(window, bytes_max, sessions.budget.clone(), ledger);
        let absence = self.away.as_ref().map(|away| away.absence);
        let (on_its_way, will) = self.away.map(|away| (away.on_its_way, away.will)).unzip();
        in_flight.restore(waiting, on_its_way);
        let connection = ConnectionId::next(space.hub().node());
        let encoders = shared.plain(self.version);
        let client = Arc::new(Client::lasting(
            connection, name, terms, encoders, in_flight,
        ));
        // Its client was allowed what it is subscribed to, and is looked at again when it comes.
        let origin = Origin::new(NAME, Identity::anybody());
        let mut attachment = space.attach(origin, client.clone());
        for (filter, wish) in self.filters {
            let Ok(filter) = Filter::parse(&filter) else {
                continue;
            };
            client.subscribe(Subscription {
                filter: filter.clone(),
                wish,
            });
            if let Err(refusal) = join(&mut attachment, filter).await {
                tracing::debug!(client = id, %refusal, "a subscription was not restored");
            }
        }
        let mut groups = Vec::new();
        for (group, filter, wish) in self.shares {
            let Ok(filter) = Filter::parse(&filter) else {
                continue;
            };
            let member = Member {
                client: Arc::downgrade(&client),
                wish,
            };
            let shares = &shared.emitter.groups;
            let joined = shares.join(space, &group, &filter, client.id(), member);
            if joined.await.is_ok() {
                groups.push(Share {
                    group,
                    filter,
                    wish,
                });
            }
        }
        Some(Box::new(Session {
            version: self.version,
            id: id.into(),
            client,
            face: Face::Plain,
            attachment,
            will: will.flatten(),
            received: self.received.into_iter().collect(),
            aliases: HashMap::new(),
            groups,
            expiry_secs: self.expiry_secs,
            // One that was connected when the server ended is away since it begins again.
            absence: Some(absence.unwrap_or_else(|| Absence::from_now(self.expiry_secs))),
            is_written: true,
        }))
    }
}

async fn join(attachment: &mut Attachment, filter: Filter) -> Result<(), Refusal> {
    match filter {
        Filter::Channel(channel) => attachment.subscribe(channel).await?,
        Filter::Pattern(written, pattern) => attachment.subscribe_pattern(written, pattern).await?,
    };
    Ok(())
}
