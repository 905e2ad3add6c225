//! The memory budget: what the process may hold for clients at a time, in bytes.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// What bytes are held for. Each kind has a share of the budget that all together must leave free for it to go on: what
/// can be had again is shed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// History in memory. The oldest messages go before its own bound is reached, and there is room to read it.
    History,
    /// Answers to reads of history, until clients have taken them. Refused first.
    Answers,
    /// Other messages that are kept: replay windows, what waits for clients that are away. The oldest go before their own
    /// bounds are reached.
    Kept,
    /// Requests and messages that are still arriving, polls that wait, and sessions. New ones are refused.
    Requests,
    /// What waits for connections that take it slowly. They are closed as slow consumers.
    Queues,
    /// Connections. New ones are closed.
    Connections,
}

impl Held {
    /// Percent of the budget up to which this kind may grow.
    fn percent(self) -> usize {
        match self {
            Self::History => 25,
            Self::Answers => 50,
            Self::Kept => 60,
            Self::Requests => 70,
            Self::Queues => 80,
            Self::Connections => 85,
        }
    }
}

/// Bytes that stores draw at a time.
const STEP: usize = 256 << 10;

/// How often it is looked how much memory the process really has.
const LOOK: Duration = Duration::from_millis(100);

/// The memory budget of this process: servers that run in one process share it, as they share the memory.
static PROCESS: Memory = Memory::new();

/// Bounds what this process may hold for clients; `None` for no bound.
pub(crate) fn bound_process(bytes_max: Option<usize>) {
    let bytes_max = bytes_max.unwrap_or(usize::MAX);
    PROCESS.bytes_max.store(bytes_max, Ordering::Relaxed);
}

/// Keeps the budget true: what the allocator holds beyond what was drawn for counts too. Does not end; where there is no bound, or
/// the system does not say, it does nothing.
pub(crate) async fn watch_process() {
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let bytes_max = PROCESS.bytes_max.load(Ordering::Relaxed);
        let Some(resident) = resident_bytes().filter(|_| bytes_max < usize::MAX) else {
            return;
        };
        PROCESS.set_resident(resident);
    }
}

/// Bytes of memory that the process has, as Linux says.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// A memory budget.
#[derive(Debug)]
struct Memory {
    /// The greatest number where there is no bound.
    bytes_max: AtomicUsize,
    /// What the process has beyond that.
    excess: AtomicUsize,
    held: AtomicUsize,
}

impl Memory {
    const fn new() -> Self {
        Self {
            bytes_max: AtomicUsize::new(usize::MAX),
            excess: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
        }
    }

    /// Takes so many bytes, if there are enough for their kind.
    fn take(&self, kind: Held, bytes: usize) -> bool {
        let bound = self.bytes_max() / 100 * kind.percent();
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        let is_within = held.saturating_add(bytes) <= bound;
        if !is_within {
            self.give(bytes);
        }
        is_within
    }

    /// What may be held now. Half of the budget always may: memory that was given back and that the allocator keeps must not stop
    /// the server.
    fn bytes_max(&self) -> usize {
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        bytes_max - self.excess.load(Ordering::Relaxed).min(bytes_max / 2)
    }

    fn set_resident(&self, bytes: usize) {
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        let excess = bytes.saturating_sub(bytes_max);
        self.excess.store(excess, Ordering::Relaxed);
    }

    fn give(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes of the [memory budget](crate::Limits::memory_bytes) that something holds. They go back when it is dropped.
#[derive(Debug)]
pub struct Draw {
    memory: &'static Memory,
    kind: Held,
    bytes: usize,
}

impl Draw {
    /// One that holds nothing yet.
    pub const fn new(kind: Held) -> Self {
        Self {
            memory: &PROCESS,
            kind,
            bytes: 0,
        }
    }

    /// One that holds so many bytes; `None` when there are too few for their kind.
    pub fn of(kind: Held, bytes: usize) -> Option<Self> {
        let mut draw = Self::new(kind);
        draw.resize(bytes).then_some(draw)
    }

    /// [`resize`](Self::resize) for a store whose contents change all the time: in steps, so that most changes draw
    /// nothing.
    #[must_use = "what there is no room for must not be kept"]
    pub fn cover(&mut self, bytes: usize) -> bool {
        let needed = bytes.checked_next_multiple_of(STEP).unwrap_or(bytes);
        // One step more is kept, so that what goes up and down draws nothing.
        let is_enough =
            bytes > 0 && self.bytes >= needed && self.bytes <= needed.saturating_add(STEP);
        is_enough || self.resize(needed) || self.bytes >= bytes
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds so many bytes from now on. False, and as many as before, when there are too few; less can always be held.
    #[must_use = "what there is no room for must not be kept"]
    pub fn resize(&mut self, bytes: usize) -> bool {
        if bytes == self.bytes {
            return true;
        }
        if bytes > self.bytes {
            if !self.memory.take(self.kind, bytes - self.bytes) {
                return false;
            }
        } else {
            self.memory.give(self.bytes - bytes);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        self.memory.give(self.bytes);
    }
}

/// Bytes that this process holds for clients, as far as they are drawn.
pub fn held_bytes() -> usize {
    PROCESS.held.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A budget of 1,000 bytes.
    fn budget() -> &'static Memory {
        let memory = Box::leak(Box::new(Memory::new()));
        memory.bytes_max.store(1000, Ordering::Relaxed);
        memory
    }

    fn draw(memory: &'static Memory, kind: Held, bytes: usize) -> Option<Draw> {
        let mut draw = Draw {
            memory,
            kind,
            bytes: 0,
        };
        draw.resize(bytes).then_some(draw)
    }

    fn held(memory: &Memory) -> usize {
        memory.held.load(Ordering::Relaxed)
    }

    #[test]
    fn what_can_be_had_again_is_refused_first() {
        let memory = budget();
        let history = draw(memory, Held::History, 250).unwrap();
        assert!(draw(memory, Held::History, 1).is_none());
        assert!(draw(memory, Held::Answers, 250).is_some());
        drop(history);
        let kept = draw(memory, Held::Kept, 600).unwrap();
        assert!(draw(memory, Held::Answers, 1).is_none());
        assert!(draw(memory, Held::Kept, 1).is_none());
        let requests = draw(memory, Held::Requests, 100).unwrap();
        let queues = draw(memory, Held::Queues, 100).unwrap();
        assert!(draw(memory, Held::Queues, 1).is_none());
        assert!(draw(memory, Held::Connections, 50).is_some());
        drop((kept, requests, queues));
        assert_eq!(held(memory), 0);
    }

    #[test]
    fn what_the_process_has_beyond_the_budget_counts() {
        let memory = budget();
        memory.set_resident(900);
        assert!(draw(memory, Held::Kept, 600).is_some());
        memory.set_resident(1100);
        assert!(draw(memory, Held::Kept, 541).is_none());
        assert!(draw(memory, Held::Kept, 540).is_some());
        memory.set_resident(100_000);
        assert!(draw(memory, Held::Kept, 300).is_some(), "half remains");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_says_how_much_it_is() {
        let before = resident_bytes().unwrap();
        let held = vec![1_u8; 64 << 20];
        assert!(
            resident_bytes().unwrap() >= before + (32 << 20),
            "{}",
            held.len()
        );
    }

    #[test]
    fn a_draw_grows_and_shrinks() {
        let memory = budget();
        let mut draw = draw(memory, Held::Kept, 100).unwrap();
        assert!(draw.resize(600));
        assert!(!draw.resize(601));
        assert_eq!((draw.bytes(), held(memory)), (600, 600));
        assert!(draw.resize(10));
        assert_eq!(held(memory), 10);
    }

    #[test]
    fn a_store_draws_in_steps() {
        let memory = budget();
        memory.bytes_max.store(8 * STEP, Ordering::Relaxed);
        let mut draw = draw(memory, Held::Kept, 0).unwrap();
        assert!(draw.cover(1) && draw.bytes() == STEP);
        assert!(draw.cover(STEP + 1) && draw.bytes() == 2 * STEP);
        assert!(
            draw.cover(STEP) && draw.bytes() == 2 * STEP,
            "it may grow again"
        );
        assert!(draw.cover(0) && draw.bytes() == 0);
        assert!(draw.cover(4 * STEP));
        assert!(!draw.cover(4 * STEP + 1), "60 % are for what is kept");
        assert!(draw.cover(4 * STEP));
    }

    #[test]
    fn without_a_bound_there_is_room() {
        let draw = Draw::of(Held::Answers, 1 << 40).unwrap();
        assert_eq!(draw.bytes(), 1 << 40);
        assert!(held_bytes() >= 1 << 40);
    }
}
