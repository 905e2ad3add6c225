//! A simulation of several nodes, their links and Redis: the production code, above the bytes, in virtual time.
//!
//! What happens, and when, is drawn from a seed: publications, members that come and go, links that lose, stall and break,
//! a server that is restarted with all, some or nothing of what it had. Afterwards it is proven of each member that it got
//! what was published, in order and once, or was told of a gap. A seed that fails fails again, and stays as a test.
//!
//! The server stands in for Redis where this backend uses it: its scripts are done here by hand, and proven on a real one by
//! the tests in `tests/`.

mod link;
mod member;
mod resp;
mod run;
mod server;

pub(super) use self::link::SimulatedLink;

use self::run::run;

/// Seeds that each run of the tests tries.
const SEEDS: u64 = 1000;

/// Runs one seed in a time and a thread of its own.
fn try_seed(seed: u64, forgets: bool) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run(seed, forgets))
}

fn try_seeds(seeds: impl Iterator<Item = u64>, forgets: bool) {
    let failures: Vec<_> = seeds
        .filter_map(|seed| Some(format!("seed {seed}: {}", try_seed(seed, forgets).err()?)))
        .take(3)
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nothing_is_lost_by_even_seeds() {
    try_seeds((0..SEEDS).step_by(2), false);
}

#[test]
fn nothing_is_lost_by_odd_seeds() {
    try_seeds((1..SEEDS).step_by(2), false);
}

/// The server is restarted with some or nothing of what it had, and emptied, while links lose what they carry.
#[test]
#[ignore = "takes minutes: ./check faults runs it"]
fn nothing_is_lost_without_a_word_where_the_server_forgets() {
    try_seeds(0..SEEDS, true);
}
