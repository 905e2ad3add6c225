//! Seth-Pusher on Redis: several servers, one channel space.

use serde_json::{Value, json};

use crate::command_line::run;
use crate::support::{
    HttpConnection, RECOVERY, Redis, SOON, Server, ServerOptions, config_file, eventually,
    tls::{Files, Pair},
};

fn server(redis: &Redis) -> Server {
    Server::start(&["--debug", "--backend", &redis.url()])
}

fn wait_until_ready(server: &Server) {
    server.publish_when_ready("/api/channels/readiness/", &json!({}));
}

fn pair(redis: &Redis) -> (Server, Server) {
    let servers = (server(redis), server(redis));
    wait_until_ready(&servers.0);
    wait_until_ready(&servers.1);
    servers
}

#[test]
fn channel_messages_cross() {
    let redis = Redis::start();
    let (one, two) = pair(&redis);
    let mut here = one.websocket();
    here.join("news");
    let mut there = two.websocket();
    there.join("news");
    here.expect_notice("subscribe", Value::Null, "User: None subscribed to news");
    for (n, publisher) in [&one, &two, &one].into_iter().enumerate() {
        let message = json!({"n": n, "sender_id": {"deep": [n]}, "text": "ü 🐴 % \u{0}"});
        publisher.publish("/api/channels/news/", &message);
        here.expect_message(&message, &json!({"deep": [n]}));
        there.expect_message(&message, &json!({"deep": [n]}));
    }
}

/// Backend and persistence, both over `rediss://`, with a certificate that no system trusts.
#[test]
fn messages_cross_and_are_kept_over_tls() {
    let files = Files::of(&Pair::of("127.0.0.1"));
    let redis = Redis::start_with_tls(files.certificate.clone(), files.key.clone());
    assert!(redis.url().starts_with("rediss://"));
    let flags = [
        "--debug",
        "--backend",
        &redis.url(),
        "--persistence",
        "redis",
    ];
    let start = |config: &str| ServerOptions::new(&flags).config(config).start();
    let config = format!("[redis]\nca_file = {:?}\n", files.certificate);
    let servers = [start(&config), start(&config)];
    servers.iter().for_each(wait_until_ready);
    let mut there = servers[1].websocket();
    there.join("news");
    servers[0].publish("/api/channels/news/", &json!({"over": "TLS"}));
    there.expect_message(&json!({"over": "TLS"}), &Value::Null);
    let keys = redis.command(&["KEYS", "*history:*"]);
    assert!(keys.contains("news"), "{keys}");

    // Who does not know the certificate does not trust it, and publishes nothing.
    let other = Files::of(&Pair::of("127.0.0.1"));
    for config in [
        String::new(),
        format!("[redis]\nca_file = {:?}\n", other.certificate),
    ] {
        let stranger = start(&config);
        let answer = stranger.post("/api/channels/news/", "{}");
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    let missing = config_file("[redis]\nca_file = \"/nowhere/ca.pem\"\n");
    let flags = [
        &[
            "serve",
            "--port",
            "0",
            "--config",
            missing.to_str().unwrap(),
        ],
        &flags[1..],
    ];
    let refused = run(&flags.concat());
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("ca_file /nowhere/ca.pem cannot be read"),
        "{stderr}"
    );
}

#[test]
fn private_messages_cross() {
    let redis = Redis::start();
    let (one, two) = pair(&redis);
    let mut here = one.client("ann");
    // She is there already: nobody is told.
    let mut there = two.client("ann");
    let mut bob = two.client("bob");
    here.expect_notice("connect", "bob", "User: bob connected.");
    there.expect_notice("connect", "bob", "User: bob connected.");
    one.publish("/api/users/ann/", &json!({"n": 1}));
    two.publish("/api/users/ann/", &json!({"n": 2}));
    for client in [&mut here, &mut there] {
        for n in [1, 2] {
            client.expect(&json!({"message": {"n": n}, "target_id": "ann", "sender_id": null}));
        }
    }
    one.publish("/api/users/bob/", &json!({"n": 3}));
    bob.expect(&json!({"message": {"n": 3}, "target_id": "bob", "sender_id": null}));
    here.expect_silence();
}

#[test]
fn notices_cross() {
    let redis = Redis::start();
    let (one, two) = pair(&redis);
    let mut ann = one.client("ann");
    ann.join("news");
    let mut seven = two.client(7);
    ann.expect_notice("connect", 7, "User: 7 connected.");
    seven.subscribe("news");
    ann.expect_notice("subscribe", 7, "User: 7 subscribed to news");
    seven.expect_notice("subscribe", 7, "User: 7 subscribed to news");
    seven.unsubscribe("news");
    ann.expect_notice("unsubscribe", 7, "User: 7 unsubscribed from news");
    seven.close();
    ann.expect_notice("disconnect", 7, "User: 7 disconnected.");
}

#[test]
fn many_messages_keep_their_order_across() {
    let redis = Redis::start();
    let (one, two) = pair(&redis);
    let mut here = one.websocket();
    here.join("news");
    let mut there = two.websocket();
    there.join("news");
    here.expect_notice("subscribe", Value::Null, "User: None subscribed to news");
    let mut http = HttpConnection::open(one.address);
    for n in 0..1_000 {
        let body = json!({"n": n}).to_string();
        let answer = http.request("POST", "/api/channels/news/", &[], Some(body.as_bytes()));
        assert_eq!(answer.status, 200);
    }
    for client in [&mut here, &mut there] {
        for n in 0..1_000 {
            client.expect_message(&json!({"n": n}), &Value::Null);
        }
    }
}

#[test]
fn a_stranger_who_leaves_takes_nobodys_subscription_away() {
    let redis = Redis::start();
    let (one, two) = pair(&redis);
    let mut member = one.client("ann");
    member.join("news");
    for _ in 0..3 {
        let mut stranger = one.websocket();
        stranger.unsubscribe("news");
        stranger.unsubscribe("all");
        stranger.settle();
        stranger.close();
    }
    two.publish("/api/channels/news/", &json!({"n": 1}));
    two.publish("/api/channels/all/", &json!({"n": 2}));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let message = member.receive()["message"].clone();
        // Notices of the strangers' leaving may come or not.
        if message["type"].is_null() {
            seen.push(message["n"].as_u64().unwrap());
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
}

#[test]
fn an_outage_of_redis_is_survived() {
    let mut redis = Redis::start();
    let (one, two) = pair(&redis);
    let mut here = one.client("ann");
    here.join("news");
    let mut there = two.client("bob");
    here.expect_notice("connect", "bob", "User: bob connected.");
    there.join("news");
    here.expect_notice("subscribe", "bob", "User: bob subscribed to news");

    redis.stop();
    // Until a server has noticed, a post may still be answered 200.
    let mut n = 0;
    let answer = eventually("an answer 503", SOON, || {
        n += 1;
        let answer = one.post("/api/channels/news/", json!({"outage": n}).to_string());
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(answer.json()["status"], 503);
    assert!(answer.json()["message"].is_string(), "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=UTF-8")
    );
    // Local members are served all the same: the message of the 503 arrives, and nothing hangs.
    loop {
        if here.receive()["message"]["outage"] == n {
            break;
        }
    }
    let answer = one.post("/api/users/ann/", json!({"private": 1}).to_string());
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(here.receive()["message"], json!({"private": 1}));
    here.subscribe("during");
    here.expect_notice("subscribe", "ann", "User: ann subscribed to during");
    // Newcomers are let in.
    let mut carol = one.client("carol");
    here.expect_notice("connect", "carol", "User: carol connected.");
    carol.join("during");
    here.expect_notice("subscribe", "carol", "User: carol subscribed to during");
    assert_eq!(
        one.get("/debug/channels/during/").json()["subscriber_count"],
        2
    );

    redis.restart();
    wait_until_ready(&one);
    wait_until_ready(&two);
    // Both old subscriptions and those made during the outage work across again. The servers may need
    // a moment to subscribe again, so the other side repeats itself until it is heard.
    for channel in ["news", "during"] {
        let target = format!("/api/channels/{channel}/");
        here.socket.get_ref().set_nonblocking(true).unwrap();
        eventually("a message from the other server", RECOVERY, || {
            let answer = two.post(&target, json!({"after": channel}).to_string());
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
            while let Ok(message) = here.socket.read() {
                let text = message.to_string();
                if text.contains(&format!(r#"{{"after":"{channel}"}}"#)) {
                    return Some(());
                }
            }
            None
        });
        here.socket.get_ref().set_nonblocking(false).unwrap();
    }
    one.publish("/api/users/bob/", &json!({"back": true}));
    loop {
        if there.receive()["message"] == json!({"back": true}) {
            break;
        }
    }
}

#[test]
fn redis_may_start_after_the_server() {
    let mut redis = Redis::stopped();
    let one = server(&redis);
    let mut ann = one.client("ann");
    ann.join("news");
    let answer = one.post("/api/channels/news/", json!({"n": 1}).to_string());
    assert_eq!(answer.status, 503, "{answer:?}");
    ann.expect_message(&json!({"n": 1}), &Value::Null);

    redis.restart();
    wait_until_ready(&one);
    let two = server(&redis);
    wait_until_ready(&two);
    let mut bob = two.client("bob");
    ann.expect_notice("connect", "bob", "User: bob connected.");
    bob.join("news");
    ann.expect_notice("subscribe", "bob", "User: bob subscribed to news");
    two.publish("/api/channels/news/", &json!({"n": 2}));
    ann.expect_message(&json!({"n": 2}), &Value::Null);
}

#[test]
fn a_server_without_redis_still_stops_in_order() {
    let redis = Redis::stopped();
    let mut one = ServerOptions::new(&["--backend", &redis.url()]).start();
    let mut ann = one.client("ann");
    one.process.signal("TERM");
    assert_eq!(ann.expect_close(SOON), (3000, "Go away!".to_owned()));
    assert_eq!(one.process.wait(SOON).code(), Some(0));
}
