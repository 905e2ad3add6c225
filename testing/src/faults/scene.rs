//! What faults act upon.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use polywire_core::testkit::RedisServerOptions;

use super::{
    clients::Access,
    link::{Link, Weather},
    node::{Node, emitter_key},
    traffic::Traffic,
};
use crate::{
    Redis,
    checker::{Recorder, What, check},
};

/// How long the nodes may take to deliver everything again before the round goes on without.
const BACK_MAX: Duration = Duration::from_secs(20);

/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A Redis, nodes each with a link to it, and clients.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) redis: Redis,
    pub(super) links: Vec<Link>,
    pub(super) nodes: Vec<Node>,
    pub(super) traffic: Traffic,
    pub(super) log: Arc<Recorder>,
}

/// What a scene is made of.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    /// How many nodes there are.
    pub nodes: usize,
    /// Messages are kept in Redis.
    pub keeps: bool,
    /// Redis syncs every write, and has everything again when it is restarted.
    pub synced: bool,
}

impl Scene {
    /// Starts everything, with logs of the nodes in this folder.
    pub(super) fn start(program: &Path, folder: &Path, cast: &Cast, seed: u64) -> Self {
        let redis = Redis::start_with(RedisServerOptions {
            synced: cast.synced,
            ..RedisServerOptions::default()
        });
        let links: Vec<_> = (0..cast.nodes)
            .map(|node| Link::start(redis.port(), seed.wrapping_add(node as u64)))
            .collect();
        let nodes: Vec<_> = links
            .iter()
            .enumerate()
            .map(|(number, link)| {
                let log = folder.join(format!("node-{number}.log"));
                let redis = format!("redis://127.0.0.1:{}", link.port());
                Node::start(program, log, &redis, cast.keeps)
            })
            .collect();
        let access = Access {
            emitter_key: emitter_key(program),
            keeps: cast.keeps,
        };
        let log = Arc::new(Recorder::default());
        let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
        let traffic = Traffic::start(&log, &addresses, &access, seed);
        Self {
            redis,
            links,
            nodes,
            traffic,
            log,
        }
    }

    /// Lets traffic go on for a while.
    pub(super) fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while let left @ 1.. = until.saturating_duration_since(Instant::now()).as_millis() {
            std::thread::park_timeout(Duration::from_millis(left as u64));
        }
    }

    /// Writes down that something breaks now.
    pub(super) fn broken(&self, fault: &str, apart: bool) {
        self.log.add(What::Broken {
            fault: fault.to_owned(),
            apart,
        });
    }

    /// Writes down that everything is there again, and waits until everybody gets something from everybody.
    pub(super) fn mended(&self) {
        self.log.add(What::Mended);
        let until = Instant::now() + BACK_MAX;
        while Instant::now() < until && check(&self.log.events(), BACK_MAX).back_after.is_none() {
            self.wait(LOOK);
        }
    }

    /// Has all links do this.
    pub(super) fn weather(&self, weather: Weather) {
        self.links.iter().for_each(|link| link.set(weather));
    }
}
