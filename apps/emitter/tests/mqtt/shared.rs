//! Shared subscriptions: each message goes to one member of a group (MQTT 5.0 section 4.8.2).

use std::{collections::BTreeSet, net::SocketAddr};

use polywire_core::{
    AppRunner,
    testkit::{AllowAll, Bus},
};
use polywire_emitter::Emitter;

use crate::{
    client::{Client, Lasting, V5, message, text},
    server, start,
};

const FILTER: &str = "$share/group/a";

/// What has come to a member so far.
async fn received(member: &mut Client, found: &mut Vec<String>) {
    member.send(0xc0, &[]).await;
    loop {
        let (first, body) = member.packet().await;
        if first == 0xd0 {
            return;
        }
        assert_eq!(first, 0x32);
        let (_, id, payload) = message(&body);
        member.send_ack(0x40, id).await;
        found.push(payload);
    }
}

async fn publish(publisher: &mut Client, messages: std::ops::Range<u16>) {
    for n in messages {
        publisher
            .publish(1, false, n + 1, "a", &n.to_string())
            .await;
        publisher.expect_ack(0x40, n + 1).await;
    }
}

fn expected(messages: std::ops::Range<u16>) -> BTreeSet<String> {
    messages.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn each_message_goes_to_one_member() {
    let server = server().await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    let (mut one, _) = Client::connect(server, "one", Lasting::No).await;
    let (mut two, _) = Client::connect(server, "two", Lasting::No).await;
    one.subscribe(FILTER, 1).await;
    two.subscribe(FILTER, 1).await;
    publish(&mut publisher, 0..100).await;
    let (mut of_one, mut of_two) = (Vec::new(), Vec::new());
    received(&mut one, &mut of_one).await;
    received(&mut two, &mut of_two).await;
    assert!(!of_one.is_empty() && !of_two.is_empty());
    assert_eq!(of_one.len() + of_two.len(), 100, "each came once");
    let all: BTreeSet<_> = of_one.into_iter().chain(of_two).collect();
    assert_eq!(all, expected(0..100));
}

#[tokio::test]
async fn a_group_ends_with_its_last_member_and_begins_again() {
    let server = server().await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    for round in 0..3 {
        let mut members = Vec::new();
        for n in 0..4 {
            let (member, _) = Client::connect(server, &format!("{round}-{n}"), Lasting::No).await;
            members.push(member);
        }
        // All at once: one of them begins the group, and the others wait for it.
        let joining = members.iter_mut().map(|member| member.subscribe(FILTER, 1));
        futures_util::future::join_all(joining).await;
        publish(&mut publisher, 0..20).await;
        let mut found = Vec::new();
        for member in &mut members {
            received(member, &mut found).await;
        }
        assert_eq!(found.len(), 20, "each came once");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected(0..20));
        for mut member in members {
            member.send(0xe0, &[]).await;
            member.closed().await;
        }
    }
}

/// What a member had that is gone, without a session, goes to another one: what it has not confirmed of QoS 1, and what
/// waited for it. Of QoS 2 it may have what was sent (MQTT 5.0 section 4.8.2).
async fn hands_over(here: SocketAddr, there: SocketAddr) {
    let (mut publisher, _) = Client::connect(here, "p", Lasting::No).await;
    let (mut dies, _) = Client::connect(here, "dies", Lasting::No).await;
    dies.subscribe(FILTER, 1).await;
    publish(&mut publisher, 0..20).await;
    // The first half is confirmed.
    for n in 0..20 {
        let (_, body) = dies.packet().await;
        if n < 10 {
            dies.send_ack(0x40, message(&body).1).await;
        }
    }
    dies.ping().await;
    let (mut lives, _) = Client::connect(there, "lives", Lasting::No).await;
    lives.subscribe(FILTER, 1).await;
    lives.ping().await;
    drop(dies);
    let mut found = Vec::new();
    while found.len() < 10 {
        let (first, body) = lives.packet().await;
        assert_eq!(first, 0x32);
        let (topic, id, payload) = message(&body);
        assert_eq!(topic, "a");
        lives.send_ack(0x40, id).await;
        found.push(payload);
    }
    let expected: Vec<_> = (10..20).map(|n| n.to_string()).collect();
    assert_eq!(
        found, expected,
        "in order, and what was confirmed is not among it"
    );
    lives.ping().await;
}

#[tokio::test]
async fn what_a_member_leaves_behind_goes_to_another() {
    let server = server().await;
    hands_over(server, server).await;
}

#[tokio::test]
async fn what_a_member_leaves_behind_goes_to_another_node() {
    let bus = Bus::default();
    let node = || {
        AppRunner::builder(bus.node())
            .authentication(AllowAll)
            .app(Emitter::default())
    };
    let (here, _) = start(node()).await;
    let (there, _) = start(node()).await;
    hands_over(here, there).await;
}

#[tokio::test]
async fn of_qos_2_what_waits_goes_to_another_and_what_was_sent_does_not() {
    let server = server().await;
    // It takes two at a time: receive maximum.
    let rest = [&[3, 0x21, 0, 2][..], &text("dies")].concat();
    let (mut dies, _) = Client::hail(server, V5, 2, 0, &rest).await;
    dies.subscribe(FILTER, 2).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    for n in 1..=5 {
        publisher.publish(2, false, n, "a", &n.to_string()).await;
        publisher.expect_ack(0x50, n).await;
        publisher.send_ack(0x62, n).await;
        publisher.expect_ack(0x70, n).await;
    }
    for _ in 0..2 {
        assert_eq!(dies.packet().await.0, 0x34);
    }
    let (mut lives, _) = Client::connect(server, "lives", Lasting::No).await;
    lives.subscribe(FILTER, 2).await;
    drop(dies);
    let mut found = Vec::new();
    for _ in 3..=5 {
        let (first, body) = lives.packet().await;
        assert_eq!(first, 0x34);
        found.push(message(&body));
    }
    for (n, (_, id, payload)) in (3..=5).zip(found) {
        assert_eq!(payload, n.to_string());
        lives.send_ack(0x50, id).await;
        lives.expect_ack(0x62, id).await;
        lives.send_ack(0x70, id).await;
    }
    lives.ping().await;
}

/// Nobody but the server publishes on the channel of a group.
#[tokio::test]
async fn a_message_to_the_channel_of_a_group_is_for_no_member() {
    let server = server().await;
    let (mut member, _) = Client::connect(server, "member", Lasting::No).await;
    member.subscribe(FILTER, 0).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    publisher.publish(1, false, 1, FILTER, "x").await;
    publisher.expect_ack(0x40, 1).await;
    member.ping().await;
}
