//! Shared subscriptions: each message goes to one member of a group (MQTT 5.0 section 4.8.2).

use std::collections::BTreeSet;

use crate::{
    client::{Client, Lasting, message},
    server,
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
