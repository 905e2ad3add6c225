//! Connection index: the connections of this node by hub and id, by user, and by group.
//!
//! A send or a call of a service looks up exactly those whom it means, in the order of their ids. One lock is around
//! all of it, held for the look-up or the change and never while anything waits. The groups of a connection change
//! under that lock too, so that the index agrees with them. What becomes empty is removed.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{connection::Connection, names::HubName, recipients::Recipients};

/// The connections of this node.
#[derive(Default)]
pub(crate) struct ConnectionIndex {
    hubs: Mutex<HashMap<HubName, Hub>>,
}

/// The connections of one hub.
#[derive(Default)]
struct Hub {
    all: BTreeSet<ById>,
    users: HashMap<String, BTreeSet<ById>>,
    groups: HashMap<String, BTreeSet<ById>>,
}

impl Hub {
    /// True for a connection that is here: one that has changed nodes and come back is another one of the same id.
    fn has(&self, connection: &Connection) -> bool {
        let found = self.all.get(connection.id.as_str());
        found.is_some_and(|ById(found)| std::ptr::eq(&**found, connection))
    }
}

/// A connection, known by its id.
#[derive(Clone)]
struct ById(Arc<Connection>);

impl ConnectionIndex {
    /// Adds a connection, with the groups that it is in already.
    pub(crate) fn insert(&self, connection: &Arc<Connection>) {
        let mut hubs = self.hubs.lock();
        let hub = hubs.entry(connection.hub.clone()).or_default();
        hub.all.insert(ById(connection.clone()));
        if let Some(user) = &connection.user {
            add(&mut hub.users, user, connection);
        }
        for group in connection.groups.lock().iter() {
            add(&mut hub.groups, group, connection);
        }
    }

    /// Removes a connection; false when it is not here.
    pub(crate) fn remove(&self, connection: &Connection) -> bool {
        let mut hubs = self.hubs.lock();
        let Some(hub) = hubs.get_mut(&connection.hub) else {
            return false;
        };
        if !hub.has(connection) {
            return false;
        }
        hub.all.remove(connection.id.as_str());
        if let Some(user) = &connection.user {
            take(&mut hub.users, user, connection);
        }
        for group in connection.groups.lock().iter() {
            take(&mut hub.groups, group, connection);
        }
        if hub.all.is_empty() {
            hubs.remove(&connection.hub);
        }
        true
    }

    /// Notes that a connection is in a group.
    pub(crate) fn join(&self, connection: &Connection, group: &str) {
        let mut hubs = self.hubs.lock();
        connection.groups.lock().insert(group.to_owned());
        if let Some(hub) = hubs
            .get_mut(&connection.hub)
            .filter(|hub| hub.has(connection))
            && let Some(ById(connection)) = hub.all.get(connection.id.as_str())
        {
            add(&mut hub.groups, group, connection);
        }
    }

    /// Notes that a connection is not in a group any more.
    pub(crate) fn leave(&self, connection: &Connection, group: &str) {
        let mut hubs = self.hubs.lock();
        connection.groups.lock().remove(group);
        if let Some(hub) = hubs
            .get_mut(&connection.hub)
            .filter(|hub| hub.has(connection))
        {
            take(&mut hub.groups, group, connection);
        }
    }

    /// A connection of a hub.
    pub(crate) fn find(&self, hub: &HubName, id: &str) -> Option<Arc<Connection>> {
        let hubs = self.hubs.lock();
        hubs.get(hub)?.all.get(id).map(|found| found.0.clone())
    }

    /// The connections of a hub that are meant, by id.
    pub(crate) fn select(&self, hub: &HubName, recipients: &Recipients) -> Vec<Arc<Connection>> {
        let hubs = self.hubs.lock();
        let Some(hub) = hubs.get(hub) else {
            return Vec::new();
        };
        let found = match recipients {
            Recipients::All => Some(&hub.all),
            Recipients::User(user) => hub.users.get(user),
            Recipients::Group(group) => hub.groups.get(group),
            Recipients::Connection(id) => {
                let found = hub.all.get(id.as_str());
                return found.map(|found| found.0.clone()).into_iter().collect();
            }
        };
        let found = found.into_iter().flatten();
        found.map(|connection| connection.0.clone()).collect()
    }
}

fn add(sets: &mut HashMap<String, BTreeSet<ById>>, name: &str, connection: &Arc<Connection>) {
    let connection = ById(connection.clone());
    match sets.get_mut(name) {
        Some(set) => {
            set.insert(connection);
        }
        None => {
            sets.insert(name.to_owned(), BTreeSet::from([connection]));
        }
    }
}

fn take(sets: &mut HashMap<String, BTreeSet<ById>>, name: &str, connection: &Connection) {
    if let Some(set) = sets.get_mut(name) {
        set.remove(connection.id.as_str());
        if set.is_empty() {
            sets.remove(name);
        }
    }
}

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Ord for ById {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use polywire_core::{ConnectionId, Identity, NodeId, Origin};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        connection::{Groups, NewConnection},
        encoder::Formats,
        names::NAME,
        protocol::Protocol,
    };

    struct Nowhere;

    impl Groups for Nowhere {
        fn joined(&self, _: &Connection, _: &str) {}
        fn left(&self, _: &Connection, _: &str) {}
    }

    fn connection(id: String, hub: &str, user: Option<String>) -> Arc<Connection> {
        Connection::new(NewConnection {
            id,
            hub: HubName::new(hub, "default").unwrap(),
            user,
            protocol: Protocol::Simple {
                send_to: None,
                subprotocol: None,
            },
            connection: ConnectionId::next(NodeId(1)),
            reconnection_token: String::new(),
            origin: Origin::new(NAME, Identity::default()),
            rights: Arc::default(),
            state: None,
            ack_delay: None,
            hold: None,
            groups_kept: Weak::<Nowhere>::new(),
            formats: Arc::new(Formats::of_server()),
        })
    }

    fn ids(connections: &[Arc<Connection>]) -> Vec<&str> {
        connections.iter().map(|c| c.id.as_str()).collect()
    }

    fn user(number: usize) -> Option<String> {
        (number > 0).then(|| format!("user {number}"))
    }

    proptest! {
        /// Whatever comes, goes, joins and leaves: what is selected is what a walk over all connections finds, and
        /// nothing is left of those who went.
        #[test]
        fn agrees_with_a_walk(
            who in prop::collection::vec((0..3usize, 0..4usize), 1..24),
            steps in prop::collection::vec((0..5u8, any::<prop::sample::Index>(), 0..4usize), 0..200),
        ) {
            let hubs = ["default", "chat", "news"];
            let index = ConnectionIndex::default();
            let all: Vec<_> = who.iter().enumerate().map(|(number, (hub, name))| {
                connection(format!("id {number:02}"), hubs[*hub], user(*name))
            }).collect();
            let mut present = vec![false; all.len()];
            for (step, which, group) in steps {
                let which = which.index(all.len());
                let (connection, group) = (&all[which], format!("group {group}"));
                match step {
                    0 => {
                        index.insert(connection);
                        present[which] = true;
                    }
                    1 => {
                        prop_assert_eq!(index.remove(connection), present[which]);
                        present[which] = false;
                    }
                    2 | 3 => index.join(connection, &group),
                    _ => index.leave(connection, &group),
                }
                let walk = |hub: &HubName, is_meant: &dyn Fn(&Connection) -> bool| -> Vec<&str> {
                    let here = all.iter().zip(&present).filter(|(c, here)| **here && c.hub == *hub);
                    here.filter(|(c, _)| is_meant(c)).map(|(c, _)| c.id.as_str()).collect()
                };
                for hub in hubs.map(|hub| HubName::new(hub, "default").unwrap()) {
                    let found = index.select(&hub, &Recipients::All);
                    prop_assert_eq!(ids(&found), walk(&hub, &|_| true));
                    for number in 0..4 {
                        let group = format!("group {number}");
                        let found = index.select(&hub, &Recipients::Group(group.clone()));
                        prop_assert_eq!(ids(&found), walk(&hub, &|c| c.groups.lock().contains(&group)));
                        let name = format!("user {number}");
                        let found = index.select(&hub, &Recipients::User(name.clone()));
                        prop_assert_eq!(ids(&found), walk(&hub, &|c| c.user.as_ref() == Some(&name)));
                    }
                    for connection in &all {
                        let found = index.select(&hub, &Recipients::Connection(connection.id.clone()));
                        prop_assert_eq!(ids(&found), walk(&hub, &|c| c.id == connection.id));
                        prop_assert_eq!(index.find(&hub, &connection.id).is_some(), found.len() == 1);
                    }
                }
            }
            for connection in &all {
                index.remove(connection);
            }
            prop_assert!(index.hubs.lock().is_empty());
        }
    }
}
