//! Polls that are held while their rights end: answered with nothing, and the next one is judged.

use std::time::Duration;

use polywire_core::{Channel, ClientId};
use polywire_pubnub::PubNub;
use polywire_testing::{Nodes, SOON, Server, eventually, peers::HttpConnection};
use serde_json::json;

use crate::credentials::{FIRST, READ, encode};

/// A poll that is under way, from a connection of its own.
struct Poll {
    connection: HttpConnection,
    cursor: String,
    target: String,
}

impl Poll {
    /// It is there when the state is that comes with it.
    fn hold(server: &Server, client: &str, token: &str) -> Self {
        let auth = encode(token);
        let room = format!("/v2/subscribe/s1/room/0?uuid={client}&auth={auth}");
        let first = server.get(&room);
        assert_eq!(first.status, 200, "{}", first.text());
        let cursor = first.json()["t"]["t"].as_str().unwrap().to_owned();
        let target = format!("{room}&tt={cursor}&state=%7B%22room%22%3A%7B%22n%22%3A1%7D%7D");
        let mut connection = HttpConnection::open(server.address);
        let request = format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n");
        connection.write(request.as_bytes()).unwrap();
        let (room, client) = (
            Channel::new("room").unwrap(),
            ClientId::new(client).unwrap(),
        );
        eventually("the poll is there", SOON, || {
            server.space().presence().state(&room, &client).flatten()
        });
        Self {
            connection,
            cursor,
            target,
        }
    }

    /// It is answered with nothing, from where it was, and the next one with this error.
    #[track_caller]
    fn expect_end(mut self, server: &Server, message: &str) {
        let answer = self.connection.answer(false);
        let got = answer.json();
        assert_eq!((answer.status, &got["m"]), (200, &json!([])), "{got}");
        let cursor: u64 = got["t"]["t"].as_str().unwrap().parse().unwrap();
        assert!(cursor >= self.cursor.parse().unwrap());
        let next = server.get(&self.target);
        assert_eq!(
            (next.status, &next.json()["message"]),
            (403, &json!(message))
        );
    }
}

fn node(nodes: &Nodes) -> Server {
    nodes.start::<PubNub>(&format!("hold_secs = 120\n{}", FIRST.section()))
}

#[test]
fn a_poll_ends_when_its_token_does() {
    let nodes = Nodes::default();
    let [server, other] = [node(&nodes), node(&nodes)];
    let token = FIRST.token_for("room", READ as u8, Duration::from_secs(3));
    let poll = Poll::hold(&server, "ann", &token);
    poll.expect_end(&server, "Token is expired.");
    let late = other.get(&format!("/v2/subscribe/s1/room/0?auth={}", encode(&token)));
    assert_eq!(late.status, 403);
}

#[test]
fn a_poll_ends_when_its_token_is_revoked_on_any_node() {
    let nodes = Nodes::default();
    let [one, two] = [node(&nodes), node(&nodes)];
    let terms = json!({"resources": {"channels": {"room": READ}}});
    let [token, other] = ["ann", "bob"].map(|client| {
        let mut terms = terms.clone();
        terms["uuid"] = client.into();
        FIRST.grant(&one, &terms)
    });
    let poll = Poll::hold(&one, "ann", &token);
    let mut undisturbed = Poll::hold(&one, "bob", &other);
    FIRST.revoke(&two, &token);
    poll.expect_end(&one, "Token is revoked");
    let late = two.get(&format!(
        "/v2/subscribe/s1/room/0?uuid=ann&auth={}",
        encode(&token)
    ));
    assert_eq!(late.json()["message"], "Token is revoked");
    // Whoever was not meant gets what comes next.
    let sent = FIRST.get(&two, "/publish/p1/s1/0/room/0/%22still%22?uuid=u");
    assert_eq!(sent.status, 200);
    let answer = undisturbed.connection.answer(false).json();
    assert_eq!(answer["m"][0]["d"], "still");
}

#[test]
fn presence_ends_with_the_credential_that_it_rests_on() {
    let nodes = Nodes::default();
    let [one, two] = [node(&nodes), node(&nodes)];
    let [token, other] = ["ann", "bob"].map(|client| {
        let terms =
            json!({"resources": {"channels": {"room": READ, "hall": READ}}, "uuid": client});
        FIRST.grant(&one, &terms)
    });
    // In one channel a poll of hers is held, in the other she was heard of.
    let poll = Poll::hold(&one, "ann", &token);
    for (client, token) in [("ann", &token), ("bob", &other)] {
        let heartbeat = format!(
            "/v2/presence/sub-key/s1/channel/hall/heartbeat?uuid={client}&heartbeat=300&auth={}",
            encode(token)
        );
        assert_eq!(one.get(&heartbeat).status, 200);
    }
    let who = |server: &Server, channel: &str| {
        let members = server
            .space()
            .presence()
            .members(&Channel::new(channel).unwrap());
        let names = members.into_iter().map(|member| member.client.to_string());
        names.collect::<Vec<_>>()
    };
    eventually("both nodes know", SOON, || {
        let all = [who(&one, "hall"), who(&two, "hall"), who(&two, "room")];
        (all == [vec!["ann", "bob"], vec!["ann", "bob"], vec!["ann"]]).then_some(())
    });
    FIRST.revoke(&two, &token);
    poll.expect_end(&one, "Token is revoked");
    eventually("she is gone", SOON, || {
        let all = [&one, &two].map(|node| [who(node, "room"), who(node, "hall")]);
        let gone = [vec![], vec!["bob".to_owned()]];
        (all == [gone.clone(), gone]).then_some(())
    });
    // With another token she is there again.
    let again = FIRST.grant(
        &one,
        &json!({"resources": {"channels": {"hall": READ}}, "uuid": "ann"}),
    );
    let heartbeat = format!(
        "/v2/presence/sub-key/s1/channel/hall/heartbeat?uuid=ann&auth={}",
        encode(&again)
    );
    assert_eq!(one.get(&heartbeat).status, 200);
    assert_eq!(who(&one, "hall"), ["ann", "bob"]);
}
