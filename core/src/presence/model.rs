//! The table against a naive model: nodes whose clients come and go in any way, and whose words to each other are late.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{ChangeKind, Changes, Coming, Lease, MemberOwner, Presence, PresenceChange};
use crate::{
    Channel, ClientId, JsonText, NodeId, PresenceAction, counters::Counters, limits::Limits,
};

const NODES: usize = 3;
const CHANNELS: usize = 2;
const CLIENTS: usize = 2;

/// A client on a channel, by their numbers.
type Member = (usize, usize);

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    Connect(usize, Member),
    Disconnect(usize, Member),
    /// A sign of life, held or not.
    Touch(usize, Member, bool),
    /// A request that was held is over.
    Release(usize, Member),
    /// A client says that it leaves.
    Leave(usize, Member),
    State(usize, Member, u8),
    /// The time of all signs of life of a node is over.
    Expire(usize),
    /// The next words of one node reach another.
    Deliver(usize, usize),
    /// All words reach all nodes.
    Exchange,
}

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let node = 0..NODES;
    let member = (0..CHANNELS, 0..CLIENTS);
    let step = prop_oneof![
        4 => (node.clone(), member.clone()).prop_map(|(n, m)| Step::Connect(n, m)),
        4 => (node.clone(), member.clone()).prop_map(|(n, m)| Step::Disconnect(n, m)),
        4 => (node.clone(), member.clone(), any::<bool>()).prop_map(|(n, m, h)| Step::Touch(n, m, h)),
        2 => (node.clone(), member.clone()).prop_map(|(n, m)| Step::Release(n, m)),
        2 => (node.clone(), member.clone()).prop_map(|(n, m)| Step::Leave(n, m)),
        1 => (node.clone(), member, any::<u8>()).prop_map(|(n, m, s)| Step::State(n, m, s)),
        1 => node.clone().prop_map(Step::Expire),
        12 => (node.clone(), node).prop_map(|(from, to)| Step::Deliver(from, to)),
        1 => Just(Step::Exchange),
    ];
    prop::collection::vec(step, 1..length)
}

/// How a client is on a node, as anybody would write it down.
#[derive(Debug, Default, Clone)]
struct Naive {
    connections: usize,
    held: usize,
    lives: bool,
}

impl Naive {
    fn is_here(&self) -> bool {
        self.connections > 0 || self.held > 0 || self.lives
    }

    fn end_signs(&mut self) {
        self.held = 0;
        self.lives = false;
    }
}

struct Node {
    table: Presence,
    changes: Arc<Changes>,
    naive: HashMap<Member, Naive>,
    /// Words on their way to each other node.
    words: [VecDeque<PresenceChange>; NODES],
    is_lost: bool,
}

/// The nodes, and what their members were told.
struct World {
    nodes: Vec<Node>,
    told: BTreeMap<Member, Vec<PresenceAction>>,
    /// How often a client came to where it was not, and went from where it was.
    moves: BTreeMap<Member, Vec<PresenceAction>>,
    present: BTreeSet<Member>,
    /// Whose comings and goings nodes had not heard of where it came or went.
    overtaken: BTreeSet<Member>,
}

fn names((channel, client): Member) -> (Channel, ClientId) {
    let channel = Channel::new(&format!("channel-{channel}")).unwrap();
    let client = ClientId::new(&format!("client-{client}")).unwrap();
    (channel, client)
}

fn members() -> impl Iterator<Item = Member> {
    (0..CHANNELS).flat_map(|channel| (0..CLIENTS).map(move |client| (channel, client)))
}

fn member_of(change: &PresenceChange) -> Member {
    let place = change.membership().unwrap();
    members().find(|member| names(*member) == place).unwrap()
}

fn ends_signs(change: &PresenceChange) -> bool {
    match change.what {
        ChangeKind::Left => true,
        ChangeKind::Gone(gone) => gone.has_left,
        _ => false,
    }
}

impl World {
    fn new() -> Self {
        let node = |number: usize| {
            let changes = Arc::new(Changes::default());
            let (id, limits) = (NodeId(number as u64), Limits::default());
            let counters = Counters::default();
            Node {
                table: Presence::new(id, &limits, &counters, Some(changes.clone())),
                changes,
                naive: HashMap::new(),
                words: Default::default(),
                is_lost: false,
            }
        };
        Self {
            nodes: (0..NODES).map(node).collect(),
            told: BTreeMap::new(),
            moves: BTreeMap::new(),
            present: BTreeSet::new(),
            overtaken: BTreeSet::new(),
        }
    }

    fn do_step(&mut self, step: &Step) {
        self.note_overtaken(step);
        let now = Instant::now();
        let owner = MemberOwner::default();
        match *step {
            Step::Connect(node, member) => {
                let (channel, client) = names(member);
                let node = &mut self.nodes[node];
                node.table.join(&channel, &client, &owner);
                node.naive.entry(member).or_default().connections += 1;
            }
            Step::Disconnect(node, member) => {
                let (channel, client) = names(member);
                let node = &mut self.nodes[node];
                let naive = node.naive.entry(member).or_default();
                if naive.connections > 0 {
                    naive.connections -= 1;
                    node.table.leave(&channel, &client);
                }
            }
            Step::Touch(node, member, is_held) => {
                let (channel, client) = names(member);
                let node = &mut self.nodes[node];
                let lease = Lease {
                    is_held,
                    ..Lease::of(Duration::from_secs(300))
                };
                node.table
                    .touch(&channel, &client, lease, Coming::of(&owner));
                let naive = node.naive.entry(member).or_default();
                naive.lives = true;
                naive.held += usize::from(is_held);
            }
            Step::Release(node, member) => {
                let (channel, client) = names(member);
                let node = &mut self.nodes[node];
                let naive = node.naive.entry(member).or_default();
                if naive.held > 0 {
                    naive.held -= 1;
                    naive.lives = true;
                }
                // Also one that has left meanwhile.
                node.table.release(&channel, &client);
            }
            Step::Leave(node, member) => {
                let (channel, client) = names(member);
                let node = &mut self.nodes[node];
                node.table.end_signs(&channel, &client);
                node.naive.entry(member).or_default().end_signs();
            }
            Step::State(node, member, state) => {
                let (channel, client) = names(member);
                let state = JsonText::of(&state).ok();
                self.nodes[node].table.set_state(&channel, &client, state);
            }
            Step::Expire(node) => {
                let node = &mut self.nodes[node];
                node.table.expire(now + Duration::from_secs(1000));
                node.naive
                    .values_mut()
                    .for_each(|naive| naive.lives = false);
            }
            Step::Deliver(from, to) => self.deliver(from, to),
            Step::Exchange => self.exchange(),
        }
        self.settle();
    }

    /// Notes who comes or goes on a node that words about it are on their way to, or that is to hear that it left.
    fn note_overtaken(&mut self, step: &Step) {
        let (node, acting): (usize, Vec<Member>) = match *step {
            Step::Connect(node, member)
            | Step::Disconnect(node, member)
            | Step::Touch(node, member, _)
            | Step::Release(node, member)
            | Step::Leave(node, member)
            | Step::State(node, member, _) => (node, vec![member]),
            Step::Expire(node) => (node, members().collect()),
            Step::Deliver(..) | Step::Exchange => return,
        };
        for from in &self.nodes {
            for (to, words) in from.words.iter().enumerate() {
                let matters = |change: &&PresenceChange| to == node || ends_signs(change);
                for change in words.iter().filter(matters) {
                    let member = member_of(change);
                    self.overtaken
                        .extend(acting.contains(&member).then_some(member));
                }
            }
        }
    }

    /// What follows at once from what happened: words are on their way, and members are told.
    fn settle(&mut self) {
        for from in 0..NODES {
            let said = self.nodes[from].changes.take();
            for change in said.parts.into_iter().flatten() {
                for to in (0..NODES).filter(|to| *to != from) {
                    self.nodes[from].words[to].push_back(change.clone());
                }
            }
            let (told, _) = self.nodes[from].table.notices().take(usize::MAX);
            for notice in told {
                let is_named = |member: &Member| {
                    let (channel, client) = names(*member);
                    notice.channel == channel && notice.event.client.as_ref() == Some(&client)
                };
                let member = members().find(is_named).unwrap();
                let action = match notice.event.action {
                    PresenceAction::StateChange => continue,
                    PresenceAction::Timeout => PresenceAction::Leave,
                    action => action,
                };
                self.told.entry(member).or_default().push(action);
            }
        }
        let now = self.present();
        for member in members() {
            let action = match (self.present.contains(&member), now.contains(&member)) {
                (false, true) => PresenceAction::Join,
                (true, false) => PresenceAction::Leave,
                _ => continue,
            };
            self.moves.entry(member).or_default().push(action);
        }
        self.present = now;
    }

    fn deliver(&mut self, from: usize, to: usize) {
        if from == to || self.nodes[to].is_lost {
            return;
        }
        let Some(change) = self.nodes[from].words[to].pop_front() else {
            return;
        };
        let tells_for_lost = self.tells_for_lost(to);
        let node = &mut self.nodes[to];
        // The model ends what the word ends.
        if ends_signs(&change) {
            node.naive
                .entry(member_of(&change))
                .or_default()
                .end_signs();
        }
        node.table
            .hear(NodeId(from as u64), &change, tells_for_lost);
    }

    fn tells_for_lost(&self, node: usize) -> bool {
        self.nodes[..node].iter().all(|before| before.is_lost)
    }

    fn exchange(&mut self) {
        loop {
            self.settle();
            let pairs = (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to)));
            let waiting: Vec<_> = pairs
                .filter(|(from, to)| {
                    !self.nodes[*to].is_lost && !self.nodes[*from].words[*to].is_empty()
                })
                .collect();
            if waiting.is_empty() {
                return;
            }
            for (from, to) in waiting {
                self.deliver(from, to);
                self.settle();
            }
        }
    }

    /// A node is killed: what it has said arrives, and sooner or later the others forget it.
    fn lose(&mut self, lost: usize) {
        // Until all have forgotten it some wait for what it can tell no more.
        self.overtaken = members().collect();
        self.nodes[lost].is_lost = true;
        self.nodes[lost].naive.clear();
    }

    fn forget(&mut self, node: usize, lost: usize) {
        if self.nodes[node].is_lost || node == lost {
            return;
        }
        while !self.nodes[lost].words[node].is_empty() {
            self.deliver(lost, node);
            self.settle();
        }
        let tells_for_lost = self.tells_for_lost(node);
        let table = &self.nodes[node].table;
        let id = NodeId(lost as u64);
        table.forget(id, table.memberships_of(id), tells_for_lost);
        self.settle();
    }

    /// Where somebody is, by what the nodes know of their own clients.
    fn present(&self) -> BTreeSet<Member> {
        let nodes = self.nodes.iter();
        let here = nodes.flat_map(|node| node.naive.iter().filter(|(_, naive)| naive.is_here()));
        here.map(|(member, _)| *member).collect()
    }

    fn check_tables(&self) {
        let expected = self.present();
        for node in self.nodes.iter().filter(|node| !node.is_lost) {
            let mut seen = BTreeSet::new();
            for member in members() {
                let (channel, client) = names(member);
                let present = node.table.members(&channel);
                assert_eq!(present.len(), node.table.occupancy(&channel));
                if present.iter().any(|present| present.client == client) {
                    seen.insert(member);
                }
            }
            assert_eq!(seen, expected);
        }
    }

    /// Nobody is told as there who is not, and nobody more often as gone than as come. Where nothing was overtaken each
    /// is told in turn, and the last is true.
    fn check_told(&self) {
        for member in members() {
            let told = self.told.get(&member).map_or(&[][..], Vec::as_slice);
            let is_present = self.present.contains(&member);
            let last = told.last().copied();
            let mut balance = 0;
            for action in told {
                balance += if *action == PresenceAction::Join {
                    1
                } else {
                    -1
                };
                assert!(balance >= 0, "more went than came: {told:?}");
                assert!(balance < 2 || self.overtaken.contains(&member), "{told:?}");
            }
            if !is_present || !self.overtaken.contains(&member) {
                assert_eq!(last == Some(PresenceAction::Join), is_present, "{told:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Where each node hears of a step before the next one, all is told once, and in its order.
    #[test]
    fn what_all_nodes_hear_of_is_told_exactly(steps in steps(60)) {
        let mut world = World::new();
        for step in &steps {
            world.do_step(step);
            world.exchange();
            world.check_tables();
            assert_eq!(world.told, world.moves);
        }
    }

    /// Where words are late the tables are the same in the end, and members know who is there.
    #[test]
    fn late_words_change_nothing_in_the_end(steps in steps(120)) {
        let mut world = World::new();
        for step in &steps {
            world.do_step(step);
        }
        world.exchange();
        world.check_tables();
        world.check_told();
    }

    /// A node that is killed takes its clients with it, once.
    #[test]
    fn a_lost_node_takes_its_clients_with_it(
        before in steps(60),
        after in steps(20),
        lost in 0..NODES,
    ) {
        let mut world = World::new();
        for step in &before {
            world.do_step(step);
            world.exchange();
        }
        world.lose(lost);
        let others: Vec<_> = (0..NODES).filter(|node| *node != lost).collect();
        world.settle();
        // Some forget it before the others do, and go on.
        world.forget(others[0], lost);
        for step in &after {
            let node = match step {
                Step::Connect(node, _)
                | Step::Disconnect(node, _)
                | Step::Touch(node, ..)
                | Step::Release(node, _)
                | Step::Leave(node, _)
                | Step::State(node, ..)
                | Step::Expire(node) => *node,
                Step::Deliver(..) | Step::Exchange => continue,
            };
            if node != lost {
                world.do_step(step);
                world.exchange();
            }
        }
        world.forget(others[1], lost);
        world.exchange();
        world.check_tables();
        world.check_told();
    }
}
