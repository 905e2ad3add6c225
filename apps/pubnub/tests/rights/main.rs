//! Who may do what by PubNub: every action with every sort of credential, by default denied.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod actions;
mod credentials;
mod domains;
mod held;
mod policies;
mod proven;

use std::time::Duration;

use polywire_pubnub::PubNub;
use polywire_testing::{
    Endpoint, Server,
    persistence::{HistorySettings, MemoryHistory},
};
use serde_json::json;

use self::{
    actions::{Action, Right},
    credentials::{DELETE, FIRST, MANAGE, READ, SECOND, WRITE, encode},
};

/// A server with two key sets that have an access manager, where messages are kept.
fn start() -> Server {
    let section = format!("hold_secs = 1\n{}{}", FIRST.section(), SECOND.section());
    let kept = HistorySettings::default();
    let history = MemoryHistory::new(kept.rules().unwrap(), kept.memory_bytes_max);
    Server::start(Server::compose::<PubNub>(&section).persistence(history))
}

/// Does an action with what a client shows, and says whether it was let.
fn may(server: &Endpoint, action: &Action, channel: &str, shown: &str) -> bool {
    let answer = action.request(server, &FIRST, channel, shown);
    let says = answer.text();
    match answer.status {
        403 => {
            assert!(says.contains("\"status\":403"), "{says}");
            false
        }
        // What a message action is about is not there.
        200 | 404 => true,
        status => panic!("{action:?} {channel} {shown}: {status} {says}"),
    }
}

/// What a token gives on `room`, on what is below it, and as a group.
fn on_room(bits: u64) -> serde_json::Value {
    json!({"resources": {"channels": {"room": bits, "room-pnpres": bits, "room.*": bits}, "groups": {"room": bits}}})
}

#[test]
fn every_action_takes_its_right() {
    let server = start();
    let grant = |permissions: &serde_json::Value| {
        format!("auth={}", encode(&FIRST.grant(&server, permissions)))
    };
    let mut to_revoke = on_room(15);
    // Tokens that say the same, in the same second, are the same.
    to_revoke["meta"] = json!({"to be": "revoked"});
    let revoked = FIRST.grant(&server, &to_revoke);
    FIRST.revoke(&server, &revoked);
    let expired = FIRST.token_for("room", 15, Duration::ZERO);
    let other_keys = SECOND.grant(&server, &on_room(15));
    let elsewhere = json!({"resources": {"channels": {"hall": 15}, "groups": {"hall": 15}}});
    // Of `room.*` it covers some, and not all.
    let narrow = json!({"patterns": {"channels": {"^room\\.[a-z]$": 15}}});
    let mut cases = vec![
        ("nothing", String::new(), 0),
        ("a wrong token", "auth=qEF2AkF0GkF".into(), 0),
        ("an expired token", format!("auth={}", encode(&expired)), 0),
        ("a revoked token", format!("auth={}", encode(&revoked)), 0),
        (
            "another key set's token",
            format!("auth={}", encode(&other_keys)),
            0,
        ),
        ("a token for other names", grant(&elsewhere), 0),
        ("a token for a narrower pattern", grant(&narrow), 0),
        ("every right", grant(&on_room(15)), 15),
    ];
    for (name, bits) in [
        ("read only", READ),
        ("write only", WRITE),
        ("manage only", MANAGE),
        ("delete only", DELETE),
    ] {
        cases.push((name, grant(&on_room(bits)), bits));
    }
    let mut tried = 0;
    for action in actions::ALL {
        for (name, shown, bits) in &cases {
            let wanted = match action.right {
                Right::Bit(bit) => bits & bit != 0,
                Right::Everything => false,
            };
            let let_in = may(&server, action, "room", shown);
            assert_eq!(let_in, wanted, "{} with {name}", action.name);
            // No token says anything of it.
            assert!(
                !may(&server, action, "attic", shown),
                "{} with {name}",
                action.name
            );
            tried += 2;
        }
        let signed = action.request_signed(&server, &FIRST, "room");
        assert!(
            [200, 404].contains(&signed.status),
            "{}: {}",
            action.name,
            signed.text()
        );
    }
    assert_eq!(tried, 2 * actions::ALL.len() * cases.len());
}

#[test]
fn a_signature_covers_the_body_of_a_message_action() {
    let server = start();
    let sent = FIRST
        .get(&server, "/publish/p1/s1/0/room/0/1?uuid=u")
        .json();
    let message = sent[2].as_str().unwrap();
    let target = format!("/v1/message-actions/s1/channel/room/message/{message}?uuid=u");
    let body = |value| json!({"type": "reaction", "value": value}).to_string();
    let signed = FIRST.signed("POST", &target, &body("smile"));
    let changed = server.post(&signed, body("frown"));
    assert_eq!(
        (changed.status, &changed.json()["message"]),
        (403, &json!("Invalid Signature"))
    );
    assert_eq!(server.post(&signed, body("smile")).status, 200);
}

#[test]
fn all_names_that_were_refused_are_told() {
    let server = start();
    let token = FIRST.grant(&server, &on_room(READ));
    let target = format!(
        "/v2/subscribe/s1/room,hall,attic-pnpres,a.*/0?channel-group=room,g&uuid=u&auth={}",
        encode(&token)
    );
    let answer = server.get(&target);
    assert_eq!(
        answer.json(),
        json!({"message": "Forbidden", "error": true, "service": "Access Manager", "status": 403,
            "payload": {"channels": ["hall", "attic-pnpres", "a.*"], "channel-groups": ["g"]}})
    );
}

#[test]
fn whoever_lost_a_right_leaves_the_rest() {
    let server = start();
    let [both, one] =
        [json!({"room": READ, "hall": READ}), json!({"room": READ})].map(|channels| {
            let terms = json!({"resources": {"channels": channels}});
            encode(&FIRST.grant(&server, &terms))
        });
    let presence = "/v2/presence/sub-key/s1/channel";
    let get = |rest: &str| server.get(&format!("{presence}/{rest}")).status;
    assert_eq!(get(&format!("room,hall/heartbeat?uuid=u&auth={both}")), 200);
    assert_eq!(get(&format!("hall/leave?uuid=u&auth={one}")), 403);
    assert_eq!(get(&format!("room,hall/leave?uuid=u&auth={one}")), 200);
    let there = FIRST
        .get(&server, "/v2/presence/sub-key/s1/uuid/u?uuid=u")
        .json();
    assert_eq!(there["payload"]["channels"], json!(["hall"]));
}

#[test]
fn who_is_somewhere_has_a_name_of_its_own_in_tokens() {
    let server = start();
    let read = json!({"resources": {"channels": {"room": READ}}});
    let events = json!({"resources": {"channels": {"room-pnpres": READ, "a.*-pnpres": READ}}});
    let [read, events] = [read, events].map(|terms| encode(&FIRST.grant(&server, &terms)));
    let status = |target: &str, token: &str| server.get(&format!("{target}auth={token}")).status;
    let by_read = |target: &str| status(target, &read);
    let by_events = |target: &str| status(target, &events);
    assert_eq!(by_read("/v2/subscribe/s1/room/0?"), 200);
    assert_eq!(by_read("/v2/subscribe/s1/room-pnpres/0?"), 403);
    assert_eq!(by_read("/v2/presence/sub-key/s1/channel/room?"), 200);
    assert_eq!(by_events("/v2/subscribe/s1/room-pnpres/0?"), 200);
    assert_eq!(by_events("/v2/subscribe/s1/a.*-pnpres/0?"), 200);
    assert_eq!(by_events("/v2/subscribe/s1/a.*/0?"), 403);
    assert_eq!(by_events("/v2/subscribe/s1/room/0?"), 403);
    let state = "/v2/presence/sub-key/s1/channel/room/uuid/u/data?state=%7B%7D&uuid=u&";
    assert_eq!((by_events(state), by_read(state)), (403, 200));
}

#[test]
fn a_token_is_for_its_client() {
    let server = start();
    let terms = json!({"resources": {"channels": {"room": 15}}, "uuid": "ann"});
    let token = encode(&FIRST.grant(&server, &terms));
    let publish = |uuid: &str| server.get(&format!("/publish/p1/s1/0/room/0/1?{uuid}auth={token}"));
    assert_eq!(publish("uuid=ann&").status, 200);
    assert_eq!(publish("uuid=bob&").status, 403);
    // Whoever does not say who it is is whom the token names.
    assert_eq!(publish("").status, 200);
    let read = FIRST.get(
        &server,
        "/v3/history/sub-key/s1/channel/room?include_uuid=true&max=1",
    );
    assert_eq!(read.json()["channels"]["room"][0]["uuid"], "ann");
    let state = |uuid: &str| {
        let target = format!(
            "/v2/presence/sub-key/s1/channel/room/uuid/{uuid}/data?state=%7B%7D&uuid=ann&auth={token}"
        );
        server.get(&target).status
    };
    assert_eq!((state("ann"), state("bob")), (200, 403));
}
