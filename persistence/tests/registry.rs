//! Registries over stores.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use polywire_core::{
    AppRunner, JsonText, PersistencePolicy, Query, Registry, RegistryError, Rules, Server, Space,
    Span, Target, testkit,
};
use polywire_persistence::{DiskHistory, DiskSettings};

/// What somebody who is told of every change knows.
type Seen = Arc<Mutex<BTreeMap<String, String>>>;

async fn server(policy: impl PersistencePolicy) -> Server {
    let builder = AppRunner::builder(testkit::LocalBackend::default());
    let built = builder.persistence(policy).build().await;
    built.expect("nothing is listened on")
}

async fn open(space: &Arc<Space>, bytes_max: usize) -> (Arc<Registry>, Seen) {
    let seen = Seen::default();
    let told = seen.clone();
    let on_change = Box::new(move |key: &str, value: Option<&JsonText>| {
        let mut seen = told.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => seen.insert(key.to_owned(), value.as_str().to_owned()),
            None => seen.remove(key),
        };
    });
    let registry = Registry::open(space, "test", bytes_max, on_change);
    (registry.await.expect("the store can be read"), seen)
}

fn put(key: &str, value: u32) -> (String, Option<JsonText>) {
    (key.to_owned(), JsonText::of(&value).ok())
}

fn seen(seen: &Seen) -> Vec<(String, String)> {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.clone().into_iter().collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[tokio::test]
async fn a_registry_outlives_its_server_where_messages_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || DiskHistory::open(DiskSettings::new(folder.path()), Rules::default());
    {
        let policy = Arc::new(disk().unwrap());
        let server = server(policy.clone()).await;
        let (registry, told) = open(server.space(), 1 << 20).await;
        let changes = vec![put("a", 1), put("b", 2), put("c", 3)];
        registry.change(changes).await.unwrap();
        registry
            .change(vec![put("a", 9), ("b".into(), None)])
            .await
            .unwrap();
        assert_eq!(seen(&told), [pair("a", "9"), pair("c", "3")]);
        policy.stop().await;
    }
    let server = server(disk().unwrap()).await;
    let (registry, told) = open(server.space(), 1 << 20).await;
    assert_eq!(seen(&told), [pair("a", "9"), pair("c", "3")]);
    assert_eq!(registry.get("a").unwrap().as_str(), "9");
    assert_eq!(registry.get("b"), None);
    let found = registry.beginning_with("c");
    assert_eq!((found.len(), found[0].0.as_str()), (1, "c"));
}

#[tokio::test]
async fn superseded_changes_are_cleared_away_and_no_rule_takes_others() {
    let rule = polywire_core::Rule {
        entries_max: Some(10),
        ..polywire_core::Rule::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let settings = DiskSettings::new(folder.path());
    let policy = Arc::new(DiskHistory::open(settings, Rules::all(rule)).unwrap());
    let server = server(policy.clone()).await;
    let (registry, _) = open(server.space(), 1 << 20).await;
    for key in 0..50 {
        registry
            .change(vec![put(&format!("k{key}"), key)])
            .await
            .unwrap();
    }
    for value in 0..3000 {
        registry.change(vec![put("often", value)]).await.unwrap();
    }
    let channel = polywire_core::Channel::new("$polywire/registry/test").unwrap();
    let target = Target::from(channel);
    let history = policy.history().unwrap();
    let kept = history.count(&target, Span::ALL).await.unwrap();
    assert!((2..1200).contains(&kept), "{kept}");
    let page = history
        .read(&target, &Query::new(Span::ALL, 10_000))
        .await
        .unwrap();
    assert_eq!(page.entries.len() as u64, kept);
    // No app reads it as if it were a channel of messages.
    let visible = server.space().history().unwrap();
    assert!(visible.count(&target, Span::ALL).await.is_err());
    assert_eq!(visible.targets(None, 10).await.unwrap(), []);
    // Whoever opens it now knows all of it.
    let (again, told) = open(server.space(), 1 << 20).await;
    assert_eq!(seen(&told).len(), 51);
    assert_eq!(again.get("often").unwrap().as_str(), "2999");
}

#[tokio::test]
async fn what_has_no_room_is_refused() {
    let server = server(polywire_persistence::NoPersistence).await;
    let (registry, told) = open(server.space(), 300).await;
    registry
        .change(vec![put("a", 1), put("b", 2)])
        .await
        .unwrap();
    let refused = registry.change(vec![put("c", 3)]).await;
    assert!(matches!(refused, Err(RegistryError::Full)), "{refused:?}");
    registry.change(vec![("a".into(), None)]).await.unwrap();
    assert_eq!(seen(&told), [pair("b", "2")]);
}
