//! Other tenants, the server's own names, and apps that are confined: who has every right reaches none of it.

use super::{
    ACTIONS, Needs, Outcome, Policy,
    action::in_path,
    credential::{KINDS, Kind},
};
use crate::support::azure::{self, AzureClient};
use serde_json::json;

fn everything() -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == "everything").unwrap()
}

/// Names that no client of the common space may use: those of another hub, of another key set, and of the server.
const FOREIGN: [&str; 4] = [
    "$domain/webpubsub:chat/m/x",
    "$domain/pubnub:sub2/m/x",
    "$polywire/webpubsub/x",
    "$polywire/registry/revocations",
];

#[test]
fn names_of_others_are_reached_by_no_protocol() {
    let second = "[[apps.pubnub.key_sets]]\npublish_key = 'pub2'\nsubscribe_key = 'sub2'\n";
    let server = Policy::Jwt.start_with(everything(), second);
    let shown = Policy::Jwt.credential(everything(), &server);
    for name in FOREIGN {
        for action in ACTIONS {
            if action.needs == Needs::ManageEverything || action.protocol == "kn-sock" {
                // It has no answers: whoever gets the message would see it below.
                continue;
            }
            let outcome = (action.attempt)(&server, &shown, name);
            let place = format!("{name}, {}, {}", action.protocol, action.name);
            assert_eq!(outcome, Outcome::Refused, "{place}");
        }
    }
    // The same name in the second key set is another channel.
    let auth = shown.token.unwrap();
    for name in [
        "m/x",
        "$domain/common/m/x",
        "$domain/pubnub:sub2/m/x",
        "$domain/webpubsub:chat/m/x",
    ] {
        let target = format!(
            "/v2/subscribe/sub2/{}/0?tt=0&uuid=u&auth={auth}",
            in_path(name)
        );
        let expected = if name == "m/x" || name.contains("sub2") {
            200
        } else {
            403
        };
        assert_eq!(server.get(&target).status, expected, "{name}");
    }
}

#[test]
fn a_confined_app_reaches_what_it_is_confined_to() {
    let mut confined = String::new();
    for app in [
        "seth",
        "knsock",
        "emitter",
        "pubnub",
        "history",
        "admin",
        "webpubsub",
    ] {
        confined.push_str(&format!(
            "[apps.{app}.channels]\nread = ['c/#', 'probe/#']\nwrite = 'c/#'\n"
        ));
    }
    let server = Policy::Jwt.start_with(everything(), &confined);
    let shown = Policy::Jwt.credential(everything(), &server);
    for action in ACTIONS {
        // What tests see of kn-sock goes by the debug API, which is confined too.
        if action.protocol == "kn-sock" {
            continue;
        }
        let place = format!("{}, {}", action.protocol, action.name);
        let outside = (action.attempt)(&server, &shown, "m/x");
        assert_eq!(outside, Outcome::Refused, "outside: {place}");
        let takes_more = [Needs::Delete, Needs::ManageEverything].contains(&action.needs);
        let inside = (action.attempt)(&server, &shown, "c/x");
        assert_eq!(inside == Outcome::Done, !takes_more, "inside: {place}");
    }
}

/// A client of a hub, with every role there.
fn client(server: &crate::support::Server, hub: &str, groups: &[&str]) -> AzureClient {
    let claims = json!({
        "aud": format!("http://any.host/client/hubs/{hub}"), "exp": azure::in_secs(600),
        "role": ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"], "webpubsub.group": groups,
    });
    let path = format!("/client/hubs/{hub}?access_token={}", azure::token(&claims));
    AzureClient::try_open(server.address, &path, azure::JSON, &[]).unwrap()
}

#[test]
fn hubs_reach_each_other_only_over_a_bridge() {
    let start = |more: &str| {
        let config = format!(
            "[apps.webpubsub]\naccess_key = '{}'\n{more}",
            azure::AZURE_KEY
        );
        crate::support::ServerOptions::new(&[])
            .config(&config)
            .start()
    };
    let foreign = [
        "$domain/common/room",
        "$domain/webpubsub:other/room",
        "$polywire/x",
    ];
    let server = start("");
    let ask = |client: &mut AzureClient, kind: &str, group: &str| {
        let frame =
            json!({"type": kind, "group": group, "ackId": 1, "data": 1, "dataType": "json"});
        loop {
            client.send(&frame);
            let answer = client.receive();
            if answer["type"] == "ack" {
                return answer["success"] == true;
            }
        }
    };
    let mut chat = client(&server, "chat", &foreign);
    assert_eq!(chat.receive()["event"], "connected");
    for name in foreign {
        for kind in ["joinGroup", "sendToGroup"] {
            let (mut default, mut chat) = (
                client(&server, "default", &[]),
                client(&server, "chat", &[]),
            );
            assert_eq!(default.receive()["event"], "connected");
            assert_eq!(chat.receive()["event"], "connected");
            // What begins so is the hub's own where its names do not stand alone.
            let is_own = name == "$polywire/x";
            assert_eq!(ask(&mut chat, kind, name), is_own, "chat, {kind}, {name}");
            let name = name.replace("common", "webpubsub:chat");
            assert!(!ask(&mut default, kind, &name), "default, {kind}, {name}");
        }
    }
    // Groups that a token names are joined no more than others.
    let mut default = client(&server, "default", &[]);
    assert_eq!(default.receive()["event"], "connected");
    assert!(ask(&mut default, "sendToGroup", "room"));
    assert!(
        ask(&mut chat, "joinGroup", "own"),
        "nothing came before: {chat:?}"
    );

    let server = start("[[bridges]]\nfrom = 'webpubsub:Chat'\nto = 'common'\n");
    let (mut default, mut chat) = (
        client(&server, "default", &["room"]),
        client(&server, "chat", &[]),
    );
    assert_eq!(default.receive()["event"], "connected");
    assert_eq!(chat.receive()["event"], "connected");
    assert!(ask(&mut chat, "sendToGroup", "$domain/common/room"));
    assert_eq!(default.receive()["group"], "room");
    assert!(
        !ask(&mut default, "sendToGroup", "$domain/webpubsub:chat/own"),
        "one way"
    );
}
