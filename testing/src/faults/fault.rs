//! What breaks.

use std::time::Duration;

use super::{
    link::Weather,
    scene::{Cast, Scene},
};
use crate::Redis;

/// Something that breaks, and is mended.
#[derive(Debug)]
pub struct Fault {
    /// What it is.
    pub name: &'static str,
    /// It takes long.
    pub is_slow: bool,
    /// Nodes cannot hear of each other before it is mended.
    pub(super) parts: bool,
    pub(super) cast: Cast,
    /// Breaks it, and mends it.
    pub(super) act: fn(&mut Scene),
}

/// Two nodes that keep nothing, on a Redis that keeps nothing.
const PLAIN: Cast = Cast {
    nodes: 2,
    keeps: false,
    synced: false,
};

/// Two nodes that keep messages in a Redis that syncs every write.
const KEPT: Cast = Cast {
    nodes: 2,
    keeps: true,
    synced: true,
};

const fn quick(name: &'static str, cast: Cast, act: fn(&mut Scene)) -> Fault {
    Fault {
        name,
        is_slow: false,
        parts: true,
        cast,
        act,
    }
}

/// One in which Redis can be reached all the time.
const fn mild(name: &'static str, cast: Cast, act: fn(&mut Scene)) -> Fault {
    Fault {
        parts: false,
        ..quick(name, cast, act)
    }
}

const fn slow(name: &'static str, cast: Cast, act: fn(&mut Scene)) -> Fault {
    Fault {
        is_slow: true,
        ..quick(name, cast, act)
    }
}

/// A link on which nothing is wrong.
const GOOD: Weather = Weather {
    stalls: false,
    refuses: false,
    drops_one_of: 0,
    delay: Duration::ZERO,
};

/// All faults.
pub const FAULTS: &[Fault] = &[
    mild("nothing", PLAIN, |scene| scene.wait(secs(3))),
    mild("nothing, kept", KEPT, |scene| scene.wait(secs(3))),
    quick("killed, keeps nothing", PLAIN, |scene| {
        scene.redis.stop();
        scene.wait(secs(1));
        scene.redis.restart();
    }),
    quick("killed, synced", KEPT, |scene| {
        scene.redis.stop();
        scene.wait(secs(1));
        scene.redis.restart();
    }),
    quick("killed, comes back empty", KEPT, |scene| {
        scene.redis.empty();
        scene.wait(secs(1));
        scene.redis.restart();
    }),
    quick("hangs 5 s", PLAIN, |scene| hang(scene, 5)),
    slow("hangs 20 s", PLAIN, |scene| hang(scene, 20)),
    slow("hangs 60 s", PLAIN, |scene| hang(scene, 60)),
    slow("hangs 20 s, kept", KEPT, |scene| hang(scene, 20)),
    mild("a deaf link", PLAIN, |scene| drop_of_first(scene, 1)),
    mild("1 of 100 messages dropped", PLAIN, |scene| {
        drop_of_all(scene, 100);
    }),
    mild("1 of 1,000 messages dropped", PLAIN, |scene| {
        drop_of_all(scene, 1000);
    }),
    mild("1 of 100 messages dropped, kept", KEPT, |scene| {
        drop_of_all(scene, 100);
    }),
    mild("links cut", PLAIN, cut),
    mild("links cut, kept", KEPT, cut),
    quick("one link cut and refused 3 s", PLAIN, |scene| {
        let refuses = Weather {
            refuses: true,
            ..GOOD
        };
        scene.links[0].set(refuses);
        scene.links[0].cut();
        scene.wait(secs(3));
        scene.links[0].set(GOOD);
    }),
    quick("becomes a replica", PLAIN, |scene| {
        let other = Redis::start();
        let port = other.port().to_string();
        scene.redis.command(&["replicaof", "127.0.0.1", &port]);
        scene.wait(secs(4));
        scene.redis.command(&["replicaof", "no", "one"]);
    }),
    mild("out of memory", PLAIN, |scene| {
        scene.redis.command(&["config", "set", "maxmemory", "1mb"]);
        scene.wait(secs(3));
        scene.redis.command(&["config", "set", "maxmemory", "0"]);
    }),
    mild("tiny output buffers", PLAIN, |scene| {
        let set = |limit: &str| {
            let limit = format!("pubsub {limit} {limit} 1 normal {limit} {limit} 1");
            let redis = &scene.redis;
            redis.command(&["config", "set", "client-output-buffer-limit", &limit]);
        };
        scene.traffic.pad(20_000);
        set("16384");
        scene.wait(secs(3));
        set("0");
        scene.traffic.pad(0);
    }),
    slow("a node cut off 30 s", THREE, |scene| {
        scene.links[0].set(Weather {
            stalls: true,
            ..GOOD
        });
        scene.wait(secs(30));
        scene.links[0].set(GOOD);
    }),
    quick("a node cut off 4 s", THREE, |scene| {
        scene.links[0].set(Weather {
            stalls: true,
            ..GOOD
        });
        scene.wait(secs(4));
        scene.links[0].set(GOOD);
    }),
    mild("a node killed", PLAIN, kill_node),
    mild("a node killed, kept", KEPT, kill_node),
    mild("slow links", PLAIN, |scene| {
        scene.weather(Weather {
            delay: Duration::from_millis(250),
            ..GOOD
        });
        scene.wait(secs(6));
        scene.weather(GOOD);
    }),
];

const THREE: Cast = Cast { nodes: 3, ..PLAIN };

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn hang(scene: &mut Scene, time: u64) {
    scene.redis.pause();
    scene.wait(secs(time));
    scene.redis.resume();
}

/// One node hears only all but one of so many messages.
fn drop_of_first(scene: &mut Scene, one_of: u64) {
    scene.links[0].set(Weather {
        drops_one_of: one_of,
        ..GOOD
    });
    scene.wait(secs(6));
    scene.links[0].set(GOOD);
}

fn drop_of_all(scene: &mut Scene, one_of: u64) {
    scene.weather(Weather {
        drops_one_of: one_of,
        ..GOOD
    });
    scene.wait(secs(6));
    scene.weather(GOOD);
}

fn cut(scene: &mut Scene) {
    for _ in 0..3 {
        scene.links.iter().for_each(|link| link.cut());
        scene.wait(Duration::from_millis(700));
    }
}

fn kill_node(scene: &mut Scene) {
    scene.nodes[0].kill();
    scene.wait(secs(1));
    scene.nodes[0].restart();
    scene.nodes[0].wait_for_redis();
}
