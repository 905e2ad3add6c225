//! Connections of this node as a program sees them.

use std::net::SocketAddr;

use super::{Space, Whom, live::LiveConnection};
use crate::{
    channel::Channel,
    identity::{ClientId, ConnectionId},
    pattern::Pattern,
};

/// A connection, as it was when it was asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionView {
    /// Its id, to [act](Whom::Connection) on it.
    pub connection: ConnectionId,
    /// The client, where it has an id.
    pub client: Option<ClientId>,
    /// The address that it comes from, where that is known.
    pub peer: Option<SocketAddr>,
    /// What it has joined, by name.
    pub channels: Vec<Channel>,
    /// Wildcards that it has joined.
    pub patterns: Vec<Pattern>,
}

impl Space {
    /// The connections of this node that are meant; those whose rights have ended are not among them. Polls of PubNub
    /// are there while they are held and their rights can end, on no channel: they say with each request what they are
    /// on.
    pub fn connections(&self, whom: &Whom) -> Vec<ConnectionView> {
        let mut found = Vec::new();
        let mut look = |live: &LiveConnection| found.extend(view(live));
        match whom {
            Whom::Connection(connection) => {
                if let Some(live) = self.live.get(*connection) {
                    look(&live);
                }
            }
            Whom::Client(client) => {
                let all = self.live.shards().flatten();
                all.filter(|live| live.is_of(client))
                    .for_each(|live| look(&live));
            }
        }
        found
    }
}

fn view(live: &LiveConnection) -> Option<ConnectionView> {
    let client = live.receiver().client();
    live.look(|joined| {
        let names = joined.channels.iter().map(|joined| joined.channel.clone());
        let patterns = joined.patterns.iter().map(|(pattern, _)| pattern.clone());
        let own = joined.client.as_ref().map(|joined| joined.client.clone());
        (!joined.has_ended).then(|| ConnectionView {
            connection: live.receiver().connection(),
            client: own.or(client),
            peer: live.peer(),
            channels: names.collect(),
            patterns: patterns.collect(),
        })
    })
}
