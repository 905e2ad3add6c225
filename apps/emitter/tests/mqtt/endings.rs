//! Rights end while somebody uses them: clients are told, and sessions that wait for their clients end too.

use std::time::Duration;

use polywire_core::{
    AppRunner, ClientId,
    space::{Revocation, Whom},
    testkit::{AllowAll, Bus, LocalBackend},
};

use crate::{
    client::{Client, Hello, Lasting, SOON, V3, V5, message},
    keys::{self, ban},
    policy::{as_user, guarded, server},
    start,
};

const LEVELS: [u8; 2] = [V3, V5];

/// Waits for the end, with this reason where the version has a word for it.
async fn is_ended(client: &mut Client, level: u8, reason: u8) {
    loop {
        match client.next().await {
            // What was on its way.
            Some((first, _)) if first & 0xf0 == 0x30 => {}
            Some((first, body)) => {
                assert_eq!((level, first, body[0]), (V5, 0xe0, reason));
                return client.closed().await;
            }
            None => return assert_eq!(level, V3, "the reason is missing"),
        }
    }
}

fn of_ann() -> Revocation {
    Revocation::Client(ClientId::new("ann").unwrap())
}

#[tokio::test]
async fn a_ban_ends_what_rests_on_the_key() {
    let (server, _) = start(guarded(LocalBackend::default())).await;
    let (mut admin, _) = Client::connect(server, "admin", Lasting::No).await;
    for level in LEVELS {
        let key = keys::key("a/#/", "rp");
        let other = keys::key("a/#/", "r");
        let of = |id| Hello {
            level,
            id,
            ..Hello::default()
        };
        let (mut subscriber, _) = Client::enter(server, &of("subscriber")).await;
        subscriber.subscribe(&format!("{key}/a/b/"), 0).await;
        let (mut member, _) = Client::enter(server, &of("member")).await;
        member.subscribe(&format!("{key}/$share/g/a/b/"), 0).await;
        let (mut undisturbed, _) = Client::enter(server, &of("undisturbed")).await;
        undisturbed.subscribe(&format!("{other}/a/b/"), 0).await;
        let (mut watcher, _) = Client::enter(server, &of("watcher")).await;
        let watch = format!(r#"{{"key":"{key}","channel":"a/b/","status":true,"changes":true}}"#);
        watcher
            .publish(0, false, 0, "emitter/presence/", &watch)
            .await;
        assert_eq!(watcher.packet().await.0, 0x30);
        ban(&mut admin, &key, true).await;
        for client in [&mut subscriber, &mut member, &mut watcher] {
            is_ended(client, level, 0x87).await;
        }
        undisturbed.ping().await;
    }
}

#[tokio::test]
async fn a_key_that_ends_ends_what_rests_on_it() {
    let (server, _) = start(guarded(LocalBackend::default())).await;
    for level in LEVELS {
        let life = Some(Duration::from_secs(1));
        let key = keys::app().make_key("a/#/", "r", life).unwrap();
        let hello = Hello {
            level,
            ..Hello::default()
        };
        let (mut client, _) = Client::enter(server, &hello).await;
        client.subscribe(&format!("{key}/a/b/"), 0).await;
        is_ended(&mut client, level, 0x87).await;
    }
}

#[tokio::test]
async fn who_is_sent_away_is_told_and_so_is_whose_credential_ends() {
    let (server, space) = server().await;
    for level in LEVELS {
        let of = |name| Hello {
            level,
            ..as_user(name, "device", Lasting::No)
        };
        let (mut short, _) = Client::enter(server, &of("short")).await;
        is_ended(&mut short, level, 0x87).await;
        let (mut ann, _) = Client::enter(server, &of("ann")).await;
        ann.subscribe("iot/ann/#", 0).await;
        let whom = Whom::Client(ClientId::new("ann").unwrap());
        space.disconnect(&whom, 4000, "go").await.unwrap();
        is_ended(&mut ann, level, 0x98).await;
    }
}

#[tokio::test]
async fn a_session_that_is_away_ends_with_its_rights() {
    let (server, space) = server().await;
    let hello = as_user("ann", "device", Lasting::Yes);
    let (mut publisher, _) = Client::enter(server, &as_user("bob", "p", Lasting::No)).await;
    let (mut ann, _) = Client::enter(server, &hello).await;
    ann.subscribe("iot/ann/#", 1).await;
    ann.send(0xe0, &[]).await;
    ann.closed().await;
    let (mut other, _) = Client::enter(server, &as_user("ann", "other", Lasting::No)).await;
    other.publish(1, false, 1, "iot/ann/x", "waits").await;
    other.expect_ack(0x40, 1).await;
    // Without the revocation it is there.
    let (mut back, was_there) = Client::enter(server, &hello).await;
    assert!(was_there);
    let (_, body) = back.packet().await;
    assert_eq!(message(&body).2, "waits");
    back.send(0xe0, &[]).await;
    back.closed().await;
    space.revoke(&of_ann()).await.unwrap();
    other.closed().await;
    // What is issued later counts, by a clock of milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let (mut anew, was_there) = Client::enter(server, &hello).await;
    assert!(!was_there);
    anew.ping().await;
    publisher.ping().await;
}

#[tokio::test]
async fn a_will_is_not_published_by_rights_that_were_taken_back() {
    let (server, space) = server().await;
    let (mut staff, _) = Client::enter(server, &as_user("staff", "s", Lasting::No)).await;
    staff.subscribe("iot/#", 0).await;
    let hello = |name, topic| Hello {
        will: Some((topic, "lost")),
        ..as_user(name, "device", Lasting::No)
    };
    let (mut ann, _) = Client::enter(server, &hello("ann", "iot/ann/will")).await;
    let (bob, _) = Client::enter(server, &hello("bob", "iot/bob/will")).await;
    let (eve, _) = Client::enter(server, &hello("staff", "iot/bob/will")).await;
    space.revoke(&of_ann()).await.unwrap();
    ann.closed().await;
    drop(eve);
    drop(bob);
    assert_eq!(
        staff.packet().await,
        (0x30, b"\0\x0ciot/bob/willlost".to_vec())
    );
    staff.ping().await;
}

#[tokio::test]
async fn rights_end_on_all_nodes() {
    let bus = Bus::default();
    let (here, _) = start(guarded(bus.node())).await;
    let (there, space) = start(guarded(bus.node())).await;
    let (mut admin, _) = Client::connect(there, "admin", Lasting::No).await;
    for level in LEVELS {
        let hello = Hello {
            level,
            ..as_user("ann", "here", Lasting::No)
        };
        let (mut ann, _) = Client::enter(here, &hello).await;
        ann.subscribe("iot/ann/#", 1).await;
        let away = as_user("ann", "away", Lasting::Yes);
        let (mut gone, _) = Client::enter(here, &away).await;
        gone.subscribe("iot/ann/#", 1).await;
        gone.send(0xe0, &[]).await;
        gone.closed().await;
        let key = keys::key("a/#/", "r");
        let (mut keyed, _) = Client::enter(
            here,
            &Hello {
                level,
                ..Hello::default()
            },
        )
        .await;
        keyed.subscribe(&format!("{key}/a/"), 0).await;
        space.revoke(&of_ann()).await.unwrap();
        ban(&mut admin, &key, true).await;
        is_ended(&mut ann, level, 0x87).await;
        is_ended(&mut keyed, level, 0x87).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let back = async {
            let (_, was_there) = Client::enter(here, &away).await;
            assert!(!was_there);
        };
        tokio::time::timeout(SOON, back).await.unwrap();
    }
}

/// How many sessions there are, as the server says.
async fn sessions(watcher: &mut Client) -> String {
    watcher.subscribe("$SYS/broker/clients/total", 0).await;
    let (_, body) = watcher.packet().await;
    String::from_utf8(body[2 + "$SYS/broker/clients/total".len()..].to_vec()).unwrap()
}

#[tokio::test]
async fn a_session_that_is_away_is_given_up_when_it_ends() {
    let builder = AppRunner::builder(LocalBackend::default()).authentication(AllowAll);
    let (server, space) = start(builder.app(keys::app())).await;
    let (mut watcher, _) = Client::connect(server, "watcher", Lasting::No).await;
    let (mut away, _) = Client::connect(server, "away", Lasting::Yes).await;
    away.subscribe("a", 1).await;
    away.send(0xe0, &[]).await;
    away.closed().await;
    assert_eq!(sessions(&mut watcher).await, "2");
    let whom = Whom::Client(ClientId::new("away").unwrap());
    space.disconnect(&whom, 4000, "go").await.unwrap();
    let given_up = async { while sessions(&mut watcher).await != "1" {} };
    tokio::time::timeout(SOON, given_up).await.unwrap();
    let (_, was_there) = Client::connect(server, "away", Lasting::Yes).await;
    assert!(!was_there);
}
