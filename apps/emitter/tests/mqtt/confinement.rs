//! What the clients of the app may reach at most, and what the server does with them.

use polywire_core::{
    AppRunner, Channel, ClientId, Rights,
    space::Whom,
    testkit::{AllowAll, LocalBackend},
};

use crate::{
    client::{Client, Hello, Lasting, V3, V5, message, text},
    keys::{app, key},
    policy::{as_user, server},
    start,
};

#[tokio::test]
async fn a_confined_app_reaches_its_channels_and_no_others() {
    let builder = AppRunner::builder(LocalBackend::default()).authentication(AllowAll);
    let below = vec!["factory/#".to_owned()];
    let rights = Rights {
        read: below.clone(),
        write: below,
        ..Rights::default()
    };
    let builder = builder.confine("emitter", rights).app(app());
    let (server, space) = start(builder).await;
    let all = key("#/", "rwlp");
    let (mut keyed, _) = Client::connect(server, "keyed", Lasting::No).await;
    for (filter, answer) in [
        ("factory/", 0),
        ("factory/a/", 0),
        ("factory/+/a/", 0),
        ("$share/g/factory/a/", 0),
        ("office/", 0x80),
        ("+/a/", 0x80),
        ("#/", 0x80),
        ("$share/g/office/", 0x80),
    ] {
        let filter = format!("{all}/{filter}");
        assert_eq!(keyed.ask_to_subscribe(&filter, 0).await, answer, "{filter}");
    }
    let (mut plain, _) = Client::connect(server, "plain", Lasting::No).await;
    for (filter, answer) in [
        ("factory/#", 0),
        ("$share/g/factory/+", 0),
        ("office", 0x80),
        ("#", 0x80),
        ("+/a", 0x80),
        ("$share/g/#", 0x80),
        ("$SYS/broker/uptime", 0x80),
    ] {
        assert_eq!(plain.ask_to_subscribe(filter, 0).await, answer, "{filter}");
    }
    // Retained, at QoS 1: neither published nor kept.
    let mut body = text("office/a");
    body.extend([0, 1]);
    body.extend(b"secret");
    plain.send(0x33, &body).await;
    plain.expect_ack(0x40, 1).await;
    assert_eq!(space.hub().traffic().published(), 0);
}

#[tokio::test]
async fn the_server_puts_clients_onto_channels_and_takes_them_off() {
    let (server, space) = server().await;
    let whom = Whom::Client(ClientId::new("ann").unwrap());
    let channel = Channel::new("iot/bob/x").unwrap();
    let (mut bob, _) = Client::enter(server, &as_user("bob", "p", Lasting::No)).await;
    for level in [V3, V5] {
        let hello = Hello {
            level,
            ..as_user("ann", "device", Lasting::No)
        };
        let (mut ann, _) = Client::enter(server, &hello).await;
        ann.subscribe("iot/ann/#", 0).await;
        for _ in 0..2 {
            space.subscribe(&whom, &channel).await.unwrap();
        }
        bob.publish(1, false, 1, "iot/bob/x", "for ann").await;
        bob.expect_ack(0x40, 1).await;
        let (first, body) = ann.packet().await;
        assert_eq!(first, 0x32);
        if level == V3 {
            assert_eq!(message(&body).2, "for ann");
        }
        for _ in 0..2 {
            space.unsubscribe(&whom, &channel).await.unwrap();
        }
        bob.publish(1, false, 2, "iot/bob/x", "for nobody").await;
        bob.expect_ack(0x40, 2).await;
        ann.ping().await;
    }
}
