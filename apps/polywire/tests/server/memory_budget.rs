//! The memory budget: whatever clients have the server hold, it stays within what it was told.

use std::time::{Duration, Instant};

use polywire_testing::{
    attack::{Canary, canaries, fill_history, fills},
    peers::azure::AZURE_KEY,
};

use crate::support::{SOON, ServerOptions, eventually};

const MIB: u64 = 1 << 20;

const BUDGET: u64 = 160 * MIB;

/// Attackers of each sort.
const ATTACKERS: usize = 2;

#[test]
fn what_is_held_for_clients_stays_within_the_budget() {
    let server = ServerOptions::new(&["--persistence", "memory"])
        .env("POLYWIRE_LIMITS__MEMORY_BYTES", &BUDGET.to_string())
        .env("POLYWIRE_APPS__WEBPUBSUB__ACCESS_KEY", AZURE_KEY)
        .start();
    let address = server.address;
    fill_history(address);
    let attackers: Vec<_> = fills()
        .iter()
        .map(|fill| fill.start(address, ATTACKERS))
        .collect();
    let start = Instant::now();
    let mut peak = 0;
    // Long enough for all of them to have sent what they can; more than the budget for sure.
    while start.elapsed() < Duration::from_secs(10) {
        peak = peak.max(server.process.resident_bytes());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let sent: u64 = attackers.iter().map(|attackers| attackers.sent()).sum();
    for attackers in attackers {
        attackers.stop();
    }
    assert!(sent > 2 * BUDGET, "they sent only {} MiB", sent / MIB);
    assert!(peak < BUDGET / 10 * 11, "it took {} MiB", peak / MIB);
    // And everybody is served again.
    eventually("there is room again", SOON, || {
        let served = std::panic::catch_unwind(|| canaries(address));
        let all_served = |mut all: Vec<Canary>| all.iter_mut().all(Canary::round_trip);
        served.is_ok_and(all_served).then_some(())
    });
}
