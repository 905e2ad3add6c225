//! Azure Web PubSub: reliable connections that go on at another node.

use std::sync::atomic::{AtomicBool, Ordering};

use polywire_testing::{
    Nodes, SOON, Server, eventually,
    peers::azure::{AZURE_KEY, AzureClient, RELIABLE_JSON, service},
};
use polywire_webpubsub::WebPubSub;
use serde_json::{Value, json};

/// Nodes that know of each other.
fn nodes(count: usize) -> (Nodes, Vec<Server>) {
    let nodes = Nodes::default();
    let start = || nodes.start::<WebPubSub>(&format!("access_key = \"{AZURE_KEY}\""));
    let servers: Vec<_> = (0..count).map(|_| start()).collect();
    for server in &servers {
        eventually("the others are known", SOON, || {
            let others = server.space().nodes().others("webpubsub/transfer");
            (others.len() == count - 1).then_some(())
        });
    }
    (nodes, servers)
}

/// A client of a node, its id and its token.
struct Member {
    client: AzureClient,
    id: String,
    token: String,
    /// The sequence id of the next message.
    next: u64,
}

impl Member {
    fn open(server: &Server) -> Self {
        let claims = json!({"sub": "ann"});
        let (mut client, hello) = AzureClient::open(server.address, RELIABLE_JSON, &claims);
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
        let text = |name: &str| hello[name].as_str().unwrap().to_owned();
        Self {
            client,
            id: text("connectionId"),
            token: text("reconnectionToken"),
            next: 1,
        }
    }

    /// Comes back as SDKs do, which try again when they are told to.
    fn recover(&mut self, server: &Server) {
        let (id, token) = (&self.id, &self.token);
        let path =
            format!("/client/hubs/default?awps_connection_id={id}&awps_reconnection_token={token}");
        self.client = eventually("the connection is there", SOON, || {
            let opened = AzureClient::try_open(server.address, &path, RELIABLE_JSON, &[]);
            opened.map_err(|status| assert_eq!(status, 503)).ok()
        });
        let hello = self.client.receive();
        assert_eq!(
            (&hello["event"], &hello["connectionId"]),
            (&json!("connected"), &json!(self.id))
        );
    }

    /// A socket, unless the server says to come again.
    fn try_recover(&self, server: &Server) -> Option<AzureClient> {
        let (id, token) = (&self.id, &self.token);
        let path =
            format!("/client/hubs/default?awps_connection_id={id}&awps_reconnection_token={token}");
        let opened = AzureClient::try_open(server.address, &path, RELIABLE_JSON, &[]);
        opened.map_err(|status| assert_eq!(status, 503)).ok()
    }

    fn expect(&mut self, data: &Value) {
        let message = self.client.receive();
        let is = (&message["data"], &message["sequenceId"]);
        assert_eq!(is, (data, &json!(self.next)), "{message}");
        self.next += 1;
    }

    fn acknowledge(&mut self) {
        let id = self.next - 1;
        self.client
            .send(&json!({"type": "sequenceAck", "sequenceId": id}));
        self.client.settled();
    }
}

fn post(server: &Server, target: &str, body: &Value) {
    let target = format!("/api/hubs/default/{target}/:send?api-version=2024-01-01");
    let body = body.to_string();
    let body = Some(body.as_bytes());
    let sent = service(server.address, "POST", &target, "application/json", body);
    assert_eq!(sent.status, 202, "{sent:?}");
}

fn is_on(server: &Server, id: &str) -> bool {
    let target = format!("/api/hubs/default/connections/{id}?api-version=2024-01-01");
    service(server.address, "HEAD", &target, "", None).status == 200
}

#[test]
fn what_was_not_acknowledged_and_what_comes_meanwhile_comes_on_another_node() {
    let (_nodes, servers) = nodes(3);
    let [one, two, three] = &servers[..] else {
        panic!("three nodes");
    };
    let mut member = Member::open(one);
    post(two, "groups/g", &json!("acknowledged"));
    member.expect(&json!("acknowledged"));
    member.acknowledge();
    post(two, "groups/g", &json!("got"));
    member.expect(&json!("got"));
    member.client.cut();
    member.client = AzureClient::open(one.address, RELIABLE_JSON, &json!({})).0;
    // Each way that leads to it, from each node.
    post(one, "groups/g", &json!("to its group"));
    post(two, "users/ann", &json!("to its user"));
    post(
        three,
        &format!("connections/{}", member.id),
        &json!("to itself"),
    );
    member.recover(two);
    member.next = 2;
    for data in ["got", "to its group", "to its user", "to itself"] {
        member.expect(&json!(data));
    }
    post(three, "groups/g", &json!("later"));
    member.expect(&json!("later"));
    member.acknowledge();
    // What was executed there was executed, and what was taken is taken.
    let again = json!({"type": "joinGroup", "group": "g", "ackId": 1});
    assert_eq!(member.client.fails(&again), "Duplicate");
    // It is at one node, and each finds it.
    let target = "/api/hubs/default/groups/g/connections?api-version=2024-12-01";
    let listed = service(one.address, "GET", target, "", None).json();
    assert_eq!(
        listed["value"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );
    for server in &servers {
        assert!(is_on(server, &member.id));
    }
    // And on.
    member.recover(three);
    post(one, "groups/g", &json!("at the third"));
    member.expect(&json!("at the third"));
}

#[test]
fn a_socket_that_the_old_node_believes_in_is_taken_over() {
    let (_nodes, servers) = nodes(2);
    let mut member = Member::open(&servers[0]);
    let mut old = std::mem::replace(
        &mut member.client,
        AzureClient::open(servers[1].address, RELIABLE_JSON, &json!({})).0,
    );
    member.recover(&servers[1]);
    assert_eq!(old.closed(), 1001);
    post(&servers[0], "groups/g", &json!(1));
    member.expect(&json!(1));
    // And back again.
    member.recover(&servers[0]);
    member.expect_again(&json!(1));
    post(&servers[1], "groups/g", &json!(2));
    member.expect(&json!(2));
}

impl Member {
    fn expect_again(&mut self, data: &Value) {
        self.next -= 1;
        self.expect(data);
    }
}

#[test]
fn much_that_is_kept_moves_in_parts() {
    let (_nodes, servers) = nodes(2);
    let mut member = Member::open(&servers[0]);
    let long = |number: u64| json!(format!("{number}{}", "x".repeat(100_000)));
    for number in 1..=12 {
        post(&servers[1], "groups/g", &long(number));
        member.expect(&long(number));
    }
    member.client.cut();
    member.client = AzureClient::open(servers[1].address, RELIABLE_JSON, &json!({})).0;
    member.recover(&servers[1]);
    member.next = 1;
    for number in 1..=12 {
        member.expect(&long(number));
    }
    member.acknowledge();
}

#[test]
fn who_is_not_the_client_gets_1008_and_disturbs_nobody() {
    let (_nodes, servers) = nodes(2);
    eventually("all nodes are known", 2 * SOON, || {
        servers[1].space().nodes().is_complete().then_some(())
    });
    let mut member = Member::open(&servers[0]);
    for (id, token) in [(&*member.id, "wrong"), ("unknown", &*member.token)] {
        let mut refused = AzureClient::recover(servers[1].address, id, token);
        assert_eq!(refused.closed(), 1008);
    }
    post(&servers[1], "groups/g", &json!(1));
    member.expect(&json!(1));
}

/// A node stops while its client is there: nothing is lost, also of what is published while it is nowhere.
#[test]
fn a_connection_outlives_a_node_that_stops() {
    let (_nodes, mut servers) = nodes(2);
    let two = servers.pop().unwrap();
    let one = servers.pop().unwrap();
    let mut member = Member::open(&one);
    post(&two, "groups/g", &json!("before"));
    member.expect(&json!("before"));
    let has_stopped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop(one);
            has_stopped.store(true, Ordering::SeqCst);
        });
        assert_eq!(member.client.closed(), 1012);
        // Its client takes its time.
        let mut number = 0;
        while !has_stopped.load(Ordering::SeqCst) {
            number += 1;
            post(&two, "groups/g", &json!(number));
        }
        post(&two, "groups/g", &json!("after"));
        member.recover(&two);
        member.next = 1;
        member.expect(&json!("before"));
        for number in 1..=number {
            member.expect(&json!(number));
        }
        member.expect(&json!("after"));
    });
}

/// A client that goes to and fro while others publish at each node.
#[test]
fn nothing_is_lost_or_doubled_while_a_client_goes_to_and_fro() {
    const EACH: u64 = 400;
    let (_nodes, servers) = nodes(2);
    let mut member = Member::open(&servers[0]);
    let got: Vec<Value> = std::thread::scope(|scope| {
        for server in &servers {
            scope.spawn(move || {
                for number in 0..EACH {
                    server.publish_within("g", &json!(number));
                    if number % 8 == 0 {
                        // Slower than the client changes nodes.
                        std::thread::park_timeout(std::time::Duration::from_millis(4));
                    }
                }
            });
        }
        let mut got = Vec::new();
        let mut turn = 0;
        while got.len() < 2 * EACH as usize {
            for _ in 0..7.min(2 * EACH as usize - got.len()) {
                let message = member.client.receive();
                let id = message["sequenceId"].as_u64().unwrap();
                if id < member.next {
                    // It comes again.
                    continue;
                }
                assert_eq!(id, member.next);
                member.next += 1;
                got.push(message["data"].clone());
            }
            turn += 1;
            if turn % 3 == 0 {
                member.acknowledge_only();
            }
            member.recover(&servers[turn % 2]);
        }
        got
    });
    let mut numbers: Vec<_> = got.iter().map(|data| data.as_u64().unwrap()).collect();
    numbers.sort_unstable();
    let expected: Vec<_> = (0..EACH).flat_map(|number| [number, number]).collect();
    assert_eq!(numbers, expected);
}

impl Member {
    /// Without waiting for a sign that it was heard.
    fn acknowledge_only(&mut self) {
        let id = self.next - 1;
        self.client
            .send(&json!({"type": "sequenceAck", "sequenceId": id}));
    }
}

/// What was kept is gone with the node: the client hears so, and connects anew.
#[test]
fn a_connection_of_a_node_that_is_cut_off_cannot_be_recovered() {
    let (nodes, servers) = nodes(2);
    let member = Member::open(&servers[0]);
    nodes.bus().cut(servers[0].space().hub().node());
    // As long as it may still be there its client comes again.
    let mut refused = eventually("the node counts as gone", 2 * SOON, || {
        member.try_recover(&servers[1])
    });
    assert_eq!(refused.closed(), 1008);
}
