//! Attacks: clients that try to keep a server from everybody else, and canaries that notice it.

mod canary;
mod fills;
mod flood;
mod floods;
mod frames;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

pub use self::{
    canary::{Canary, Latencies, canaries, measure},
    fills::{fill_history, fills},
    flood::Flood,
    floods::floods,
};

/// What all attackers of one attack share.
#[derive(Debug, Default)]
pub struct Progress {
    is_over: AtomicBool,
    sent: AtomicU64,
}

impl Progress {
    /// True when the attack is over.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Counts bytes that were sent.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// What one attacker does until the attack is over, given the server, its own number, and the progress; it returns how
/// its connection ended.
type Act = dyn Fn(SocketAddr, usize, &Progress) -> String + Send + Sync;

/// One way to attack.
#[derive(Clone)]
pub struct Attack {
    /// What is done, in a few words.
    pub name: &'static str,
    act: Arc<Act>,
}

impl Attack {
    /// An attack of which each attacker does this.
    pub fn new(
        name: &'static str,
        act: impl Fn(SocketAddr, usize, &Progress) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            act: Arc::new(act),
        }
    }

    /// So many attackers begin, each on a thread of its own.
    pub fn start(&self, server: SocketAddr, attackers: usize) -> Attackers {
        let progress = Arc::new(Progress::default());
        let threads = (0..attackers)
            .map(|number| {
                let (act, progress) = (self.act.clone(), progress.clone());
                std::thread::spawn(move || act(server, number, &progress))
            })
            .collect();
        Attackers { progress, threads }
    }
}

impl std::fmt::Debug for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Attackers at work.
#[derive(Debug)]
pub struct Attackers {
    progress: Arc<Progress>,
    threads: Vec<JoinHandle<String>>,
}

impl Attackers {
    /// Bytes that they have sent so far.
    pub fn sent(&self) -> u64 {
        self.progress.sent.load(Ordering::Relaxed)
    }

    /// True when all of them have ended by themselves.
    pub fn have_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Ends the attack: how the connections of the attackers had ended, each way once.
    pub fn stop(self) -> Vec<String> {
        self.progress.is_over.store(true, Ordering::Relaxed);
        let mut ends: Vec<_> = self
            .threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| "panicked".into()))
            .collect();
        ends.sort();
        ends.dedup();
        ends
    }
}
