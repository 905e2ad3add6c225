//! A client whose credential proves who it is: nobody else makes it present, speaks for it, or has it leave.

use polywire_core::{Channel, ClientId, Identity, Origin, space::Action, testkit::Recorder};
use polywire_pubnub::PubNub;
use polywire_testing::{Nodes, SOON, Server, eventually};
use serde_json::json;

use crate::credentials::{FIRST, READ, encode};

const PRESENCE: &str = "/v2/presence/sub-key/s1/channel/room";

fn node(nodes: &Nodes) -> Server {
    nodes.start::<PubNub>(&format!("hold_secs = 1\n{}", FIRST.section()))
}

fn members(server: &Server) -> Vec<String> {
    let room = Channel::new("room").unwrap();
    let members = server.space().presence().members(&room).into_iter();
    members.map(|member| member.client.to_string()).collect()
}

#[track_caller]
fn get(server: &Server, call: &str, token: &str, status: u16) {
    let target = format!("{PRESENCE}/{call}&uuid=ann&auth={token}");
    let answer = server.get(&target);
    assert_eq!(answer.status, status, "{call}: {}", answer.text());
    if status == 403 {
        let refused = answer.json()["payload"].clone();
        assert_eq!(refused, json!({"channels": ["room"]}), "{call}");
    }
}

/// Returns when a node knows that she has proven who she is.
fn known_at(server: &Server) {
    let (room, ann) = (Channel::new("room").unwrap(), ClientId::new("ann").unwrap());
    let nobody = Origin::new("pubnub", Identity::default());
    eventually("it is known who she is", SOON, || {
        let act = Action::ActAs(&room, &ann);
        (!server.space().may(&nobody, act)).then_some(())
    });
}

/// A connection of any protocol counts.
#[test]
fn who_is_connected_and_proven_is_not_sent_away_by_readers() {
    let nodes = Nodes::default();
    let server = node(&nodes);
    let terms = json!({"resources": {"channels": {"room": READ}}});
    let other = encode(&FIRST.grant(&server, &terms));
    let (room, ann) = (Channel::new("room").unwrap(), ClientId::new("ann").unwrap());
    let connect = |proven: Option<&ClientId>| {
        let identity = Identity {
            client: proven.cloned(),
            ..Identity::unrestricted()
        };
        let receiver = Recorder::new(server.space().hub().node());
        let origin = Origin::new("other", identity);
        let mut attachment = server.space().attach(origin, receiver);
        let (room, ann) = (room.clone(), ann.clone());
        server.block_on(async move {
            attachment.connect(ann).await;
            attachment.subscribe(room).await.unwrap();
            attachment
        })
    };
    for (proven, left) in [(Some(&ann), 403), (None, 200)] {
        let attachment = connect(proven);
        get(&server, "leave?", &other, left);
        // A leave is about what PubNub knows of her.
        assert_eq!(members(&server), ["ann"]);
        drop(attachment);
        eventually("she is gone", SOON, || {
            members(&server).is_empty().then_some(())
        });
    }
}

#[test]
fn nobody_else_is_a_client_that_has_proven_who_it_is() {
    let nodes = Nodes::default();
    let servers = [node(&nodes), node(&nodes)];
    let [proven, other] = [json!("ann"), json!(null)].map(|client| {
        let terms = json!({"resources": {"channels": {"room": READ}}, "uuid": client});
        encode(&FIRST.grant(&servers[0], &terms))
    });
    get(&servers[0], "heartbeat?heartbeat=300", &proven, 200);
    for server in &servers {
        known_at(server);
        get(server, "leave?", &other, 403);
        get(server, "uuid/ann/data?state=%7B%22n%22%3A1%7D", &other, 403);
        // Whoever only reads is served, and does not count.
        get(
            server,
            "heartbeat?heartbeat=1&state=%7B%22room%22%3A%7B%22n%22%3A1%7D%7D",
            &other,
            200,
        );
        let poll = format!("/v2/subscribe/s1/room/0?tt=1&uuid=ann&auth={other}");
        assert_eq!(server.get(&poll).status, 200);
    }
    let (room, ann) = (Channel::new("room").unwrap(), ClientId::new("ann").unwrap());
    for server in &servers {
        assert_eq!(server.space().presence().state(&room, &ann), Some(None));
    }
    // She leaves, and is on no node any more.
    get(
        &servers[0],
        "uuid/ann/data?state=%7B%22n%22%3A2%7D",
        &proven,
        200,
    );
    get(&servers[0], "leave?", &proven, 200);
    for server in &servers {
        eventually("she is gone", SOON, || {
            members(server).is_empty().then_some(())
        });
    }
    // Where she is not, anybody may say to be her.
    get(&servers[1], "heartbeat?heartbeat=300", &other, 200);
    assert_eq!(members(&servers[1]), ["ann"]);
    get(&servers[1], "leave?", &other, 200);
    assert!(members(&servers[1]).is_empty());
    // The back end, which signs, may send her away.
    get(&servers[0], "heartbeat?heartbeat=300", &proven, 200);
    known_at(&servers[1]);
    let left = FIRST.get(&servers[1], &format!("{PRESENCE}/leave?uuid=ann"));
    assert_eq!(left.status, 200);
    for server in &servers {
        eventually("she is gone", SOON, || {
            members(server).is_empty().then_some(())
        });
    }
}
