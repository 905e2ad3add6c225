//! One run: what happens, drawn from a seed, and the proof.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use polywire_core::{
    Channel, Draft, Interest, Pattern, Payload, Retention, Timetoken, testkit::TestNode,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use super::{
    link::SimulatedLink,
    member::{Member, Published, Truth},
    server::Server,
};
use crate::redis::{Redis, envelope};

/// How long there are faults.
const FAULTS: Duration = Duration::from_secs(5);
/// How long it takes at most until everything is well again.
const AFTERWARDS: Duration = Duration::from_secs(8);
const PUBLISHERS: u64 = 2;
const CHANNELS: usize = 4;

struct Scene {
    server: Arc<Server>,
    nodes: Vec<(Arc<TestNode>, SimulatedLink)>,
    members: Vec<Member>,
    published: Arc<Mutex<BTreeMap<String, Published>>>,
    /// The server may forget something.
    forgets: bool,
}

fn channel(number: usize) -> Channel {
    Channel::new(&format!("room/{number}")).unwrap()
}

fn millis(dice: &mut StdRng, max: u64) -> Duration {
    Duration::from_millis(dice.random_range(0..max))
}

pub(super) async fn run(seed: u64, forgets: bool) -> Result<(), String> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut scene = Scene::start(&mut dice, forgets).await;
    let ends = Arc::new(AtomicBool::new(false));
    let publishing: Vec<_> = (0..scene.nodes.len())
        .flat_map(|node| (0..PUBLISHERS).map(move |number| (node, number)))
        .map(|(node, number)| {
            let dice = StdRng::seed_from_u64(dice.random());
            let publisher = Publisher {
                name: format!("{node}.{number}"),
                number: node,
                node: scene.nodes[node].0.clone(),
                published: scene.published.clone(),
            };
            tokio::spawn(publisher.publish(dice, ends.clone()))
        })
        .collect();
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < FAULTS {
        scene.happen(&mut dice).await;
    }
    scene.mend().await;
    ends.store(true, Ordering::Relaxed);
    for task in publishing {
        task.await.map_err(|error| error.to_string())?;
    }
    scene.publish_last().await;
    sleep(AFTERWARDS).await;
    scene.prove()
}

struct Publisher {
    name: String,
    number: usize,
    node: Arc<TestNode>,
    published: Arc<Mutex<BTreeMap<String, Published>>>,
}

impl Publisher {
    async fn publish(self, mut dice: StdRng, ends: Arc<AtomicBool>) {
        for number in 0.. {
            if ends.load(Ordering::Relaxed) {
                return;
            }
            sleep(millis(&mut dice, 200)).await;
            let text = format!("{}:{number}", self.name);
            let mut draft = Draft::new(
                channel(dice.random_range(0..CHANNELS)),
                Payload::text(text.clone()),
            );
            if dice.random_range(0..4) == 0 {
                draft = draft.retention(Retention::NONE);
            }
            let unknown = Published {
                node: self.number,
                is_acknowledged: false,
            };
            self.published.lock().insert(text.clone(), unknown);
            if self.node.try_publish(draft).await.is_ok()
                && let Some(published) = self.published.lock().get_mut(&text)
            {
                published.is_acknowledged = true;
            }
        }
    }
}

impl Scene {
    async fn start(dice: &mut StdRng, forgets: bool) -> Self {
        let server = Server::new();
        let mut nodes = Vec::new();
        for _ in 0..dice.random_range(2..=3) {
            let link = SimulatedLink::new(server.clone(), dice.random());
            let backend = Redis::simulated(link.clone());
            nodes.push((Arc::new(TestNode::ready(backend).await), link));
        }
        let mut scene = Self {
            server,
            nodes,
            members: Vec::new(),
            published: Arc::default(),
            forgets,
        };
        for _ in 0..4 {
            scene.join(dice).await;
        }
        scene
    }

    async fn join(&mut self, dice: &mut StdRng) {
        let number = dice.random_range(0..self.nodes.len());
        let node = &self.nodes[number].0;
        let interest: Interest = match dice.random_range(0..3) {
            0 => (&Pattern::mqtt("room/#").unwrap()).into(),
            _ => (&channel(dice.random_range(0..CHANNELS))).into(),
        };
        let recorder = node.connection();
        let (joined, answer) = node.try_join(interest.clone(), &recorder).await;
        if answer.is_err() {
            // Nobody says from when on it is owed something.
            return node.leave(&joined);
        }
        let announced = self.server.announced();
        self.members.push(Member {
            node: number,
            interest,
            recorder,
            joined,
            owed_from: announced.last().map_or(Timetoken(0), |last| last.timetoken),
        });
    }

    /// Something happens.
    async fn happen(&mut self, dice: &mut StdRng) {
        sleep(millis(dice, 500)).await;
        let which = dice.random_range(0..self.nodes.len());
        let link = self.nodes[which].1.clone();
        let kinds = if self.forgets { 10 } else { 7 };
        let kind = dice.random_range(0..kinds);
        match kind {
            0 => link.cut(),
            1 => {
                link.lose_one_of(dice.random_range(1..5));
                sleep(millis(dice, 1000)).await;
                link.lose_one_of(0);
            }
            2 => {
                link.stall(true);
                sleep(millis(dice, 4000)).await;
                link.stall(false);
            }
            3 => {
                link.refuse(true);
                link.cut();
                sleep(millis(dice, 2000)).await;
                link.refuse(false);
            }
            4 => self.join(dice).await,
            5 if self.members.len() > 2 => {
                let left = self
                    .members
                    .swap_remove(dice.random_range(0..self.members.len()));
                self.nodes[left.node].0.leave(&left.joined);
            }
            7 => self.server.save(),
            8 => {
                self.server.kill();
                sleep(millis(dice, 1000)).await;
                self.server.start();
            }
            9 => {
                self.server.empty();
                // Nobody notices two of them within a heartbeat.
                sleep(Duration::from_secs(3)).await;
            }
            _ => {}
        }
    }

    /// Everything is well from now on.
    async fn mend(&self) {
        for (node, link) in &self.nodes {
            link.lose_one_of(0);
            link.stall(false);
            link.refuse(false);
            node.until_ready().await;
        }
    }

    /// Publishes once more on each channel: who subscribes by a pattern may not know that there was something on a channel
    /// which it has never heard of, until something follows.
    async fn publish_last(&self) {
        for number in 0..CHANNELS {
            for attempt in 0.. {
                let text = format!("last:{number}:{attempt}");
                let draft = Draft::new(channel(number), Payload::text(text.clone()));
                let unknown = Published {
                    node: 0,
                    is_acknowledged: false,
                };
                self.published.lock().insert(text.clone(), unknown);
                if self.nodes[0].0.try_publish(draft).await.is_ok() {
                    if let Some(published) = self.published.lock().get_mut(&text) {
                        published.is_acknowledged = true;
                    }
                    break;
                }
                self.nodes[0].0.until_ready().await;
            }
        }
    }

    fn prove(self) -> Result<(), String> {
        let announced = self.server.announced();
        let announced = announced.into_iter().map(|one| {
            let announced = envelope::decode(one.message.into()).unwrap();
            (announced.publication, one.at)
        });
        let announced: Vec<_> = announced
            .filter(|(publication, _)| publication.target.channel().is_some())
            .collect();
        let truth = Truth {
            published: self.published.lock().clone(),
            announced,
            forgets: self.forgets,
        };
        for (number, member) in self.members.iter().enumerate() {
            let proven = member.prove(&truth);
            proven.map_err(|error| {
                let Member { node, interest, .. } = member;
                format!("member {number} of node {node} on {interest:?}: {error}")
            })?;
        }
        Ok(())
    }
}
