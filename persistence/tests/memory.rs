//! History in memory.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::sync::Arc;

use polywire_core::{
    Channel, Clock, Draft, Epoch, Payload, PersistencePolicy, Position, Publication, Query, Rule,
    Rules, Seq, Span, Target, testkit,
};
use polywire_persistence::MemoryHistory;

fn unlimited() -> MemoryHistory {
    MemoryHistory::new(Rules::default(), usize::MAX)
}

#[tokio::test]
async fn keeps_the_laws() {
    testkit::persistence_laws(unlimited).await;
    testkit::history_laws(async || unlimited()).await;
}

/// Publishes numbered texts of `len` bytes on channels in turn.
fn publish(policy: &MemoryHistory, channels: usize, count: usize, len: usize) -> Vec<Target> {
    let clock = Clock::default();
    let targets: Vec<Target> = (0..channels)
        .map(|n| Channel::new(&format!("room/{n}")).unwrap().into())
        .collect();
    for n in 0..count {
        let target = targets[n % channels].clone();
        let draft = Draft::new(target, Payload::text(format!("{n:0len$}")));
        let publication: Arc<Publication> = Arc::new(draft.at(Position {
            epoch: Epoch(1),
            seq: Seq((n / channels) as u64 + 1),
            timetoken: clock.tick(),
        }));
        policy.persist_now(&publication).unwrap();
    }
    targets
}

async fn texts(policy: &MemoryHistory, target: &Target) -> Vec<String> {
    let history = policy.history().unwrap();
    let query = Query::new(Span::ALL, 10_000);
    let page = history.read(target, &query).await.unwrap();
    page.entries
        .iter()
        .map(|entry| match &entry.publication.payload {
            Payload::Text(text) => text.value().trim_start_matches('0').to_owned(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn a_rule_keeps_the_last_ones() {
    let rule = Rule {
        entries_max: Some(3),
        ..Rule::default()
    };
    let policy = MemoryHistory::new(Rules::all(rule), usize::MAX);
    let targets = publish(&policy, 2, 100, 1);
    assert_eq!(texts(&policy, &targets[1]).await, ["95", "97", "99"]);

    let rule = Rule {
        bytes_max: Some(250),
        ..Rule::default()
    };
    let policy = MemoryHistory::new(Rules::all(rule), usize::MAX);
    let targets = publish(&policy, 1, 10, 100);
    assert_eq!(texts(&policy, &targets[0]).await, ["8", "9"]);
}

#[tokio::test]
async fn all_channels_share_a_budget() {
    const BUDGET: usize = 1 << 20;
    let policy = MemoryHistory::new(Rules::default(), BUDGET);
    let targets = publish(&policy, 100, 50_000, 200);
    assert!(policy.bytes() <= BUDGET, "{}", policy.bytes());
    assert!(policy.bytes() > BUDGET / 2, "{}", policy.bytes());
    let mut kept = 0;
    for (n, target) in targets.iter().enumerate() {
        let texts = texts(&policy, target).await;
        let newest = (50_000 - 100 + n).to_string();
        assert_eq!(texts.last(), Some(&newest), "the oldest go first");
        kept += texts.len();
    }
    assert!(kept > 1000, "{kept}");
    // Everything goes when nothing may stay, and there is room for others.
    let history = policy.history().unwrap();
    for target in &targets {
        history.delete(target, Span::ALL).await.unwrap();
    }
    assert_eq!(history.targets(None, 1).await.unwrap(), []);
    let target = &publish(&policy, 1, 10_000, 200)[0];
    assert!(texts(&policy, target).await.len() > kept / 2);
}

#[tokio::test]
async fn channels_that_nobody_uses_are_forgotten() {
    const BUDGET: usize = 1 << 20;
    let policy = MemoryHistory::new(Rules::default(), BUDGET);
    let clock = Clock::default();
    for n in 0..100_000 {
        let channel = Channel::new(&format!("once/{n}")).unwrap();
        let draft = Draft::new(channel, Payload::text("x"));
        let position = Position {
            epoch: Epoch(1),
            seq: Seq(1),
            timetoken: clock.tick(),
        };
        policy.persist_now(&Arc::new(draft.at(position))).unwrap();
        assert!(policy.bytes() <= BUDGET + 1024);
    }
    let history = policy.history().unwrap();
    let first: Target = Channel::new("once/0").unwrap().into();
    assert_eq!(history.last_position(&first).await.unwrap(), None);
    let kept = history.targets(None, usize::MAX).await.unwrap().len();
    assert!((500..4000).contains(&kept), "{kept}");
}
