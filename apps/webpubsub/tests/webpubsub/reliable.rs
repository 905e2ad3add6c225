//! Azure Web PubSub: the reliable subprotocol, one state and event after another.

use std::time::{Duration, Instant};

use polywire_core::Channel;
use polywire_testing::{
    Nodes, SOON, Server, eventually,
    peers::azure::{AZURE_KEY, AzureClient, JSON, RELIABLE_JSON, client_path, service},
};
use polywire_webpubsub::WebPubSub;
use serde_json::{Value, json};
use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

fn server(more: &str) -> Server {
    Server::of::<WebPubSub>(&format!("access_key = \"{AZURE_KEY}\"\n{more}\n"))
}

/// A member of the group `g`, with its id and its token.
fn member(server: &Server) -> (AzureClient, String, String) {
    let (mut client, hello) =
        AzureClient::open(server.address, RELIABLE_JSON, &json!({"sub": "ann"}));
    client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
    let text = |name: &str| hello[name].as_str().unwrap().to_owned();
    (client, text("connectionId"), text("reconnectionToken"))
}

fn publish(server: &Server, data: u64) {
    send(server, data, "");
}

fn send(server: &Server, data: u64, query: &str) {
    let target = format!("/api/hubs/default/groups/g/:send?api-version=2024-01-01{query}");
    let body = data.to_string();
    let sent = service(
        server.address,
        "POST",
        &target,
        "application/json",
        Some(body.as_bytes()),
    );
    assert_eq!(sent.status, 202);
}

fn exists(server: &Server, id: &str) -> bool {
    let target = format!("/api/hubs/default/connections/{id}?api-version=2024-01-01");
    match service(server.address, "HEAD", &target, "", None).status {
        200 => true,
        404 => false,
        other => panic!("{other}"),
    }
}

fn is_gone(server: &Server, id: &str) {
    eventually("the connection is gone", SOON, || {
        (!exists(server, id)).then_some(())
    });
}

fn is_refused(server: &Server, id: &str, token: &str) {
    let path =
        format!("/client/hubs/default?awps_connection_id={id}&awps_reconnection_token={token}");
    // Until a node knows all others it may be on one of them.
    let mut client = eventually("it is known where it is", SOON, || {
        let opened = AzureClient::try_open(server.address, &path, RELIABLE_JSON, &[]);
        opened.map_err(|status| assert_eq!(status, 503)).ok()
    });
    assert_eq!(client.closed(), 1008);
}

fn expect(client: &mut AzureClient, data: u64, id: u64) {
    let message = client.receive();
    assert_eq!(
        (&message["data"], &message["sequenceId"]),
        (&json!(data), &json!(id)),
        "{message}"
    );
}

fn acknowledge(client: &mut AzureClient, id: Value) {
    client.send(&json!({"type": "sequenceAck", "sequenceId": id}));
    client.settled();
}

#[test]
fn what_was_not_acknowledged_comes_again_under_its_ids() {
    let server = server("");
    let (mut client, id, token) = member(&server);
    for n in 0..5 {
        publish(&server, n);
        expect(&mut client, n, n + 1);
    }
    acknowledge(&mut client, json!(2));
    // Less than is known, and more than was sent, mean nothing.
    acknowledge(&mut client, json!(1));
    acknowledge(&mut client, json!(6));
    acknowledge(&mut client, json!("3"));
    client.cut();
    publish(&server, 5);
    assert!(exists(&server, &id));
    let mut client = AzureClient::recover(server.address, &id, &token);
    let hello = client.receive();
    assert_eq!(
        (&hello["event"], &hello["connectionId"]),
        (&json!("connected"), &json!(id))
    );
    for n in 3..6 {
        expect(&mut client, n, n + 1);
    }
    publish(&server, 6);
    expect(&mut client, 6, 7);
    // What it did, joined and may do is still there.
    let join = json!({"type": "joinGroup", "group": "g", "ackId": 1});
    assert_eq!(client.fails(&join), "Duplicate");
    client.settled();
}

#[test]
fn a_connection_that_waits_can_be_worked_with() {
    let server = server("");
    let (client, id, token) = member(&server);
    client.cut();
    let call = |method: &str, path: &str| {
        let target = format!("/api/hubs/default/{path}?api-version=2024-01-01");
        service(server.address, method, &target, "", None).status
    };
    assert_eq!(call("PUT", &format!("groups/more/connections/{id}")), 200);
    assert_eq!(
        call(
            "DELETE",
            &format!("permissions/sendToGroup/connections/{id}")
        ),
        204
    );
    assert_eq!(call("HEAD", "users/ann"), 200);
    let target = "/api/hubs/default/groups/more/:send?api-version=2024-01-01";
    let sent = service(
        server.address,
        "POST",
        target,
        "text/plain",
        Some(b"while away"),
    );
    assert_eq!(sent.status, 202);
    let mut client = AzureClient::recover(server.address, &id, &token);
    client.receive();
    assert_eq!(client.receive()["data"], "while away");
    let send = json!({"type": "sendToGroup", "group": "g", "data": 1, "ackId": 2});
    assert_eq!(client.fails(&send), "Forbidden");
}

#[test]
fn a_half_open_socket_is_taken_over() {
    let server = server("");
    let (mut old, id, token) = member(&server);
    publish(&server, 0);
    let mut new = AzureClient::recover(server.address, &id, &token);
    assert_eq!(new.receive()["connectionId"], json!(id));
    expect(&mut new, 0, 1);
    expect(&mut old, 0, 1);
    assert_eq!(old.closed(), 1001);
    publish(&server, 1);
    expect(&mut new, 1, 2);
    // And once more.
    let mut newest = AzureClient::recover(server.address, &id, &token);
    newest.receive();
    expect(&mut newest, 0, 1);
    expect(&mut newest, 1, 2);
    newest.settled();
}

#[test]
fn recoveries_that_cannot_be_are_closed_with_1008() {
    let server = server("");
    let (mut client, id, token) = member(&server);
    let (_, other, _) = member(&server);
    is_refused(&server, "nobody", &token);
    is_refused(&server, &id, "wrong");
    is_refused(&server, &id, "");
    // The token of one connection is not that of another.
    is_refused(&server, &other, &token);
    let (_, hello) = AzureClient::open(server.address, JSON, &json!({}));
    is_refused(&server, hello["connectionId"].as_str().unwrap(), &token);
    let path =
        format!("/client/hubs/other?awps_connection_id={id}&awps_reconnection_token={token}");
    let mut elsewhere = AzureClient::try_open(server.address, &path, RELIABLE_JSON, &[]).unwrap();
    assert_eq!(elsewhere.closed(), 1008);
    // A connection that is named without its token is no new one, whatever else is shown.
    let path = client_path(&json!({})) + &format!("&awps_connection_id={id}");
    let mut tokenless = AzureClient::try_open(server.address, &path, RELIABLE_JSON, &[]).unwrap();
    assert_eq!(tokenless.closed(), 1008);
    // Whoever names none begins anew.
    let path = client_path(&json!({})) + "&awps_connection_id=";
    let mut anew = AzureClient::try_open(server.address, &path, RELIABLE_JSON, &[]).unwrap();
    assert_eq!(anew.receive()["event"], "connected");
    // None of them disturbed it.
    client.settled();
    publish(&server, 0);
    expect(&mut client, 0, 1);
}

#[test]
fn a_client_that_leaves_in_order_is_gone_at_once() {
    let server = server("recovery_secs = 600");
    let normal = |code| {
        Some(CloseFrame {
            code,
            reason: "".into(),
        })
    };
    for how in [normal(CloseCode::Normal), normal(CloseCode::Away), None] {
        let (mut client, id, token) = member(&server);
        client.socket.close(how).unwrap();
        is_gone(&server, &id);
        is_refused(&server, &id, &token);
        let target = "/api/hubs/default/groups/g?api-version=2024-01-01";
        assert_eq!(
            service(server.address, "HEAD", target, "", None).status,
            404
        );
    }
}

/// With such a code it says that something failed, and it comes back.
#[test]
fn a_client_that_closes_with_another_code_may_come_back() {
    let server = server("recovery_secs = 600");
    for code in [3001, 4000, 1011] {
        let (mut client, id, token) = member(&server);
        let reason = "".into();
        let code = CloseCode::from(code);
        client
            .socket
            .close(Some(CloseFrame { code, reason }))
            .unwrap();
        assert_eq!(client.closed(), u16::from(code));
        publish(&server, 0);
        let mut client = AzureClient::recover(server.address, &id, &token);
        assert_eq!(client.receive()["connectionId"], json!(id));
        expect(&mut client, 0, 1);
        assert!(exists(&server, &id));
        client.socket.close(None).unwrap();
        is_gone(&server, &id);
    }
}

#[test]
fn a_client_that_does_not_come_back_is_gone_after_the_window() {
    let server = server("recovery_secs = 1");
    let (client, id, token) = member(&server);
    client.cut();
    let began = Instant::now();
    is_gone(&server, &id);
    assert!(began.elapsed() > Duration::from_millis(900));
    is_refused(&server, &id, &token);
    // One that comes back in time is not gone then.
    let (client, id, token) = member(&server);
    client.cut();
    let mut client = AzureClient::recover(server.address, &id, &token);
    client.receive();
    std::thread::park_timeout(Duration::from_millis(1500));
    client.settled();
    assert!(exists(&server, &id));
}

#[test]
fn a_client_without_the_subprotocol_is_gone_with_its_socket() {
    let server = server("recovery_secs = 600");
    let (client, hello) = AzureClient::open(server.address, JSON, &json!({}));
    client.cut();
    is_gone(&server, hello["connectionId"].as_str().unwrap());
}

#[test]
fn more_than_is_kept_ends_a_connection_with_1008() {
    let server = server("buffer_messages_max = 10\nbuffer_bytes_max = 4096");
    let (mut client, id, token) = member(&server);
    for n in 0..11 {
        publish(&server, n);
    }
    for n in 0..11 {
        expect(&mut client, n, n + 1);
    }
    assert_eq!(client.closed(), 1008);
    is_gone(&server, &id);
    is_refused(&server, &id, &token);
    // By its bytes, and while nobody is there.
    let (client, id, token) = member(&server);
    client.cut();
    let target = "/api/hubs/default/groups/g/:send?api-version=2024-01-01";
    let body = vec![b'x'; 5000];
    let sent = service(server.address, "POST", target, "text/plain", Some(&body));
    assert_eq!(sent.status, 202);
    is_refused(&server, &id, &token);
    is_gone(&server, &id);
    // Whoever acknowledges in time may get any number.
    let (mut client, _, _) = member(&server);
    for n in 0..50 {
        publish(&server, n);
        expect(&mut client, n, n + 1);
        acknowledge(&mut client, json!(n + 1));
    }
}

#[test]
fn the_service_ends_connections_with_their_reason() {
    let server = server("");
    let (mut client, id, token) = member(&server);
    let target = format!("/api/hubs/default/connections/{id}?api-version=1&reason=be%20gone");
    assert_eq!(
        service(server.address, "DELETE", &target, "", None).status,
        204
    );
    let last = client.receive();
    assert_eq!(
        last,
        json!({"type": "system", "event": "disconnected", "message": "be gone"})
    );
    assert_eq!(client.closed(), 1000);
    is_refused(&server, &id, &token);
    // Also one that waits for its client.
    let (client, id, token) = member(&server);
    client.cut();
    let target = format!("/api/hubs/default/connections/{id}?api-version=1");
    assert_eq!(
        service(server.address, "DELETE", &target, "", None).status,
        204
    );
    assert!(!exists(&server, &id));
    is_refused(&server, &id, &token);
}

#[test]
fn messages_have_a_time_to_live() {
    let server = server("");
    let (mut client, id, token) = member(&server);
    send(&server, 0, "&messageTtlSeconds=1");
    send(&server, 1, "&messageTtlSeconds=300");
    send(&server, 2, "&messageTtlSeconds=0");
    // What is for the connection itself, too.
    let target = format!(
        "/api/hubs/default/connections/{id}/:send?api-version=2024-01-01&messageTtlSeconds=1"
    );
    let sent = service(
        server.address,
        "POST",
        &target,
        "application/json",
        Some(b"3"),
    );
    assert_eq!(sent.status, 202);
    for n in 0..4 {
        expect(&mut client, n, n + 1);
    }
    client.cut();
    std::thread::park_timeout(Duration::from_millis(1100));
    let mut client = AzureClient::recover(server.address, &id, &token);
    client.receive();
    expect(&mut client, 1, 2);
    expect(&mut client, 2, 3);
    publish(&server, 4);
    expect(&mut client, 4, 5);
}

/// Clients of other protocols see a user in its groups.
#[test]
fn a_user_is_present_in_its_groups_also_while_a_connection_waits_for_it() {
    let server = server("recovery_secs = 600");
    let members = |group: &str| {
        let channel = Channel::new(group).unwrap();
        let members = server.space().presence().members(&channel).into_iter();
        let names = members.map(|member| member.client.to_string());
        names.collect::<Vec<_>>()
    };
    let (client, id, _) = member(&server);
    let (mut second, _, _) = member(&server);
    assert_eq!(members("g"), ["ann"]);
    second.done(&json!({"type": "leaveGroup", "group": "g", "ackId": 2}));
    assert_eq!(members("g"), ["ann"]);
    // It is lost, and may come back.
    drop(client);
    assert!(exists(&server, &id));
    assert_eq!(members("g"), ["ann"]);
    let target = format!("/api/hubs/default/connections/{id}?api-version=2024-01-01");
    assert_eq!(
        service(server.address, "DELETE", &target, "", None).status,
        204
    );
    is_gone(&server, &id);
    eventually("nobody is there", SOON, || {
        members("g").is_empty().then_some(())
    });
}

#[test]
fn a_reliable_client_whose_messages_are_lost_begins_anew_and_others_go_on() {
    let settings = format!("access_key = \"{AZURE_KEY}\"");
    let nodes = Nodes::default();
    let start = || nodes.start::<WebPubSub>(&settings);
    let (here, there) = (start(), start());
    let (mut reliable, id, token) = member(&here);
    let (mut plain, _) = AzureClient::open(here.address, JSON, &json!({"sub": "bob"}));
    plain.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
    nodes.miss(&here, &there, "g");
    assert_eq!(reliable.receive()["event"], "disconnected");
    assert_eq!(reliable.closed(), 1008);
    is_refused(&here, &id, &token);
    publish(&there, 1);
    assert_eq!(plain.receive()["data"], 1);
    // What servers say to whole hubs is on a channel of its own.
    let (mut reliable, ..) = member(&here);
    nodes.bus().cut(here.space().hub().node());
    let target = "/api/hubs/default/:send?api-version=2024-01-01";
    let sent = service(
        there.address,
        "POST",
        target,
        "application/json",
        Some(b"2"),
    );
    assert_eq!(sent.status, 202);
    nodes.bus().mend(here.space().hub().node());
    assert_eq!(reliable.receive()["event"], "disconnected");
}
