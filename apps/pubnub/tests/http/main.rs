//! PubNub's addresses with a plain HTTP client: answers and errors word for word.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod first_version;
mod groups;
mod instances;
mod lists;
mod queues;

use std::time::UNIX_EPOCH;

use polywire_core::{Limits, PresenceSettings};
use polywire_pubnub::PubNub;
use polywire_testing::{
    Server,
    auth::{ApiKey, ApiKeySettings},
    peers::{Answer, HttpConnection},
};
use serde_json::{Value, json};

fn start() -> Server {
    Server::of::<PubNub>("hold_secs = 1")
}

/// Every answer is JSON and says so, and a page from elsewhere may read it.
#[track_caller]
fn check(answer: &Answer) {
    let content_type = answer.header("content-type");
    assert_eq!(content_type, Some("text/javascript; charset=\"UTF-8\""));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
}

#[track_caller]
fn expect(server: &Server, target: &str, status: u16, body: &Value) {
    let answer = server.get(target);
    check(&answer);
    assert_eq!((answer.status, &answer.json()), (status, body), "{target}");
}

/// An error of publishing: its text, between a 0 and a timetoken.
#[track_caller]
fn expect_problem(answer: &Answer, status: u16, text: &str) {
    check(answer);
    let body = answer.json();
    assert_eq!(answer.status, status, "{body}");
    assert_eq!((&body[0], &body[1]), (&json!(0), &json!(text)));
    assert_eq!(body[2].as_str().unwrap().len(), 17);
}

fn error(status: u16, service: &str, message: &str) -> Value {
    json!({"message": message, "error": true, "service": service, "status": status})
}

/// Asks with ten wrong ones, and with another one.
fn guess(server: &Server, target: impl Fn(&str) -> String) {
    for guess in 0..10 {
        let answer = server.get(&target(&format!("guess-{guess}")));
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    let answer = server.get(&target("another"));
    assert_eq!(answer.status, 429, "{answer:?}");
    check(&answer);
    assert_eq!(server.get(&target("guess-0")).status, 403, "judged before");
}

#[test]
fn who_guesses_auth_keys_has_to_wait_and_who_is_known_has_not() {
    let policy = ApiKey::from(&ApiKeySettings::default());
    let builder = Server::compose::<PubNub>("authenticate = true").authentication(policy);
    let server = Server::start(builder);
    let target = |auth: &str| format!("/publish/demo/demo/0/c/0/1?uuid=u&auth={auth}");
    assert_eq!(server.get(&target("secret")).status, 200);
    guess(&server, target);
    assert_eq!(
        server.get(&target("secret")).status,
        200,
        "from the same address"
    );
}

#[test]
fn who_guesses_tokens_or_signatures_has_to_wait() {
    let section = "[[key_sets]]\npublish_key = \"demo\"\nsubscribe_key = \"demo\"\n\
                   secret_key = \"a secret key of tests\"\naccess_manager = true\n";
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    for shown in ["auth", &format!("timestamp={now}&signature")] {
        let server = Server::of::<PubNub>(section);
        guess(&server, |guess| {
            format!("/publish/demo/demo/0/c/0/1?uuid=u&{shown}={guess}")
        });
    }
}

#[test]
fn a_minimal_exchange() {
    let server = start();
    let first = server.get("/v2/subscribe/demo/d1,d1-pnpres/0?tt=0&ee=1&uuid=defu");
    check(&first);
    let first = first.json();
    assert_eq!((&first["m"], &first["t"]["r"]), (&json!([]), &json!(1)));
    let cursor = first["t"]["t"].as_str().unwrap();
    let target = format!("/v2/subscribe/demo/d1,d1-pnpres/0?tt={cursor}&tr=1&uuid=defu");
    let join = server.get(&target).json();
    let event = &join["m"][0];
    assert_eq!(event["c"], "d1-pnpres");
    assert_eq!(event["b"], "d1-pnpres");
    assert_eq!(event["d"]["action"], "join");
    assert_eq!(event["d"]["occupancy"], 1);
    assert!(event["d"]["timestamp"].is_u64());
    assert!(event.get("i").is_none() && event.get("e").is_none() && event.get("u").is_none());
    assert_eq!(event["p"]["t"], join["t"]["t"]);
    let sent = server.get(
        "/publish/demo/demo/0/d1/0/%7B%22name%22%3A%22Alex%22%7D?meta=%7B%22n%22%3A3%7D&uuid=u1",
    );
    check(&sent);
    let sent = sent.json();
    assert_eq!((&sent[0], &sent[1]), (&json!(1), &json!("Sent")));
    let cursor = join["t"]["t"].as_str().unwrap();
    let target = format!("/v2/subscribe/demo/d1/0?tt={cursor}&tr=1&uuid=defu");
    let got = server.get(&target).json();
    assert_eq!(
        got["m"],
        json!([{"a": "1", "f": 0, "i": "u1", "s": got["m"][0]["s"], "p": {"t": sent[2], "r": 1},
            "k": "demo", "c": "d1", "d": {"name": "Alex"}, "u": {"n": 3}}])
    );
    assert_eq!(got["t"], json!({"t": sent[2], "r": 1}));
    // Nothing more: the poll is held, and answered with nothing.
    let target = format!("/v2/subscribe/demo/d1/0?tt={}", sent[2].as_str().unwrap());
    assert_eq!(server.get(&target).json()["m"], json!([]));
}

#[test]
fn errors_of_publishing() {
    let server = start();
    let get = |target: &str| server.get(target);
    expect_problem(&get("/publish/x/demo/0/c/0/1"), 400, "Invalid Key");
    expect_problem(&get("/publish/demo/x/0/c/0/1"), 400, "Invalid Key");
    for message in ["%7B", "hello", "%22%FF%22", ""] {
        let target = format!("/publish/demo/demo/0/c/0/{message}");
        expect_problem(&get(&target), 400, "Invalid JSON");
    }
    expect_problem(&get("/publish/demo/demo/0/c/0"), 400, "Invalid JSON");
    // Readers stop at some numbers: one stops at 4,300 digits.
    let too_large = "Invalid JSON: a number is above 1.8e308; send it as a string";
    let too_deep = "Invalid JSON: it is nested more than 60 levels deep";
    for (message, problem) in [
        ("9".repeat(1001), too_large),
        (format!("[1,-{}]", "9".repeat(5000)), too_large),
        ("1e309".to_owned(), too_large),
        (["[".repeat(61), "]".repeat(61)].concat(), too_deep),
    ] {
        let answer = get(&format!("/publish/demo/demo/0/c/0/{message}"));
        expect_problem(&answer, 400, problem);
        let answer = server.post("/publish/demo/demo/0/c/0", message);
        expect_problem(&answer, 400, problem);
    }
    let bad = [
        ("meta=%7B", "Invalid meta"),
        ("ttl=soon", "Invalid ttl"),
        ("custom_message_type=a", "Invalid custom message type"),
        (
            "custom_message_type=a%20b%20c",
            "Invalid custom message type",
        ),
    ];
    for (query, problem) in bad {
        let target = format!("/publish/demo/demo/0/c/0/1?{query}");
        expect_problem(&get(&target), 400, problem);
    }
    expect_problem(&get("/publish/demo/demo/0/%FF/0/1"), 400, "Invalid Channel");
    let wildcard = "Publishing to a wildcard is not allowed";
    expect_problem(&get("/publish/demo/demo/0/a.*/0/1"), 400, wildcard);
    let signal = |bytes: usize| {
        let message = "x".repeat(bytes - 2);
        get(&format!("/signal/demo/demo/0/c/0/%22{message}%22"))
    };
    assert_eq!(signal(64).status, 200);
    expect_problem(&signal(65), 400, "Signal size too large");
}

#[test]
fn messages_have_a_limit_however_they_come() {
    let server = start();
    let too_large = "Message Too Large";
    // The name of the channel counts too.
    let message = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let by_get = |bytes| {
        let target = format!("/publish/demo/demo/0/room/0/{}", message(bytes));
        server.get(&target.replace('"', "%22"))
    };
    assert_eq!(by_get(32 * 1024 - 4).status, 200);
    expect_problem(&by_get(32 * 1024 - 3), 413, too_large);
    let by_post = |bytes| server.post("/publish/demo/demo/0/room/0", message(bytes));
    assert_eq!(by_post(32 * 1024 - 4).status, 200);
    expect_problem(&by_post(32 * 1024 - 3), 413, too_large);
    expect_problem(&by_post(5 << 20), 413, too_large);
    // A request line that no HTTP library takes.
    for bytes in [66_000, 100_000, 150_000] {
        let answer = by_get(bytes);
        expect_problem(&answer, 413, too_large);
    }
    // zlib: a mebibyte of spaces in a kibibyte. Only what is needed to see that is unpacked.
    let bomb = include_bytes!("data/spaces.zlib");
    let headers = [("Content-Encoding", "deflate")];
    let target = "/publish/demo/demo/0/room/0";
    let answer = server.request("POST", target, &headers, Some(bomb));
    expect_problem(&answer, 413, too_large);
    let answer = server.request("POST", target, &headers, Some(b"\x78\x9cno zlib"));
    expect_problem(&answer, 400, "Invalid JSON");
    // A header alone is no reason to unpack anything.
    let answer = server.request("GET", "/publish/demo/demo/0/room/0/1", &headers, None);
    assert_eq!(answer.status, 200);
}

#[test]
fn errors_of_subscribing() {
    let server = start();
    let subscribe = |rest: &str| format!("/v2/subscribe/demo/{rest}");
    let key = error(400, "Access Manager", "Invalid Subscribe Key");
    expect(&server, "/v2/subscribe/x/c/0", 400, &key);
    let bad = |message| error(400, "Subscribe", message);
    for (rest, message) in [
        ("c/0?tt=soon", "Invalid Timetoken"),
        ("c/0?tt=-1", "Invalid Timetoken"),
        ("c/0?tt=99999999999999999999", "Invalid Timetoken"),
        ("c/0?tt=%FF", "Invalid Timetoken"),
        ("c/0?heartbeat=x", "Invalid Heartbeat"),
        ("c/0?state=%7B", "Invalid JSON specified."),
        (
            "c/0?state=%7B%22c%22%3A1%7D",
            "A state must be a JSON object.",
        ),
        ("c/0?filter-expr=a%20%3D%3D", "Filter syntax error"),
        ("c/0?filter-expr=%FF", "Filter syntax error"),
        ("a,%FF/0", "A channel name is not valid UTF-8."),
        (",/0", "Name at least one channel or channel group."),
    ] {
        expect(&server, &subscribe(rest), 400, &bad(message));
    }
    let many: Vec<_> = (0..10_000).map(|n| format!("c{n}")).collect();
    let answer = server.get(&subscribe(&format!("{}/0?tt=1", many.join(","))));
    check(&answer);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("use channel groups for more"));
    let long = "x".repeat(2000);
    assert_eq!(server.get(&subscribe(&format!("{long}/0"))).status, 400);
}

#[test]
fn errors_of_presence_and_groups() {
    let server = start();
    let presence = |rest: &str| format!("/v2/presence/sub-key/demo/{rest}");
    let bad = |message| error(400, "Presence", message);
    for (rest, message) in [
        (
            "channel/c/heartbeat?heartbeat=x&uuid=u",
            "Invalid Heartbeat",
        ),
        (
            "channel/c/heartbeat?state=1&uuid=u",
            "Invalid JSON specified.",
        ),
        (
            "channel/c/uuid/u/data?state=%5B%5D",
            "A state must be a JSON object.",
        ),
        ("channel/c/uuid/u/data?state=%7B", "Invalid JSON specified."),
        ("channel/c/uuid/u/data", "Invalid JSON specified."),
        ("channel/%FF", "Invalid Channel"),
        ("channel/c?limit=x", "Invalid limit: it must be a number."),
        ("uuid/%FF", "Invalid UUID"),
    ] {
        expect(&server, &presence(rest), 400, &bad(message));
    }
    let missing =
        json!({"status": 404, "error": true, "message": "Not Found", "service": "Presence"});
    expect(&server, &presence("channel"), 404, &missing);
    let registry = "/v1/channel-registration/sub-key/demo/channel-group";
    let full: Vec<_> = (0..201).map(|n| format!("c{n}")).collect();
    let answer = server.get(&format!("{registry}/g?add={}", full.join(",")));
    assert_eq!(answer.status, 400);
    let listed = json!({"status": 200, "payload": {"channels": [], "group": "g"},
        "service": "channel-registry", "error": false});
    expect(&server, &format!("{registry}/g"), 200, &listed);
    let answer = server.request("POST", registry, &[], None);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
}

#[test]
fn answers_of_presence() {
    let server = start();
    let presence = "/v2/presence/sub-key/demo";
    let ok = json!({"status": 200, "message": "OK", "service": "Presence"});
    let with = |more: Value| {
        let mut body = ok.clone();
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let get = |rest: &str, body: Value| expect(&server, &format!("{presence}{rest}"), 200, &body);
    get("/channel/c", with(json!({"uuids": [], "occupancy": 0})));
    get("/uuid/u", with(json!({"payload": {"channels": []}})));
    get("/channel/c,d/heartbeat?uuid=u&heartbeat=300", ok.clone());
    get("/channel/c-pnpres,e.*/heartbeat?uuid=u", ok.clone());
    get("/channel/c", with(json!({"uuids": ["u"], "occupancy": 1})));
    get("/channel/c?disable_uuids=1", with(json!({"occupancy": 1})));
    get(
        "/channel/c?limit=0",
        with(json!({"uuids": [], "occupancy": 1})),
    );
    get(
        "/channel/c?state=1",
        with(json!({"uuids": [{"uuid": "u"}], "occupancy": 1})),
    );
    let one = json!({"uuids": ["u"], "occupancy": 1});
    let both = json!({"channels": {"c": one, "d": one}, "total_channels": 2, "total_occupancy": 2});
    get("/channel/c,d,nobody", with(json!({"payload": both})));
    get("", with(json!({"payload": both})));
    let state = json!({"a": 1});
    get(
        "/channel/c/uuid/u/data?state=%7B%22a%22%3A1%7D&uuid=u",
        with(json!({"payload": state})),
    );
    get(
        "/channel/c/uuid/u",
        with(json!({"payload": state, "uuid": "u", "channel": "c"})),
    );
    get(
        "/channel/c/uuid/nobody",
        with(json!({"payload": {}, "uuid": "nobody", "channel": "c"})),
    );
    let channels = json!({"channels": {"c": state, "d": {}}});
    get(
        "/channel/c,d/uuid/u",
        with(json!({"payload": channels, "uuid": "u"})),
    );
    get(
        "/uuid/u",
        with(json!({"payload": {"channels": ["c", "d"]}})),
    );
    let left = with(json!({"action": "leave"}));
    get("/channel/c/leave?uuid=u", left.clone());
    get("/channel/c/leave?uuid=u", left);
    get("/uuid/u", with(json!({"payload": {"channels": ["d"]}})));
}

#[test]
fn what_is_not_here_is_said_in_json() {
    let server = start();
    for (target, service) in [
        ("/v1/files/demo/channels/c/files", "Files"),
        ("/v1/push/sub-key/demo/devices/x", "Push"),
        ("/v2/push/sub-key/demo/devices/x", "Push"),
        ("/v2/objects/demo/uuids", "Objects"),
        ("/v2/auth/grant/sub-key/demo", "Access Manager"),
        ("/subscribe/demo/c/0", "Balancer"),
        ("/time/0/1", "Balancer"),
        ("/v3/history/x", "Balancer"),
    ] {
        let body =
            json!({"status": 404, "error": true, "message": "Not Found", "service": service});
        expect(&server, target, 404, &body);
    }
    let no_history = "No history is kept here: start the server with --persistence.";
    let body = error(400, "History", no_history);
    expect(&server, "/v2/history/sub-key/demo/channel/c", 400, &body);
}

#[test]
fn pages_from_elsewhere_may_ask() {
    let server = start();
    let answer = server.request("OPTIONS", "/publish/demo/demo/0/c/0", &[], None);
    check(&answer);
    assert_eq!(answer.status, 200);
    let methods = answer.header("access-control-allow-methods").unwrap();
    for method in ["GET", "POST", "DELETE", "PATCH", "OPTIONS"] {
        assert!(methods.contains(method));
    }
    let headers = answer.header("access-control-allow-headers").unwrap();
    for header in ["Content-Type", "Content-Encoding", "Accept"] {
        assert!(headers.contains(header));
    }
}

#[test]
fn time_is_a_bare_number() {
    let time = start().get("/time/0").json();
    assert!(time[0].is_u64(), "{time}");
}

#[test]
fn tenants_are_apart() {
    let server = Server::of::<PubNub>(
        "hold_secs = 1\n\
         [[key_sets]]\npublish_key = \"p1\"\nsubscribe_key = \"s1\"\n\
         [[key_sets]]\npublish_key = \"p2\"\nsubscribe_key = \"s2\"\n",
    );
    expect_problem(
        &server.get("/publish/demo/demo/0/c/0/1"),
        400,
        "Invalid Key",
    );
    expect_problem(&server.get("/publish/p1/s2/0/c/0/1"), 400, "Invalid Key");
    assert_eq!(server.get("/publish/p1/s1/0/c/0/%22one%22").status, 200);
    assert_eq!(server.get("/publish/p2/s2/0/c/0/%22two%22").status, 200);
    for (key, message) in [("s1", "one"), ("s2", "two")] {
        let got = server.get(&format!("/v2/subscribe/{key}/c/0?tt=1")).json();
        let said: Vec<_> = got["m"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| &m["d"])
            .collect();
        assert_eq!(said, [message], "{got}");
        assert_eq!(
            (&got["m"][0]["c"], &got["m"][0]["k"]),
            (&json!("c"), &json!(key))
        );
    }
    // One cannot name the other's channels.
    let other = "$domain%2Fpubnub:s2%2Fc";
    for target in [
        format!("/publish/p1/s1/0/{other}/0/1"),
        format!("/v2/subscribe/s1/{other}/0"),
    ] {
        let answer = server.get(&target);
        check(&answer);
        assert_eq!(answer.status, 403, "{target}");
        let named = json!({"channels": ["$domain/pubnub:s2/c"]});
        assert_eq!(answer.json()["payload"], named);
    }
}

#[test]
fn comings_and_goings_of_many_are_summed_up() {
    let section = "presence_announce_max = 3\npresence_interval_secs = 1\n";
    first_three_are_told_at_once(&Server::of::<PubNub>(section));
}

/// Whichever bound is lower counts: that of all protocols sums up before this one does.
#[test]
fn what_the_server_sums_up_is_in_the_intervals() {
    let section = "presence_announce_max = 50\npresence_interval_secs = 1\n";
    let presence = PresenceSettings { announce_max: 3 };
    let builder = Server::compose::<PubNub>(section).presence(presence);
    first_three_are_told_at_once(&Server::start(builder));
}

fn first_three_are_told_at_once(server: &Server) {
    let first = server.get("/v2/subscribe/demo/c-pnpres/0").json();
    let mut cursor = first["t"]["t"].as_str().unwrap().to_owned();
    for number in 0..6 {
        server.get(&format!(
            "/v2/presence/sub-key/demo/channel/c/heartbeat?uuid=u{number}"
        ));
    }
    // An interval may end while they come.
    let (mut events, mut summed_up) = (Vec::new(), Vec::new());
    while !events
        .last()
        .is_some_and(|event: &Value| event["occupancy"] == 6)
    {
        let got = server
            .get(&format!("/v2/subscribe/demo/c-pnpres/0?tt={cursor}"))
            .json();
        cursor = got["t"]["t"].as_str().unwrap().to_owned();
        events.extend(got["m"].as_array().unwrap().iter().map(|m| m["d"].clone()));
    }
    for (place, event) in events.iter().enumerate() {
        let action = if place < 3 { "join" } else { "interval" };
        assert_eq!(event["action"], action, "{events:?}");
        summed_up.extend(event["join"].as_array().into_iter().flatten().cloned());
    }
    assert_eq!(summed_up, ["u3", "u4", "u5"]);
}

#[test]
fn a_name_may_begin_with_a_dollar_sign() {
    let server = start();
    let first = server.get("/v2/subscribe/demo/$news/0?tt=0").json();
    let cursor = first["t"]["t"].as_str().unwrap();
    assert_eq!(server.get("/publish/demo/demo/0/$news/0/1").status, 200);
    let target = format!("/v2/subscribe/demo/$news/0?tt={cursor}");
    assert_eq!(server.get(&target).json()["m"][0]["d"], 1);
}

#[test]
fn one_connection_does_not_take_the_room_of_all_members() {
    let limits = Limits {
        members_per_connection_max: 3,
        ..Limits::default()
    };
    let server = Server::start(Server::compose::<PubNub>("").limits(limits));
    let presence = "/v2/presence/sub-key/demo/channel/c";
    let mut one = HttpConnection::open(server.address);
    for n in 0..10 {
        // Whoever is not counted is served like everybody.
        let target = format!("{presence}/heartbeat?uuid=u{n}&heartbeat=300");
        assert_eq!(one.request("GET", &target, &[], None).status, 200);
    }
    let occupancy = || server.get(presence).json()["occupancy"].clone();
    assert_eq!(occupancy(), 3);
    server.get(&format!("{presence}/heartbeat?uuid=ann&heartbeat=300"));
    assert_eq!(occupancy(), 4);
    // Who leaves makes room.
    let leave = format!("{presence}/leave?uuid=u0");
    assert_eq!(one.request("GET", &leave, &[], None).status, 200);
    one.request("GET", &format!("{presence}/heartbeat?uuid=u9"), &[], None);
    assert_eq!(occupancy(), 4);
    let counters = server.space().runtime().counters().all();
    let counted = counters
        .iter()
        .find(|counter| counter.reason().contains("members_per_connection_max"));
    assert_eq!(counted.unwrap().count(), 7);
}

#[test]
fn reserved_names_are_named_by_nobody() {
    let server = start();
    let presence = "/v2/presence/sub-key/demo/channel";
    let reserved = "$polywire%2Fregistry";
    for target in [
        format!("/publish/demo/demo/0/{reserved}/0/1"),
        format!("/v2/subscribe/demo/{reserved}/0?tt=0"),
        format!("/v2/subscribe/demo/{reserved}-pnpres/0?tt=0"),
        format!("/v2/subscribe/demo/{reserved}.*/0?tt=0"),
        format!("{presence}/{reserved}"),
        format!("{presence}/room,{reserved}/heartbeat?uuid=u"),
        format!("{presence}/{reserved}/leave?uuid=u"),
        format!("{presence}/{reserved}/uuid/u/data?state=%7B%22a%22%3A1%7D&uuid=u"),
        format!("{presence}/{reserved}/uuid/u"),
        format!("/v1/channel-registration/sub-key/demo/channel-group/g?add={reserved}"),
        format!("/v1/channel-registration/sub-key/demo/channel-group/{reserved}?add=room"),
    ] {
        let answer = server.get(&target);
        check(&answer);
        assert_eq!(answer.status, 400, "{target}: {}", answer.text());
    }
    assert_eq!(server.space().presence().channels(), []);
}
