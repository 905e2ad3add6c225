//! One authority: who may do what, until when, and what ends with it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use polywire_core::{
    AppRunner, Builder, Channel, ClientId, ConnectionId, CredentialId, Domain, Draft, Grant,
    Identity, Limits, Origin, Pattern, Payload, Permissions, RefusalKind, Rights, Scope, Space,
    delivery::{EndReason, Fanout, Receiver},
    space::{Action, Attachment, Revocation, Whom},
    testkit::{AllowAll, Bus},
};
use tokio::{sync::Notify, time::timeout};

/// Within this everything ends.
const SECOND: Duration = Duration::from_secs(5);

/// A connection that keeps what it gets and why it was ended.
struct Client {
    connection: ConnectionId,
    texts: Mutex<Vec<String>>,
    ended: Mutex<Option<EndReason>>,
    put_onto: Mutex<Vec<String>>,
    changed: Notify,
}

impl Client {
    fn new(space: &Space) -> Arc<Self> {
        Arc::new(Self {
            connection: ConnectionId::next(space.hub().node()),
            texts: Mutex::default(),
            ended: Mutex::default(),
            put_onto: Mutex::default(),
            changed: Notify::new(),
        })
    }

    async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is(self) {
                self.changed.notified().await;
            }
        };
        timeout(SECOND, wait)
            .await
            .unwrap_or_else(|_| panic!("{what} in time"));
    }

    async fn until_ended(&self) -> EndReason {
        self.until("it ends", |client| client.ended.lock().is_some())
            .await;
        self.ended.lock().clone().unwrap()
    }

    fn has_ended(&self) -> bool {
        self.ended.lock().is_some()
    }
}

impl Receiver for Client {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        if let Payload::Text(text) = &fanout.publication().payload {
            self.texts.lock().push(text.value().to_string());
        }
        self.changed.notify_one();
    }

    fn end(&self, why: &EndReason) {
        let before = self.ended.lock().replace(why.clone());
        assert_eq!(before, None, "it is told once");
        self.changed.notify_one();
    }

    fn subscribed(&self, channel: &Channel) {
        self.put_onto.lock().push(channel.to_string());
    }
}

async fn start(builder: Builder) -> Arc<Space> {
    let server = builder.authentication(AllowAll).build().await.unwrap();
    let space = server.space().clone();
    tokio::spawn(server.run(std::future::pending()));
    space
}

async fn one(compose: impl FnOnce(Builder) -> Builder) -> Arc<Space> {
    start(compose(AppRunner::builder(Bus::default().node()))).await
}

async fn two() -> [Arc<Space>; 2] {
    let bus = Bus::default();
    let [one, other] = [bus.node(), bus.node()].map(AppRunner::builder);
    let nodes = [start(one).await, start(other).await];
    for (node, other) in [(0, 1), (1, 0)] {
        let other = nodes[other].hub().node();
        let mut changes = nodes[node].nodes().watch();
        while !nodes[node].nodes().is_there(other) {
            changes.changed().await.unwrap();
        }
    }
    nodes
}

fn channel(name: &str) -> Channel {
    Channel::new(name).unwrap()
}

fn client(id: &str) -> ClientId {
    ClientId::new(id).unwrap()
}

fn origin(identity: Identity) -> Origin {
    Origin::new("test", identity)
}

/// May do everything until `end`.
fn until(end: SystemTime) -> Identity {
    Identity {
        expires_at: Some(end),
        ..Identity::unrestricted()
    }
}

fn soon() -> SystemTime {
    SystemTime::now() + Duration::from_millis(300)
}

async fn joined(space: &Arc<Space>, identity: Identity, name: &str) -> (Attachment, Arc<Client>) {
    let receiver = Client::new(space);
    let mut attachment = space.attach(origin(identity), receiver.clone());
    attachment.subscribe(channel(name)).await.unwrap();
    (attachment, receiver)
}

async fn say(space: &Space, name: &str, text: &'static str) {
    let origin = origin(Identity::unrestricted());
    let draft = Draft::new(channel(name), Payload::text(text));
    space.publish(&origin, draft).await.unwrap();
}

#[tokio::test]
async fn a_connection_ends_with_its_credential_and_others_go_on() {
    let space = one(|builder| builder).await;
    let (mut ending, ended) = joined(&space, until(soon()), "room").await;
    let (_attachment, other) = joined(&space, Identity::unrestricted(), "room").await;
    say(&space, "room", "before").await;
    assert_eq!(ended.until_ended().await, EndReason::Expired);
    say(&space, "room", "after").await;
    other
        .until("both", |client| client.texts.lock().len() == 2)
        .await;
    assert_eq!(*ended.texts.lock(), ["before"]);
    assert!(!other.has_ended());
    let refused = ending.subscribe(channel("hall")).await.unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Forbidden);
    assert_eq!(space.hub().count(&channel("hall")), 0);
}

#[tokio::test]
async fn a_grant_that_ends_takes_with_it_who_needs_it() {
    let space = one(|builder| builder).await;
    let grant = |name: &str, expires_at| Grant {
        scope: Scope::Channel(channel(name)),
        permissions: Permissions::READ,
        expires_at,
    };
    let identity = || Identity {
        grants: vec![grant("long", None), grant("short", Some(soon()))],
        ..Identity::default()
    };
    let (_one, on_long) = joined(&space, identity(), "long").await;
    let (_other, on_short) = joined(&space, identity(), "short").await;
    assert_eq!(on_short.until_ended().await, EndReason::Expired);
    assert!(!on_long.has_ended());
    // What an app joins on its own account needs no grant.
    let receiver = Client::new(&space);
    let mut attachment = space.attach(origin(identity()), receiver.clone());
    attachment.join(channel("all")).await;
    let (_third, third) = joined(&space, identity(), "short").await;
    third.until_ended().await;
    assert!(!receiver.has_ended());
}

#[tokio::test]
async fn who_has_expired_before_it_comes_is_ended_at_once() {
    let space = one(|builder| builder).await;
    let receiver = Client::new(&space);
    let past = SystemTime::now() - Duration::from_secs(1);
    let mut attachment = space.attach(origin(until(past)), receiver.clone());
    assert!(receiver.has_ended());
    assert!(attachment.subscribe(channel("room")).await.is_err());
}

/// Identities by what can be taken back of them.
fn known(id: &str, credential: &str, issued_secs_ago: u64) -> Identity {
    Identity {
        client: Some(client(id)),
        credential: Some(CredentialId::new(credential)),
        issued_at: Some(SystemTime::now() - Duration::from_secs(issued_secs_ago)),
        ..Identity::unrestricted()
    }
}

#[tokio::test]
async fn a_revocation_reaches_every_node_and_nobody_else() {
    let [here, there] = two().await;
    let ann_here = joined(&here, known("ann", "t1", 60), "room").await;
    let ann_there = joined(&there, known("ann", "t2", 60), "room").await;
    let bob_there = joined(&there, known("bob", "t3", 60), "room").await;
    let old_there = joined(&there, known("old", "t4", 3600), "room").await;
    let anonymous = joined(&there, Identity::unrestricted(), "room").await;

    let t2 = Revocation::Credential(CredentialId::new("t2"));
    here.revoke(&t2).await.unwrap();
    assert_eq!(ann_there.1.until_ended().await, EndReason::Revoked);
    assert!(!ann_here.1.has_ended(), "she has another credential here");
    here.revoke(&Revocation::Client(client("ann")))
        .await
        .unwrap();
    assert_eq!(ann_here.1.until_ended().await, EndReason::Revoked);
    let before = SystemTime::now() - Duration::from_secs(600);
    there
        .revoke(&Revocation::IssuedBefore(before))
        .await
        .unwrap();
    assert_eq!(old_there.1.until_ended().await, EndReason::Revoked);

    say(&here, "room", "after").await;
    for (_, client) in [&bob_there, &anonymous] {
        client
            .until("it", |client| client.texts.lock().len() == 1)
            .await;
        assert!(!client.has_ended());
    }
    for (_, client) in [&ann_here, &ann_there, &old_there] {
        assert!(client.texts.lock().is_empty());
    }
    // They are refused from then on, also where they have no connection.
    let publish = |identity| {
        let origin = origin(identity);
        there.authorize(&origin, Action::Publish(&channel("room")))
    };
    assert!(publish(known("ann", "t9", 60)).is_err(), "issued before");
    assert!(publish(known("eve", "t4", 3600)).is_err());
    assert!(publish(known("bob", "t3", 60)).is_ok());
    let issued_later = Identity {
        issued_at: Some(SystemTime::now() + Duration::from_secs(1)),
        ..known("ann", "t5", 0)
    };
    assert!(publish(issued_later).is_ok());
    // What was taken back can be given back.
    here.lift_revocation(&Revocation::Client(client("ann")))
        .await
        .unwrap();
    assert!(
        here.authorize(
            &origin(known("ann", "t1", 60)),
            Action::Publish(&channel("room"))
        )
        .is_ok()
    );
}

#[tokio::test]
async fn an_operator_reaches_connections_on_every_node() {
    let [here, there] = two().await;
    let (mut attachment, ann) = joined(&there, Identity::unrestricted(), "room").await;
    attachment.connect(client("ann")).await;
    let (_bob, bob) = joined(&there, Identity::unrestricted(), "room").await;
    let ann_is = |name: &'static str| {
        let there = there.clone();
        move || there.presence().occupancy(&channel(name))
    };
    let whom = Whom::Client(client("ann"));
    here.subscribe(&whom, &channel("hall")).await.unwrap();
    timeout(SECOND, async {
        while ann_is("hall")() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(ann.put_onto.lock().contains(&"hall".to_owned()));
    say(&here, "hall", "in the hall").await;
    ann.until("the text", |ann| !ann.texts.lock().is_empty())
        .await;
    let seen = there.connections(&whom);
    let [seen] = &*seen else {
        panic!("she is there once: {seen:?}");
    };
    assert_eq!(seen.connection, ann.connection);
    assert!(seen.channels.contains(&channel("hall")), "{seen:?}");
    assert!(here.connections(&whom).is_empty(), "on another node");
    here.unsubscribe(&whom, &channel("hall")).await.unwrap();
    timeout(SECOND, async {
        while ann_is("hall")() == 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(there.hub().count(&channel("hall")), 0);
    here.disconnect(&whom, 4321, "Go and rest").await.unwrap();
    let EndReason::Disconnected(reason) = ann.until_ended().await else {
        panic!("another reason");
    };
    assert_eq!((reason.code, &*reason.reason), (4321, "Go and rest"));
    assert!(there.connections(&whom).is_empty());
    assert!(!bob.has_ended());
    let whom = Whom::Connection(bob.connection);
    here.disconnect(&whom, 4000, "You too").await.unwrap();
    bob.until_ended().await;
}

#[tokio::test]
async fn no_name_of_another_domain_is_reached_by_any_spelling() {
    let (tenant, other) = (
        Domain::new("pubnub", "s2"),
        Domain::new("webpubsub", "chat"),
    );
    let bridged = (Domain::COMMON, other.clone());
    let space = one(|builder| builder.bridge(bridged.0, bridged.1)).await;
    let of = |domain: &Domain| {
        origin(Identity {
            domain: domain.clone(),
            ..Identity::unrestricted()
        })
    };
    let may = |domain: &Domain, name: &str| {
        let (origin, channel) = (of(domain), channel(name));
        let actions = [
            Action::Subscribe(&channel),
            Action::Publish(&channel),
            Action::SeePresence(&channel),
            Action::SetState(&channel),
            Action::ReadHistory(&channel),
            Action::DeleteHistory(&channel),
            Action::ManageChannel(&channel),
            Action::SubscribeGroup(channel.as_str()),
            Action::ManageGroup(channel.as_str()),
        ];
        let allowed = actions.map(|action| space.authorize(&origin, action).is_ok());
        assert!(
            allowed.iter().all(|one| *one == allowed[0]),
            "{name}: {allowed:?}"
        );
        allowed[0]
    };
    let (in_tenant, in_other) = (tenant.qualify("room"), other.qualify("room"));
    assert!(may(&tenant, &in_tenant) && may(&Domain::COMMON, "room"));
    for name in [
        "room",
        &in_other,
        "$domain/pubnub:s3/room",
        "$domain/",
        "$SYS/x",
    ] {
        assert!(!may(&tenant, name), "{name}");
    }
    assert!(!may(&Domain::COMMON, &in_tenant));
    // Over a bridge everything is not everything: it takes a grant that names it.
    assert!(!may(&Domain::COMMON, &in_other));
    let named = origin(Identity {
        grants: vec![Grant::new(
            Scope::Channel(channel(&in_other)),
            Permissions::ALL,
        )],
        ..Identity::default()
    });
    let there = channel(&in_other);
    assert!(
        space.authorize(&named, Action::Publish(&there)).is_ok(),
        "there is a bridge"
    );
    let elsewhere = channel(&in_tenant);
    assert!(
        space
            .authorize(&named, Action::Publish(&elsewhere))
            .is_err()
    );
    assert!(!may(&other, "room"), "a bridge goes one way");
    for domain in [&Domain::COMMON, &tenant, &other] {
        assert!(!may(domain, "$polywire/anything"));
        let patterns = [
            "$polywire/#",
            "$domain/#",
            "$domain/+/room",
            "$domain/pubnub:s3/#",
        ];
        for pattern in patterns {
            let pattern = Pattern::mqtt(pattern).unwrap();
            let action = Action::SubscribePattern(&pattern);
            assert!(space.authorize(&of(domain), action).is_err(), "{pattern:?}");
        }
    }
    let ann = client("ann");
    assert!(space.authorize(&of(&tenant), Action::SendTo(&ann)).is_err());
    assert!(
        space
            .authorize(&of(&tenant), Action::ReceiveAs(&ann))
            .is_err()
    );
}

#[tokio::test]
async fn an_app_is_confined_whatever_is_granted() {
    let factory = Rights {
        read: vec!["factory/#".into()],
        write: vec!["factory/orders".into()],
        ..Rights::default()
    };
    let space = one(|builder| builder.confine("test", factory)).await;
    let everybody = origin(Identity::unrestricted());
    let other_app = Origin::new("other", Identity::unrestricted());
    let check = |origin: &Origin, action: Action<'_>| space.authorize(origin, action).is_ok();
    let (orders, news) = (channel("factory/orders"), channel("news"));
    let (below, all) = ["factory/+/x", "#"]
        .map(|text| Pattern::mqtt(text).unwrap())
        .into();
    assert!(check(&everybody, Action::Subscribe(&orders)));
    assert!(check(&everybody, Action::Publish(&orders)));
    assert!(check(&everybody, Action::SubscribePattern(&below)));
    assert!(!check(
        &everybody,
        Action::Publish(&channel("factory/plans"))
    ));
    assert!(!check(&everybody, Action::Subscribe(&news)));
    assert!(!check(&everybody, Action::SubscribePattern(&all)));
    assert!(!check(&everybody, Action::SendTo(&client("ann"))));
    assert!(check(&other_app, Action::Subscribe(&news)));
}

#[tokio::test]
async fn a_proven_id_counts_and_a_claimed_one_gets_nobodys_private_messages() {
    let space = one(|builder| builder).await;
    let proven = |refuses| Identity {
        client: Some(client("ann")),
        refuses_other_ids: refuses,
        grants: vec![Grant::new(
            Scope::Channel(channel("room")),
            Permissions::READ,
        )],
        ..Identity::default()
    };
    let read_room = || Identity {
        client: None,
        ..proven(false)
    };
    let id = |identity, claimed: &str| space.identify(&origin(identity), client(claimed));
    assert_eq!(id(proven(false), "bob"), Ok(client("ann")));
    assert!(id(proven(true), "bob").is_err());
    assert_eq!(id(proven(true), "ann"), Ok(client("ann")));
    assert_eq!(id(read_room(), "bob"), Ok(client("bob")));

    let send = async |to: &str| {
        let draft = Draft::new(client(to), Payload::text("private"));
        space
            .publish(&origin(Identity::unrestricted()), draft)
            .await
            .unwrap();
    };
    let (mut ann, ann_gets) = joined(&space, proven(false), "room").await;
    ann.connect(client("ann")).await;
    let (mut mallory, mallory_gets) = joined(&space, read_room(), "room").await;
    mallory.connect(client("ann")).await;
    send("ann").await;
    ann_gets
        .until("it", |ann| ann.texts.lock().len() == 1)
        .await;
    assert!(mallory_gets.texts.lock().is_empty());

    // Who publishes is proven or only says so.
    let (_all, all) = joined(&space, Identity::unrestricted(), "news").await;
    let mut publisher = proven(false);
    publisher.grants[0] = Grant::new(Scope::Everything, Permissions::ALL);
    for (id, expected) in [("ann", true), ("bob", false)] {
        let listener_space = space.clone();
        let seen = Arc::new(Mutex::new(None));
        let sees = seen.clone();
        let _listener = listener_space
            .listen(channel("news"), move |publication| {
                *sees.lock() = Some(publication.proven_publisher().is_some());
            })
            .await;
        let draft = Draft::new(channel("news"), Payload::text("x")).publisher(client(id));
        space
            .publish(&origin(publisher.clone()), draft)
            .await
            .unwrap();
        assert_eq!(*seen.lock(), Some(expected));
    }
    all.until("both", |all| all.texts.lock().len() == 2).await;
}

#[tokio::test]
async fn a_connection_ends_with_any_credential_that_it_rests_on() {
    let space = one(|builder| builder).await;
    let of = |credential: &str| {
        Arc::new(Identity {
            client: None,
            ..known("nobody", credential, 60)
        })
    };
    let receiver = Client::new(&space);
    let mut attachment = space.attach(origin(Identity::default()), receiver.clone());
    // What it joins itself, and what is joined elsewhere in its place.
    attachment.act_as(&of("k1"));
    attachment.subscribe(channel("room")).await.unwrap();
    attachment.act_as(&of("k2"));
    attachment.rest_on_identity().unwrap();
    attachment.act_as(&of("k3"));
    let revoke = async |credential| {
        let revocation = Revocation::Credential(CredentialId::new(credential));
        space.revoke(&revocation).await.unwrap();
    };
    revoke("k3").await;
    say(&space, "room", "it has only shown this one").await;
    receiver
        .until("it", |client| client.texts.lock().len() == 1)
        .await;
    assert!(!receiver.has_ended());
    revoke("k2").await;
    assert_eq!(receiver.until_ended().await, EndReason::Revoked);
    assert_eq!(space.hub().count(&channel("room")), 0);
}

#[tokio::test]
async fn a_connection_rests_on_so_many_credentials_and_no_more() {
    let limits = Limits {
        channels_per_connection_max: 3,
        ..Limits::default()
    };
    let space = one(|builder| builder.limits(limits)).await;
    let receiver = Client::new(&space);
    let mut attachment = space.attach(origin(Identity::default()), receiver);
    let mut show = async |credential: &str| {
        let identity = Identity {
            issued_at: None,
            ..known("ann", credential, 60)
        };
        attachment.act_as(&Arc::new(identity));
        attachment.subscribe(channel("room")).await?;
        attachment.unsubscribe(channel("room")).await
    };
    for _ in 0..9 {
        show("the same, read anew each time").await.unwrap();
    }
    for other in ["k1", "k2"] {
        show(other).await.unwrap();
    }
    assert_eq!(
        show("k3").await.unwrap_err().kind,
        RefusalKind::LimitExceeded
    );
}
