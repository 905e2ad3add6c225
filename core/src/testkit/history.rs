//! The laws of a history, checked against a naive model.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{sample_drafts, within};
use crate::{
    Annotation, Channel, ClientId, Clock, Draft, Durability, Epoch, History, HistoryError, Order,
    Page, Payload, PersistencePolicy, Position, Publication, Query, Retention, Seq, Span, Target,
    Timetoken, read_after,
};

/// Checks the laws of [`History`] on an empty store that keeps everything: what was kept is read back as it
/// was, in pages, by time and from either end; it is counted, deleted, annotated; a reader that stopped
/// somewhere learns whether it can go on.
///
/// It uses channels and clients whose names begin with `testkit-`.
///
/// # Panics
/// When a law is broken.
pub async fn history_laws<P: PersistencePolicy>(mut make: impl AsyncFnMut() -> P) {
    let store = Store::new(make().await);
    unknown_channels_are_empty(&store).await;
    everything_is_read_as_it_was(&store).await;
    pages_have_bounds(&store).await;
    what_has_expired_is_not_read(&store).await;
    readers_learn_of_gaps(&store).await;
    agrees_with_a_model(&Store::new(make().await)).await;
}

/// A policy with its history, and the clock that places publications.
struct Store<P> {
    policy: P,
    clock: Clock,
}

impl<P: PersistencePolicy> Store<P> {
    fn new(policy: P) -> Self {
        assert!(policy.stores(), "a policy with a history stores");
        Self {
            policy,
            clock: Clock::default(),
        }
    }

    fn history(&self) -> &dyn History {
        self.policy.history().expect("the policy has a history")
    }

    /// Has publications kept as the hub does.
    async fn keep(&self, publications: &[Arc<Publication>]) {
        let (wait, now): (Vec<_>, Vec<_>) = publications
            .iter()
            .cloned()
            .partition(|publication| self.policy.waits(&publication.target));
        let mut kept: Vec<_> = now.iter().map(|p| self.policy.persist_now(p)).collect();
        if !wait.is_empty() {
            kept.extend(within("persist_all", self.policy.persist_all(&wait)).await);
        }
        assert_eq!(kept.len(), publications.len(), "an answer for each");
        for answer in kept {
            let durability = answer.expect("it is kept");
            assert!(
                durability >= Durability::Memory,
                "what can be read back is kept: {durability:?}"
            );
        }
    }

    /// Gives drafts of one channel their places after `last`.
    fn place(&self, last: &mut Option<Position>, drafts: Vec<Draft>) -> Vec<Arc<Publication>> {
        drafts
            .into_iter()
            .map(|draft| {
                let timetoken = self.clock.tick();
                let before = last.unwrap_or(Position {
                    epoch: Epoch(timetoken.0),
                    ..Position::default()
                });
                let position = Position {
                    seq: Seq(before.seq.0 + 1),
                    timetoken,
                    ..before
                };
                *last = Some(position);
                Arc::new(draft.at(position))
            })
            .collect()
    }

    async fn read(&self, target: &Target, query: Query) -> Page {
        let page = within("read", self.history().read(target, &query)).await;
        page.expect("the page can be read")
    }

    async fn last_position(&self, target: &Target) -> Option<Position> {
        let last = within("last_position", self.history().last_position(target)).await;
        last.expect("it can be asked")
    }
}

fn channel(name: &str) -> Target {
    let name = format!("testkit-{name}");
    Channel::new(&name).expect("not empty").into()
}

fn texts(target: &Target, count: usize) -> Vec<Draft> {
    (0..count)
        .map(|n| Draft::new(target.clone(), Payload::text(n.to_string())))
        .collect()
}

/// A publication without what a store need not keep: who must not get it live.
fn comparable(publication: &Publication) -> Publication {
    let draft: &Draft = publication;
    draft.clone().except(None).at(publication.position())
}

fn assert_page(page: &Page, expected: &[Arc<Publication>]) {
    let read: Vec<_> = page
        .entries
        .iter()
        .map(|entry| comparable(&entry.publication))
        .collect();
    let expected: Vec<_> = expected.iter().map(|p| comparable(p)).collect();
    assert_eq!(read, expected, "what was kept is read back as it was");
}

async fn unknown_channels_are_empty<P: PersistencePolicy>(store: &Store<P>) {
    let (nobody, history) = (channel("nobody"), store.history());
    assert_eq!(store.last_position(&nobody).await, None);
    assert_eq!(store.read(&nobody, Query::last(10)).await, Page::default());
    assert_eq!(history.count(&nobody, Span::ALL).await.ok(), Some(0));
    assert_eq!(history.delete(&nobody, Span::ALL).await.ok(), Some(0));
    let annotations = history.annotations(&nobody, Span::ALL, 10).await;
    assert_eq!(annotations.ok(), Some(Vec::new()));
    let nothing = history
        .remove_annotation(&nobody, Timetoken(1), Timetoken(2))
        .await;
    assert_eq!(nothing.ok(), Some(None));
    let missing = history.annotate(&nobody, Timetoken(1), reaction(Timetoken(2), 1));
    assert!(
        matches!(missing.await, Err(HistoryError::NotFound)),
        "there is nothing to attach it to"
    );
}

async fn everything_is_read_as_it_was<P: PersistencePolicy>(store: &Store<P>) {
    let client: Target = ClientId::new("testkit-fields").expect("not empty").into();
    for target in [channel("fields/\u{e9} *?[x]"), client] {
        let drafts: Vec<_> = sample_drafts(&target)
            .into_iter()
            .filter(|draft| draft.retention.store)
            .map(|draft| draft.retention(Retention::DEFAULT))
            .collect();
        let publications = store.place(&mut None, drafts);
        store.keep(&publications).await;
        let page = store.read(&target, Query::new(Span::ALL, usize::MAX)).await;
        assert_page(&page, &publications);
        assert!(!page.more);
        for (entry, publication) in page.entries.iter().zip(&publications) {
            let numeric = |p: &Publication| p.publisher.as_ref().map(ClientId::is_numeric);
            assert_eq!(
                numeric(&entry.publication),
                numeric(publication),
                "a number stays a number"
            );
        }
        let last = publications.last().map(|p| p.position());
        assert_eq!(store.last_position(&target).await, last);
        let latest = store.history().last_timetoken().await.expect("it is known");
        assert!(last.is_some_and(|last| last.timetoken <= latest));
    }
}

async fn pages_have_bounds<P: PersistencePolicy>(store: &Store<P>) {
    let target = channel("pages");
    let mut last = None;
    let publications = store.place(&mut last, texts(&target, 25));
    store.keep(&publications).await;
    let none = store.read(&target, Query::new(Span::ALL, 0)).await;
    assert_eq!(none.entries, []);
    for (order, limit) in [
        (Order::OldestFirst, 10),
        (Order::NewestFirst, 10),
        (Order::NewestFirst, 1),
        (Order::OldestFirst, 25),
    ] {
        let mut query = Query::new(Span::ALL, limit);
        query.order = order;
        let (mut next, mut read) = (Some(query), Vec::new());
        while let Some(query) = next {
            let page = store.read(&target, query).await;
            assert!(page.entries.len() <= limit, "a page has a limit");
            next = page.rest(&query);
            read.extend(page.entries.into_iter().map(|entry| entry.publication));
        }
        if order == Order::NewestFirst {
            read.reverse();
        }
        assert_eq!(read, publications, "pages have everything once");
    }
    let empty = Span::from(Timetoken(9)..=Timetoken(3));
    let nothing = store.read(&target, Query::new(empty, 10)).await;
    assert_eq!(nothing, Page::default());

    let target = channel("large");
    let large = (0..20).map(|n| {
        let text = "x".repeat((1 << 20) - 32 + n);
        Draft::new(target.clone(), Payload::text(text))
    });
    let publications = store.place(&mut None, large.collect());
    for publication in &publications {
        store.keep(std::slice::from_ref(publication)).await;
    }
    let page = store.read(&target, Query::new(Span::ALL, 100)).await;
    let bytes = |page: &Page| -> usize {
        let payloads = page.entries.iter().map(|e| e.publication.payload.len());
        payloads.sum()
    };
    assert!(bytes(&page) <= Page::BYTES_MAX && page.more && !page.entries.is_empty());
    store
        .history()
        .delete(&target, Span::ALL)
        .await
        .expect("it can be deleted");
}

async fn what_has_expired_is_not_read<P: PersistencePolicy>(store: &Store<P>) {
    let target = channel("expired");
    let with_ttl = |seconds: u64| {
        Draft::new(target.clone(), Payload::text(seconds.to_string())).retention(Retention {
            store: true,
            ttl: Some(Duration::from_secs(seconds)),
        })
    };
    let mut publications = store.place(&mut None, vec![with_ttl(10), with_ttl(7200), with_ttl(20)]);
    // An hour ago.
    for publication in &mut publications {
        let mut position = publication.position();
        position.timetoken.0 -= 36_000_000_000;
        let draft: &Draft = publication;
        *publication = Arc::new(draft.clone().at(position));
    }
    store.keep(&publications).await;
    let page = store.read(&target, Query::last(10)).await;
    assert_page(&page, &publications[1..2]);
    let count = store.history().count(&target, Span::ALL).await;
    assert_eq!(count.ok(), Some(1), "what has expired does not count");
}

async fn readers_learn_of_gaps<P: PersistencePolicy>(store: &Store<P>) {
    let target = channel("gaps");
    let publications = store.place(&mut None, texts(&target, 10));
    store.keep(&publications).await;
    let after = async |position: Position| {
        let reading = read_after(store.history(), &target, position, 100);
        let read = within("read_after", reading).await;
        read.expect("it can be read")
    };
    let places: Vec<_> = publications.iter().map(|p| p.position()).collect();
    for (n, place) in places.iter().enumerate() {
        let read = after(*place).await;
        assert_page(&read.page, &publications[n + 1..]);
        assert!(!read.gap, "nothing is missing after {place:?}");
    }
    let other = Position {
        epoch: Epoch(places[3].epoch.0 + 1),
        ..places[3]
    };
    assert!(after(other).await.gap, "another epoch is a gap");
    let mut ahead = places[9];
    ahead.seq.0 += 7;
    ahead.timetoken.0 += 7;
    assert!(after(ahead).await.gap, "a position from nowhere is a gap");
    let deleted = Span::from(places[4].timetoken..=places[6].timetoken);
    let count = store.history().delete(&target, deleted).await;
    assert_eq!(count.ok(), Some(3));
    assert!(after(places[3]).await.gap, "what was deleted is a gap");
    assert!(!after(places[6]).await.gap);
    let all = store.history().delete(&target, Span::ALL).await;
    assert_eq!(all.ok(), Some(7));
    assert_eq!(
        store.last_position(&target).await,
        Some(places[9]),
        "numbers go on as if nothing was deleted"
    );
    assert!(!after(places[9]).await.gap, "nothing came after the last");
}

fn reaction(at: Timetoken, value: u64) -> Annotation {
    Annotation {
        at,
        kind: "reaction".into(),
        value: value.to_string().into(),
        author: ClientId::new("testkit-ann").ok(),
    }
}

/// What a store should hold, in the simplest way.
#[derive(Default)]
struct Model {
    last: Option<Position>,
    entries: Vec<(Arc<Publication>, Vec<Annotation>)>,
}

impl Model {
    fn within(&self, span: Span) -> Vec<Arc<Publication>> {
        let entries = self.entries.iter();
        entries
            .map(|(publication, _)| publication)
            .filter(|publication| span.contains(publication.position().timetoken))
            .cloned()
            .collect()
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap_or(0)
    }

    /// A time about some publication, exactly or nearly.
    fn time(&mut self, model: &Model) -> Timetoken {
        if model.entries.is_empty() {
            return Timetoken(self.0 >> 8);
        }
        let place = self.roll(model.entries.len());
        let timetoken = model.entries[place].0.position().timetoken;
        Timetoken(timetoken.0 - 1 + self.roll(3) as u64)
    }
}

const OPERATIONS: usize = 1500;

async fn agrees_with_a_model<P: PersistencePolicy>(store: &Store<P>) {
    let targets: Vec<_> = (0..4).map(|n| channel(&format!("model-{n}"))).collect();
    let mut models: BTreeMap<Target, Model> = BTreeMap::new();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for _ in 0..OPERATIONS {
        let target = &targets[dice.roll(targets.len())];
        let model = models.entry(target.clone()).or_default();
        step(store, target, model, &mut dice).await;
    }
    let mut expected: Vec<_> = models
        .iter()
        .filter(|(_, model)| !model.entries.is_empty())
        .map(|(target, _)| target.clone())
        .collect();
    let (mut listed, mut after) = (Vec::new(), None::<Target>);
    loop {
        let listing = store.history().targets(after.as_ref(), 3).await;
        let next = listing.expect("channels can be listed");
        after = next.last().cloned();
        listed.extend(next);
        if after.is_none() {
            break;
        }
    }
    expected.sort();
    assert_eq!(listed, expected, "channels are listed once and in order");
}

async fn step<P: PersistencePolicy>(
    store: &Store<P>,
    target: &Target,
    model: &mut Model,
    dice: &mut Dice,
) {
    let history = store.history();
    let span = Span::from(dice.time(model)..=dice.time(model));
    match dice.roll(16) {
        0..=5 => {
            let drafts = texts(target, 1 + dice.roll(8));
            let publications = store.place(&mut model.last, drafts);
            store.keep(&publications).await;
            let entries = publications.into_iter().map(|p| (p, Vec::new()));
            model.entries.extend(entries);
        }
        6..=9 => {
            let mut expected = model.within(span);
            let mut query = Query::new(span, dice.roll(20));
            if dice.roll(2) == 0 {
                query = query.newest_first();
                expected.reverse();
            }
            let page = store.read(target, query).await;
            let all = expected.len();
            expected.truncate(query.limit);
            assert_page(&page, &expected);
            assert_eq!(page.more, query.limit > 0 && all > query.limit);
            for entry in &page.entries {
                let annotations = model
                    .entries
                    .iter()
                    .find(|(p, _)| p.position() == entry.publication.position())
                    .map(|(_, annotations)| annotations);
                assert_eq!(Some(&entry.annotations), annotations);
            }
        }
        10 => {
            let count = history.count(target, span).await.expect("it is counted");
            assert_eq!(count, model.within(span).len() as u64);
        }
        11 if dice.roll(4) == 0 => {
            let count = history.delete(target, span).await.expect("it is deleted");
            assert_eq!(count, model.within(span).len() as u64);
            model
                .entries
                .retain(|(p, _)| !span.contains(p.position().timetoken));
        }
        12 | 13 => annotate(store, target, model, dice).await,
        14 => {
            let removed = match model.entries.iter_mut().find(|(_, a)| !a.is_empty()) {
                Some((publication, annotations)) => {
                    let annotation = annotations.remove(0);
                    let timetoken = publication.position().timetoken;
                    let at = annotation.at;
                    let removed = history.remove_annotation(target, timetoken, at).await;
                    assert_eq!(removed.ok().flatten(), Some(annotation));
                    history.remove_annotation(target, timetoken, at).await
                }
                None => {
                    history
                        .remove_annotation(target, Timetoken(5), Timetoken(6))
                        .await
                }
            };
            assert_eq!(removed.ok(), Some(None), "it is removed once");
        }
        _ => {
            assert_eq!(store.last_position(target).await, model.last);
            let mut expected: Vec<_> = model
                .entries
                .iter()
                .flat_map(|(p, a)| a.iter().map(|a| (p.position().timetoken, a.clone())))
                .collect();
            expected.sort_by_key(|(_, annotation)| std::cmp::Reverse(annotation.at));
            let limit = dice.roll(10);
            expected.truncate(limit);
            let read = history.annotations(target, Span::ALL, limit).await;
            assert_eq!(read.expect("they can be read"), expected);
        }
    }
}

async fn annotate<P: PersistencePolicy>(
    store: &Store<P>,
    target: &Target,
    model: &mut Model,
    dice: &mut Dice,
) {
    let at = store.clock.tick();
    let annotation = reaction(at, dice.roll(3) as u64);
    let history = store.history();
    if model.entries.is_empty() {
        let refused = history.annotate(target, Timetoken(5), annotation).await;
        assert!(matches!(refused, Err(HistoryError::NotFound)));
        return;
    }
    let place = dice.roll(model.entries.len());
    let (publication, annotations) = &mut model.entries[place];
    let timetoken = publication.position().timetoken;
    let answer = history
        .annotate(target, timetoken, annotation.clone())
        .await;
    let same = annotations.iter().find(|a| a.says_the_same(&annotation));
    match (answer, same) {
        (Ok(()), None) => annotations.push(annotation),
        (Err(HistoryError::Exists(at)), Some(same)) => assert_eq!(at, same.at),
        (answer, same) => panic!("annotated {answer:?} where there was {same:?}"),
    }
}
