//! History and live publications meet without a seam.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use polywire_core::{
    AppRunner, Channel, Draft, Identity, Origin, Payload, Position, Query, Retention, Rule, Rules,
    Server, Span,
    testkit::{AllowAll, LocalBackend, Recorder, until, within},
};
use polywire_persistence::MemoryHistory;

async fn server() -> Server {
    // More than is published while a page is read, and little enough for a publisher that never waits.
    let rule = Rule {
        entries_max: Some(200_000),
        ..Rule::default()
    };
    AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .persistence(MemoryHistory::new(Rules::all(rule), usize::MAX))
        .build()
        .await
        .unwrap()
}

fn origin() -> Origin {
    Origin::new("test", Identity::unrestricted())
}

fn room() -> Channel {
    Channel::new("room").unwrap()
}

/// Subscribes with what came after `from`, and checks that every number arrives once and in order.
async fn follow(server: &Server, from: Position, last: &Mutex<Position>) -> usize {
    let space = server.space();
    let recorder = Recorder::new(space.hub().node());
    let mut attachment = space.attach(origin(), recorder.clone());
    let query = Query::new(Span::after(from.timetoken), 100);
    let subscribing = attachment.subscribe_with_history(room(), query);
    let (_, replay) = within("subscribe", subscribing).await.unwrap();
    let mut replay = replay.expect("it was not joined before");
    let mut read = 0;
    while let Some(page) = within("a page", replay.next_page()).await.unwrap() {
        read += page.entries.len();
        for entry in &page.entries {
            replay.deliver(&entry.publication);
        }
        tokio::task::yield_now().await;
    }
    let target = last.lock().seq.0 + 100;
    until("live publications arrive", || {
        recorder
            .positions()
            .last()
            .is_some_and(|p| p.seq.0 >= target)
    })
    .await;
    let seqs: Vec<_> = recorder.positions().iter().map(|p| p.seq.0).collect();
    let first = from.seq.0 + 1;
    let expected: Vec<_> = (first..first + seqs.len() as u64).collect();
    let differ = seqs
        .iter()
        .zip(&expected)
        .find(|(seen, wanted)| seen != wanted);
    assert_eq!(differ, None, "none is missing and none comes twice");
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_who_come_while_messages_flow_see_each_once() {
    let server = Arc::new(server().await);
    let stop = Arc::new(AtomicBool::new(false));
    let last = Arc::new(Mutex::new(Position::default()));
    let publishing = {
        let (server, stop, last) = (server.clone(), stop.clone(), last.clone());
        tokio::spawn(async move {
            let origin = origin();
            while !stop.load(Ordering::SeqCst) {
                let draft = Draft::new(room(), Payload::text("n"));
                let sent = server.space().publish(&origin, draft).await;
                let position = sent.unwrap().unwrap().position;
                *last.lock() = position;
                if position.seq.0.is_multiple_of(64) {
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    let mut read = 0;
    for _ in 0..20 {
        let from = *last.lock();
        until("there is something to read", || {
            last.lock().seq.0 > from.seq.0 + 500
        })
        .await;
        read += follow(&server, from, &last).await;
    }
    assert!(read > 20 * 500);
    stop.store(true, Ordering::SeqCst);
    within("publishing", publishing).await.unwrap();
}

#[tokio::test]
async fn numbers_go_on_when_nobody_was_there_for_a_while() {
    let server = server().await;
    let mut places = Vec::new();
    for n in 0..10 {
        let draft = Draft::new(room(), Payload::text("x"));
        // Nobody is there, so that the channel is forgotten by the hub each time.
        let sent = server.space().publish(&origin(), draft).await;
        places.push(sent.unwrap().unwrap().position);
        assert_eq!(places[n].seq.0, n as u64 + 1);
        assert_eq!(places[n].epoch, places[0].epoch);
    }
    let signal = Draft::new(room(), Payload::text("x")).retention(Retention::NONE);
    server.space().publish(&origin(), signal).await.unwrap();
    let draft = Draft::new(room(), Payload::text("x"));
    let sent = server.space().publish(&origin(), draft).await;
    assert_eq!(sent.unwrap().unwrap().position.seq.0, 11);
}

#[tokio::test]
async fn what_is_not_stored_is_not_lost_while_history_is_read() {
    let server = server().await;
    let space = server.space();
    let say = async |text: &'static str, retention| {
        let draft = Draft::new(room(), Payload::text(text)).retention(retention);
        space.publish(&origin(), draft).await.unwrap();
    };
    say("kept", Retention::DEFAULT).await;
    let recorder = Recorder::new(space.hub().node());
    let mut attachment = space.attach(origin(), recorder.clone());
    let query = Query::new(Span::ALL, 10);
    let (_, replay) = attachment
        .subscribe_with_history(room(), query)
        .await
        .unwrap();
    let mut replay = replay.unwrap();
    say("fleeting", Retention::NONE).await;
    say("kept too", Retention::DEFAULT).await;
    while let Some(page) = replay.next_page().await.unwrap() {
        for entry in &page.entries {
            replay.deliver(&entry.publication);
        }
    }
    say("live", Retention::DEFAULT).await;
    assert_eq!(recorder.texts(), ["kept", "kept too", "fleeting", "live"]);
    // Giving up in the middle lets live publications through.
    drop(replay);
    say("still", Retention::DEFAULT).await;
    recorder.wait_for(5).await;
    let (_, again) = attachment
        .subscribe_with_history(room(), query)
        .await
        .unwrap();
    assert!(again.is_none());
}
