//! Plain MQTT by an authentication policy: user names and passwords, and what they give.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use polywire_core::{
    AppRunner, AuthenticationError, AuthenticationPolicy, Builder, ClientId, CredentialId,
    Credentials, Identity, PubSubBackend, Rights, Space, testkit::LocalBackend,
};
use polywire_emitter::{Emitter, Faces};

use crate::{
    client::{Client, Hello, Lasting, V3, V5},
    start,
};

/// Lets in `ann`, `bob`, `eve`, `short` and `staff` by the password `right`. Each reads news, and reads and writes what is
/// below `iot/NAME`; staff read all below `iot`. Short's rights end in two seconds, and eve must use her name as the client id.
pub(crate) struct Users;

#[async_trait]
impl AuthenticationPolicy for Users {
    async fn authenticate(&self, shown: &Credentials) -> Result<Identity, AuthenticationError> {
        let Some(password) = &shown.token else {
            return Err(AuthenticationError::Missing);
        };
        let name = match (shown.user.as_deref(), &**password) {
            (Some(name @ ("ann" | "bob" | "eve" | "short" | "staff")), "right") => name,
            _ => return Err(AuthenticationError::Refused),
        };
        let client = ClientId::new(name).unwrap();
        let below = if name == "staff" {
            "iot/#"
        } else {
            "iot/{client}/#"
        };
        let rights = Rights {
            read: vec!["news/#".into(), below.into()],
            write: vec!["iot/{client}/#".into()],
            ..Rights::default()
        };
        let life = (name == "short").then(|| SystemTime::now() + Duration::from_secs(2));
        Ok(Identity {
            grants: rights.grants(Some(&client), None).unwrap(),
            credential: Some(CredentialId::new(&format!("user:{name}"))),
            issued_at: Some(SystemTime::now()),
            expires_at: life,
            refuses_other_ids: name == "eve",
            client: Some(client),
            ..Identity::default()
        })
    }
}

/// A server where users are asked for their password, on this backend.
pub(crate) fn guarded<B: PubSubBackend>(backend: B) -> Builder {
    let app = super::keys::app().faces(Faces::Both).authenticate(true);
    AppRunner::builder(backend).authentication(Users).app(app)
}

pub(crate) async fn server() -> (SocketAddr, Arc<Space>) {
    start(guarded(LocalBackend::default())).await
}

pub(crate) fn as_user<'h>(name: &'h str, id: &'h str, lasting: Lasting) -> Hello<'h> {
    Hello {
        id,
        lasting,
        login: Some((name, "right")),
        ..Hello::default()
    }
}

#[tokio::test]
async fn a_password_gives_what_the_policy_says() {
    let (server, _) = server().await;
    for level in [V3, V5] {
        let hello = Hello {
            level,
            ..as_user("ann", "device", Lasting::No)
        };
        let (mut ann, _) = Client::enter(server, &hello).await;
        let refused = if level == V5 { 0x87 } else { 0x80 };
        for (filter, answer) in [
            ("news/de", 1),
            ("news/#", 1),
            ("$share/g/news/+", 1),
            ("iot/ann/light", 1),
            ("iot/bob/light", refused),
            ("iot/+/light", refused),
            ("$share/g/iot/+/light", refused),
            ("#", refused),
            ("+/+", refused),
            ("$SYS/#", refused),
            ("$polywire/#", refused),
            ("$domain/pubnub:demo/room", refused),
        ] {
            assert_eq!(ann.ask_to_subscribe(filter, 1).await, answer, "{filter}");
        }
        let (mut watcher, _) = Client::enter(server, &as_user("bob", "w", Lasting::No)).await;
        watcher.subscribe("news/#", 0).await;
        ann.publish(1, false, 1, "news/de", "not hers to write")
            .await;
        let (first, answer) = ann.packet().await;
        assert_eq!(first, 0x40);
        assert_eq!(answer.get(2), (level == V5).then_some(&0x87));
        watcher.ping().await;
    }
}

#[tokio::test]
async fn wrong_passwords_are_refused_at_open_doors_too() {
    let open = AppRunner::builder(LocalBackend::default()).authentication(Users);
    let open = open.anonymous(Rights {
        read: vec!["news/#".into()],
        ..Rights::default()
    });
    let app = Emitter::default().faces(Faces::Plain);
    let (open, _) = start(open.app(app)).await;
    let (closed, _) = server().await;
    for server in [open, closed] {
        for login in [("ann", "wrong"), ("nobody", "right")] {
            let hello = Hello {
                login: Some(login),
                ..Hello::default()
            };
            let (_, answer) = Client::greet(server, &hello).await;
            assert_eq!(answer[1], 4, "{login:?}");
        }
    }
    let (mut anonymous, _) = Client::enter(open, &Hello::default()).await;
    anonymous.subscribe("news/de", 0).await;
    assert_eq!(anonymous.ask_to_subscribe("iot/ann/x", 0).await, 0x80);
    let (mut ann, _) = Client::enter(open, &as_user("ann", "c2", Lasting::No)).await;
    ann.subscribe("iot/ann/x", 0).await;
}

#[tokio::test]
async fn retained_messages_are_those_of_filters_that_were_allowed() {
    let (server, _) = server().await;
    let (mut bob, _) = Client::enter(server, &as_user("bob", "b", Lasting::No)).await;
    // Retained, at QoS 1.
    let mut body = crate::client::text("iot/bob/light");
    body.extend([0, 1]);
    body.extend(b"on");
    bob.send(0x33, &body).await;
    bob.expect_ack(0x40, 1).await;
    bob.subscribe("iot/bob/#", 0).await;
    assert_eq!(bob.packet().await.0, 0x31);
    let (mut ann, _) = Client::enter(server, &as_user("ann", "a", Lasting::No)).await;
    for filter in ["#", "iot/#", "iot/+/light", "iot/bob/light"] {
        assert_eq!(ann.ask_to_subscribe(filter, 0).await, 0x80, "{filter}");
    }
    ann.ping().await;
}
