//! What clients of all protocols see while something between the nodes and Redis breaks. `./check faults` breaks more, and
//! more often.

use std::{path::PathBuf, sync::Mutex, time::Duration};

use polywire_testing::faults::{FAULTS, Patience, Runner};

/// On a busy machine.
const PATIENCE: Patience = Patience {
    told_within: Duration::from_secs(30),
    back_within: Duration::from_secs(30),
};

#[track_caller]
fn round(name: &str) {
    // One after the other: each keeps some dozens of clients busy.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let runner = Runner {
        program: PathBuf::from(env!("CARGO_BIN_EXE_polywire")),
        folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults"),
        patience: PATIENCE,
    };
    let fault = FAULTS.iter().find(|fault| fault.name == name).unwrap();
    let outcome = runner.round(fault, 1);
    assert!(
        outcome.report.delivered > outcome.report.acknowledged,
        "{outcome}"
    );
    assert!(
        outcome.is_good(),
        "{outcome}\n{:?}",
        outcome.report.violations
    );
}

#[test]
fn nothing_is_lost_while_nothing_breaks() {
    round("nothing, kept");
}

#[test]
fn nothing_is_lost_when_a_link_loses_messages() {
    round("1 of 100 messages dropped");
}

#[test]
fn nothing_is_lost_when_a_link_is_deaf() {
    round("a deaf link");
}

#[test]
fn nothing_is_lost_when_links_are_cut() {
    round("links cut");
}

#[test]
fn nothing_is_lost_in_silence_when_redis_is_restarted_empty() {
    round("killed, keeps nothing");
}

#[test]
fn nothing_is_lost_when_redis_is_restarted_and_kept_everything() {
    round("killed, synced");
}
