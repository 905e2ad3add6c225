//! The checker against logs of a model: clean ones pass, and whatever is done to them is found.

mod corruption;
mod model;

use std::time::Duration;

use proptest::prelude::*;

use self::{corruption::CORRUPTIONS, model::clean};
use super::{Answer, Event, Report, Violation, What, read_log, write_log};

/// How many clean logs each corruption is tried on.
const SEEDS: u64 = 24;

fn check(log: &[Event]) -> Report {
    super::check(log, Duration::from_secs(5))
}

#[test]
fn every_corruption_is_found() {
    for (name, corrupt, finds) in CORRUPTIONS {
        let mut tried = 0;
        for seed in 0..SEEDS {
            let mut log = clean(seed);
            if corrupt(&mut log, seed).is_none() {
                continue;
            }
            tried += 1;
            let found = check(&log).violations;
            assert!(
                found.iter().any(finds),
                "{name}, seed {seed}: found {found:?}"
            );
        }
        assert!(tried >= SEEDS / 2, "{name} could be done {tried} times");
    }
}

#[test]
fn a_log_is_read_back_as_it_was_written() {
    let log = clean(7);
    let path = std::env::temp_dir().join(format!("polywire-checker-{}", std::process::id()));
    write_log(&path, &log).unwrap();
    let back = read_log(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(back.unwrap(), log);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_clean_log_passes(seed: u64) {
        let report = check(&clean(seed));
        prop_assert_eq!(&report.violations, &[]);
        prop_assert!(report.delivered > 0 && report.acknowledged > 0 && report.refused > 0);
    }

    #[test]
    fn no_log_makes_it_panic(seed: u64, keep in proptest::collection::vec(any::<bool>(), 64)) {
        let mut log = clean(seed);
        let mut number = 0;
        log.retain(|_| {
            number += 1;
            keep[number % keep.len()]
        });
        check(&log);
        log.reverse();
        check(&log);
    }
}

fn joined() -> What {
    joins(true)
}

fn joins(promised: bool) -> What {
    What::Joined {
        subscriber: 0,
        protocol: "MQTT".into(),
        node: 0,
        channels: vec!["a".into()],
        promised,
    }
}

fn sent(publisher: usize, payload: &str) -> What {
    What::Sent {
        publisher,
        channel: "a".into(),
        payload: payload.into(),
    }
}

fn acknowledged(payload: &str) -> What {
    What::Answered {
        payload: payload.into(),
        answer: Answer::Acknowledged,
    }
}

fn seen(payload: &str, again: bool) -> What {
    What::Seen {
        subscriber: 0,
        channel: "a".into(),
        payload: payload.into(),
        again,
    }
}

fn gap() -> What {
    What::Gap {
        subscriber: 0,
        told: "closed".into(),
    }
}

const LEFT: What = What::Left { subscriber: 0 };

/// The report of what happened at these milliseconds.
fn report<const N: usize>(log: [(u64, What); N]) -> Report {
    let events = log.map(|(ms, what)| Event {
        at: ms * 1000,
        what,
    });
    check(&events)
}

fn lost(payload: &str) -> Violation {
    Violation::Lost {
        subscriber: 0,
        payload: payload.into(),
    }
}

#[test]
fn a_gap_that_is_told_in_five_seconds_is_no_silent_loss() {
    let told_at = |ms| {
        report([
            (0, joined()),
            (10, sent(0, "x")),
            (20, acknowledged("x")),
            (ms, gap()),
            (ms + 1, LEFT),
        ])
    };
    let told = told_at(4520);
    assert_eq!(told.violations, []);
    assert_eq!(
        (told.told_losses, told.told_after),
        (1, Duration::from_millis(4500))
    );
    assert_eq!(told_at(5030).violations, [lost("x")]);
}

#[test]
fn what_is_missed_while_nodes_are_apart_is_told_when_they_are_not() {
    let told_at = |ms, apart| {
        let fault = String::new();
        report([
            (0, joined()),
            (5, What::Broken { fault, apart }),
            (10, sent(0, "x")),
            (20, acknowledged("x")),
            (30_000, What::Mended),
            (ms, gap()),
            (ms + 1, LEFT),
        ])
    };
    assert_eq!(told_at(34_000, true).violations, []);
    assert_eq!(told_at(36_000, true).violations, [lost("x")]);
    assert_eq!(told_at(34_000, false).violations, [lost("x")]);
}

#[test]
fn a_subscriber_is_owed_what_was_sent_after_it_joined_and_acknowledged_before_it_left() {
    let report = report([
        (0, sent(0, "before")),
        (1, joined()),
        (2, acknowledged("before")),
        (3, sent(0, "within")),
        (4, acknowledged("within")),
        (5, sent(0, "after")),
        (6, LEFT),
        (7, acknowledged("after")),
    ]);
    assert_eq!(report.violations, [lost("within")]);
    assert_eq!(report.losses["MQTT"], 1);
}

#[test]
fn who_is_promised_nothing_may_lose_messages() {
    let report = report([
        (0, joins(false)),
        (1, sent(0, "x")),
        (2, acknowledged("x")),
        (3, LEFT),
    ]);
    assert_eq!(report.violations, []);
    assert_eq!(report.unpromised_losses, 1);
}

#[test]
fn a_session_that_goes_on_is_owed_what_came_meanwhile() {
    let report = report([
        (0, joined()),
        (10, sent(0, "x")),
        (20, acknowledged("x")),
        (30, joined()),
        (40, LEFT),
    ]);
    assert_eq!(report.violations, [lost("x")]);
}

#[test]
fn a_session_that_goes_on_may_send_again_what_it_sent_before() {
    let twice = |again, between| {
        report([
            (0, joined()),
            (1, sent(0, "x")),
            (2, acknowledged("x")),
            (3, seen("x", false)),
            (4, between),
            (5, seen("x", again)),
            (6, LEFT),
        ])
    };
    let doubled = [Violation::Doubled {
        subscriber: 0,
        payload: "x".into(),
    }];
    assert_eq!(twice(true, joined()).violations, []);
    assert_eq!(twice(false, joined()).violations, doubled);
    assert_eq!(twice(true, What::Mended).violations, doubled);
}

#[test]
fn it_is_back_when_everybody_has_something_from_everybody() {
    let log = |second| {
        report([
            (0, joined()),
            (10, What::Mended),
            (20, sent(0, "x")),
            (30, acknowledged("x")),
            (40, seen("x", false)),
            (50, sent(1, "y")),
            (60, acknowledged("y")),
            (70, seen(second, false)),
            (80, LEFT),
        ])
    };
    assert_eq!(log("y").back_after, Some(Duration::from_millis(60)));
    assert_eq!(log("z").back_after, None);
}
