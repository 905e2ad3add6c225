//! Emitter keys: each action with each kind of key.

use std::{net::SocketAddr, time::Duration};

use polywire_core::{
    AppRunner,
    testkit::{AllowAll, LocalBackend},
};
use polywire_emitter::Emitter;
use serde_json::{Value, json};

use crate::{
    client::{Client, Lasting},
    start,
};

pub(crate) const MASTER: &str = "a-master-key-of-tests";

/// What one does with the channel `a/b/`.
#[derive(Debug, Clone, Copy)]
enum Doing {
    Publish,
    Subscribe,
    SubscribeBelow,
    Share,
    History,
    Presence,
}

const ALL: [Doing; 6] = [
    Doing::Publish,
    Doing::Subscribe,
    Doing::SubscribeBelow,
    Doing::Share,
    Doing::History,
    Doing::Presence,
];

pub(crate) fn app() -> Emitter {
    Emitter::default().master_key(MASTER).unwrap()
}

async fn server() -> SocketAddr {
    let builder = AppRunner::builder(LocalBackend::default()).authentication(AllowAll);
    start(builder.app(app())).await.0
}

pub(crate) fn key(channel: &str, letters: &str) -> String {
    app().make_key(channel, letters, None).unwrap()
}

/// Publishes a request, and returns its answer.
pub(crate) async fn request(client: &mut Client, name: &str, body: &Value) -> Value {
    let topic = format!("emitter/{name}/");
    client.publish(0, false, 0, &topic, &body.to_string()).await;
    loop {
        let (first, body) = client.packet().await;
        assert_eq!(first, 0x30, "{body:?}");
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        if body[2..2 + length] == *topic.as_bytes() {
            return serde_json::from_slice(&body[2 + length..]).unwrap();
        }
    }
}

/// Bans a key, or lifts its ban.
pub(crate) async fn ban(client: &mut Client, key: &str, banned: bool) {
    let asked = json!({"secret": MASTER, "target": key, "banned": banned});
    assert_eq!(request(client, "keyban", &asked).await["status"], 200);
}

/// True when a key lets somebody do it.
async fn may(server: SocketAddr, key: &str, doing: Doing) -> bool {
    let (mut client, _) = Client::connect(server, "", Lasting::No).await;
    // It is said what is wrong, once for each fault.
    match doing {
        Doing::Publish => {
            let topic = format!("{key}/a/b/");
            client.publish(0, false, 0, &topic, "x").await;
            client.send(0xc0, &[]).await;
            let (first, body) = client.packet().await;
            if first == 0xd0 {
                return true;
            }
            let said = String::from_utf8_lossy(&body).into_owned();
            assert!(said.contains("emitter/error/"), "{said}");
            assert!(said.contains("\"status\":401"), "{said}");
            false
        }
        Doing::Subscribe => client.ask_to_subscribe(&format!("{key}/a/b/"), 0).await == 0,
        Doing::SubscribeBelow => client.ask_to_subscribe(&format!("{key}/a/+/"), 0).await == 0,
        Doing::Share => {
            let filter = format!("{key}/$share/g/a/b/");
            client.ask_to_subscribe(&filter, 0).await == 0
        }
        Doing::History | Doing::Presence => {
            let (name, asked) = match doing {
                Doing::History => ("history", json!({"key": key, "channel": "a/b/"})),
                _ => (
                    "presence",
                    json!({"key": key, "channel": "a/b/", "status": true}),
                ),
            };
            let answer = request(&mut client, name, &asked).await;
            assert!(
                answer["status"] == 401 || answer["status"] != 400,
                "{answer}"
            );
            answer["status"] != 401
        }
    }
}

#[tokio::test]
async fn each_key_allows_what_it_says_and_nothing_else() {
    let server = server().await;
    let ended = app()
        .make_key("a/b/", "rwlp", Some(Duration::ZERO))
        .unwrap();
    let good = key("a/b/", "rwlp");
    let banned = key("a/b/", "rwlp");
    let (mut admin, _) = Client::connect(server, "admin", Lasting::No).await;
    ban(&mut admin, &banned, true).await;
    let mut tampered = good.clone();
    tampered.replace_range(5..6, if &good[5..6] == "A" { "B" } else { "A" });
    let longer = format!("{good}A");
    let none: &[&str] = &[
        "x",
        "a",
        MASTER,
        &tampered,
        &longer,
        &good[1..],
        &banned,
        "%00",
        "$share",
        "+",
    ];
    let of = |letters| key("a/b/", letters);
    let table: Vec<(String, &str)> = none
        .iter()
        .map(|key| ((*key).to_owned(), ""))
        .chain([
            (good.clone(), "wrglp"),
            (of("r"), "rg"),
            (of("w"), "w"),
            (of("l"), "l"),
            (of("p"), "p"),
            (of("s"), ""),
            (of("rwlpe"), ""),
            (of("x"), ""),
            (key("a/#/", "rwlp"), "wrbglp"),
            (key("#/", "rwlp"), "wrbglp"),
            (key("a/+/", "rwlp"), "wrbglp"),
            // What is below `a/` comes to whoever subscribes to that, too.
            (key("a/", "rwlp"), "b"),
            (key("c/#/", "rwlp"), ""),
            (key("a/+/c/", "rwlp"), ""),
            (key("a/b/c/", "rwlp"), ""),
            (key("$share/g/a/b/", "rwlp"), "g"),
            (key("$share/h/a/b/", "rwlp"), ""),
        ])
        .collect();
    for (key, allowed) in &table {
        for (doing, letter) in ALL.into_iter().zip(['w', 'r', 'b', 'g', 'l', 'p']) {
            let is_allowed = allowed.contains(letter);
            assert_eq!(may(server, key, doing).await, is_allowed, "{key} {doing:?}");
        }
    }
    // It was good for the rest of the second in which it was made.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for doing in ALL {
        assert!(!may(server, &ended, doing).await, "{doing:?}");
    }
    ban(&mut admin, &banned, false).await;
    assert!(may(server, &banned, Doing::Publish).await);
}

#[tokio::test]
async fn a_banned_key_makes_no_others() {
    let server = server().await;
    let (mut client, _) = Client::connect(server, "c", Lasting::No).await;
    let extend = key("a/#/", "rwe");
    let asked = json!({"key": extend, "channel": "a/b/", "type": "r", "ttl": 0});
    assert_eq!(request(&mut client, "keygen", &asked).await["status"], 200);
    ban(&mut client, &extend, true).await;
    assert_eq!(request(&mut client, "keygen", &asked).await["status"], 401);
}

#[tokio::test]
async fn keys_name_nothing_that_is_another_tenants_or_the_servers_own() {
    let server = server().await;
    let all = key("#/", "rwlp");
    let (mut client, _) = Client::connect(server, "c", Lasting::No).await;
    for channel in [
        "$domain/pubnub:demo/room",
        "$domain/webpubsub:chat/room",
        "$domain/+/room",
        "$polywire/control",
        "$polywire/+",
    ] {
        let filter = format!("{all}/{channel}/");
        assert_eq!(client.ask_to_subscribe(&filter, 0).await, 0x80, "{channel}");
        for name in ["history", "presence"] {
            let asked = json!({"key": all, "channel": format!("{channel}/"), "status": true});
            let answer = request(&mut client, name, &asked).await;
            assert_eq!(answer["status"], 401, "{channel} {name} {answer}");
        }
    }
}
