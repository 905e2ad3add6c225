//! The conformance suites, and what of a policy survives that it is opened again.

use std::sync::atomic::{AtomicUsize, Ordering};

use polywire_core::{Annotation, Durability, HistoryError, PersistencePolicy, Rule, testkit};

use super::*;
use crate::DiskHistory;

fn memory_rules() -> Rules {
    Rules::all(Rule {
        durability: Some(Durability::Memory),
        ..Rule::default()
    })
}

/// A policy for each call, each in a directory of its own.
fn policies(dir: &Path, rules: Rules) -> impl Fn() -> DiskHistory {
    let (dir, number) = (dir.to_owned(), AtomicUsize::new(0));
    move || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        DiskHistory::open(settings(&dir.join(number.to_string())), rules.clone()).unwrap()
    }
}

#[tokio::test]
async fn keeps_the_laws_of_a_policy() {
    let dir = tempfile::tempdir().unwrap();
    testkit::persistence_laws(policies(dir.path(), Rules::default())).await;
}

#[tokio::test]
async fn keeps_the_laws_of_a_history() {
    let dir = tempfile::tempdir().unwrap();
    let make = policies(dir.path(), Rules::default());
    testkit::history_laws(async || make()).await;
}

#[tokio::test]
async fn keeps_the_laws_of_a_history_that_is_written_behind() {
    let dir = tempfile::tempdir().unwrap();
    let make = policies(dir.path(), memory_rules());
    testkit::history_laws(async || make()).await;
}

#[tokio::test]
async fn annotations_that_come_together_are_checked_against_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let disk = policies(dir.path(), Rules::default())();
    let draft = Draft::new(room(1), Payload::text("popular"));
    let publication = Publisher::new().place_after(None, draft);
    disk.persist(&publication).await.unwrap();
    let (history, target) = (disk.history().unwrap(), room(1));
    let at = publication.position().timetoken;
    let smiley = |n: u64| {
        // Every value comes twice.
        let annotation = Annotation {
            at: Timetoken(at.0 + 1 + n),
            kind: "reaction".into(),
            value: (n / 2).to_string().into(),
            author: None,
        };
        history.annotate(&target, at, annotation)
    };
    let answers = futures_util::future::join_all((0..600).map(smiley)).await;
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Ok(()) => assert_eq!(n % 2, 0),
            Err(HistoryError::Exists(first)) => {
                assert_eq!((n % 2, first.0), (1, at.0 + n as u64));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let found = history.annotations(&target, Span::ALL, 1000).await.unwrap();
    assert_eq!(found.len(), 300);
}

#[tokio::test]
async fn a_stopped_policy_lets_the_directory_go() {
    let dir = tempfile::tempdir().unwrap();
    let open = || DiskHistory::open(settings(dir.path()), memory_rules());
    let first = open().unwrap();
    let locked = open().unwrap_err().to_string();
    assert!(locked.contains("is in use by process"), "{locked}");

    let mut publisher = Publisher::new();
    let draft = Draft::new(room(1), Payload::text("kept in memory"));
    let publication = publisher.place_after(None, draft);
    assert_eq!(first.persist_now(&publication).unwrap(), Durability::Memory);
    first.stop().await;
    assert!(first.persist(&publication).await.is_err());
    assert!(first.persist_now(&publication).is_err());

    let second = open().unwrap();
    let history = second.history().unwrap();
    let page = history.read(&room(1), &Query::last(5)).await.unwrap();
    assert_eq!(page.entries[0].publication, publication);
    let last = history.last_position(&room(1)).await.unwrap();
    assert_eq!(last, Some(publication.position()));
}
