//! Rights by the authentication policy, and of anonymous clients.

use polywire_core::{
    AuthenticationError, AuthenticationPolicy, ClientId, Composition, CredentialId, Credentials,
    Identity, Rights,
};
use polywire_pubnub::PubNub;
use polywire_testing::Server;
use serde_json::json;

/// Knows `ann` and `staff` by their names.
struct Names;

#[async_trait::async_trait]
impl AuthenticationPolicy for Names {
    async fn authenticate(&self, shown: &Credentials) -> Result<Identity, AuthenticationError> {
        let ann = ClientId::new("ann").unwrap();
        let rights = |rights: Rights| rights.grants(None, None).unwrap();
        match shown.token.as_deref() {
            None => Err(AuthenticationError::Missing),
            Some("ann") => Ok(Identity {
                client: Some(ann),
                credential: Some(CredentialId::new("ann's")),
                grants: rights(Rights {
                    read: vec!["room".into(), "a.*".into()],
                    write: vec!["room".into()],
                    ..Rights::default()
                }),
                ..Identity::default()
            }),
            Some("staff") => Ok(Identity {
                grants: rights(Rights::everything()),
                ..Identity::default()
            }),
            Some(_) => Err(AuthenticationError::Refused),
        }
    }
}

const TWO: &str = "[[key_sets]]\npublish_key = \"p1\"\nsubscribe_key = \"s1\"\n\
                   [[key_sets]]\npublish_key = \"p2\"\nsubscribe_key = \"s2\"\n";

fn start(section: &str, anonymous: Option<Rights>) -> Server {
    let section = format!("hold_secs = 1\n{section}{TWO}");
    let builder = Server::compose::<PubNub>(&section).authentication(Names);
    Server::start(match anonymous {
        Some(rights) => builder.anonymous(rights),
        None => builder,
    })
}

fn news() -> Option<Rights> {
    Some(Rights {
        read: vec!["news/#".into()],
        ..Rights::default()
    })
}

#[test]
fn a_policy_says_who_somebody_is_and_what_they_may() {
    let server = start("authenticate = true\n", None);
    let status = |target: &str| server.get(target).status;
    for shown in ["", "&auth=", "&auth=eve"] {
        assert_eq!(
            status(&format!("/v2/subscribe/s1/room/0?uuid=u{shown}")),
            403
        );
        assert_eq!(
            status(&format!("/publish/p1/s1/0/room/0/1?uuid=u{shown}")),
            403
        );
    }
    assert_eq!(
        status("/v2/subscribe/s1/room,room-pnpres,a.*/0?auth=ann"),
        200
    );
    assert_eq!(status("/v2/subscribe/s1/hall/0?auth=ann"), 403);
    assert_eq!(status("/v2/subscribe/s1/b.*/0?auth=ann"), 403);
    assert_eq!(status("/v2/subscribe/s1/,/0?channel-group=g&auth=ann"), 403);
    assert_eq!(status("/publish/p1/s1/0/a.b/0/1?auth=ann"), 403);
    // What is proven counts, and not what is claimed.
    assert_eq!(status("/publish/p1/s1/0/room/0/1?uuid=bob&auth=ann"), 200);
    let got = server
        .get("/v2/subscribe/s1/room/0?tt=1&uuid=bob&auth=ann")
        .json();
    assert_eq!(got["m"][0]["i"], "ann");
    let data = |uuid| {
        format!("/v2/presence/sub-key/s1/channel/room/uuid/{uuid}/data?state=%7B%7D&auth=ann")
    };
    assert_eq!((status(&data("ann")), status(&data("bob"))), (200, 403));
    // Rights on names of the common space are none on those of another domain.
    assert_eq!(status("/v2/subscribe/s2/room/0?auth=ann"), 403);
    assert_eq!(status("/v2/subscribe/s2/room/0?auth=staff"), 200);
    assert_eq!(
        status("/v2/subscribe/s2/$domain%2Fpubnub:s1%2Froom/0?auth=staff"),
        403
    );
}

#[test]
fn anonymous_clients_may_what_the_composition_says() {
    for section in ["", "authenticate = true\n"] {
        let server = start(section, news());
        let status = |target: &str| server.get(target).status;
        assert_eq!(
            status("/v2/subscribe/s1/news%2Fa,news%2Fa-pnpres/0?uuid=u"),
            200
        );
        for target in [
            "/v2/subscribe/s1/room/0?uuid=u",
            "/v2/subscribe/s1/,/0?channel-group=g&uuid=u",
            "/v2/subscribe/s2/news%2Fa/0?uuid=u",
            "/publish/p1/s1/0/news%2Fa/0/1?uuid=u",
            "/publish/p1/s1/0/news%2Fa/0/1?uuid=u&norep=1",
            "/v2/presence/sub-key/s1?uuid=u",
            "/v1/channel-registration/sub-key/s1/channel-group/g?add=news%2Fa&uuid=u",
            "/v2/subscribe/s1/news%2Fa/0?uuid=u&auth=eve",
        ] {
            assert_eq!(status(target), 403, "{target}");
        }
        assert_eq!(status("/publish/p1/s1/0/room/0/1?uuid=u&auth=ann"), 200);
        // Where somebody is whom nobody may see is not told.
        server.get("/v2/presence/sub-key/s1/channel/hall,news%2Fa/heartbeat?uuid=eve&auth=staff");
        let here = server.get("/v2/presence/sub-key/s1/uuid/eve?uuid=u").json();
        assert_eq!(here["payload"]["channels"], json!(["news/a"]));
    }
}

#[test]
fn whoever_only_knows_the_keys_neither_deletes_nor_grants() {
    let keys = "[[key_sets]]\npublish_key = \"p1\"\nsubscribe_key = \"s1\"\nsecret_key = \"sec\"\n\
                delete_history = true\n";
    let server = Server::of::<PubNub>(&format!("hold_secs = 1\n{keys}"));
    let history = "/v3/history/sub-key/s1/channel/room";
    let answer = server.request("DELETE", history, &[], None);
    assert_eq!(answer.status, 403, "{}", answer.text());
    let grant = json!({"ttl": 1, "permissions": {"resources": {"channels": {"a": 1}}}});
    let answer = server.post("/v3/pam/s1/grant", grant.to_string());
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("signed with the secret key"));
}

#[test]
fn a_key_set_that_everybody_gets_into_is_not_served_to_others() {
    let problem = |section: &str, anonymous: Option<Rights>| {
        let builder = Server::compose_in::<PubNub>(section, &Composition::default());
        let builder = builder
            .authentication(Names)
            .listen(([0, 0, 0, 0], 0).into());
        let builder = match anonymous {
            Some(rights) => builder.anonymous(rights),
            None => builder,
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let built = runtime.block_on(builder.build());
        built.err().map(|error| error.to_string())
    };
    let open = problem(TWO, None).unwrap();
    for word in [
        "s1",
        "access_manager",
        "secret_key",
        "authenticate",
        "[anonymous]",
    ] {
        assert!(open.contains(word), "{open}");
    }
    assert!(problem("", None).unwrap().contains("demo"));
    assert_eq!(problem(&format!("authenticate = true\n{TWO}"), None), None);
    assert_eq!(problem(TWO, news()), None);
    let closed = crate::credentials::FIRST.section();
    assert_eq!(problem(&closed, None), None);
    let one_open = format!("{closed}{TWO}").replace("\"s1\"", "\"s3\"");
    assert!(problem(&one_open, None).unwrap().contains("s3"));
}
