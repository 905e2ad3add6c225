//! Authentication and persistence as an operator configures them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    command_line::refused,
    support::{Redis, SOON, Server, ServerOptions, Sink, WebSocketClient, config_file, eventually},
};

/// A target, headers, and the status that a request with them must get.
type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], u16);

#[track_caller]
fn assert_statuses(server: &Server, cases: &[Case<'_>]) {
    for (target, headers, status) in cases {
        let answer = server.request("GET", target, headers, None);
        assert_eq!(answer.status, *status, "{target} {headers:?}");
        if *status == 401 {
            let refusal = json!({"status": 401, "message": "Invalid Auth credentials provided"});
            assert_eq!(answer.json(), refusal);
        }
    }
}

#[test]
fn everybody_is_let_in_by_default() {
    let server = Server::start(&["--debug"]);
    assert_statuses(
        &server,
        &[
            ("/debug/", &[], 200),
            ("/debug/?api_key=anything", &[], 200),
        ],
    );
}

#[test]
fn the_api_key_is_taken_from_the_query() {
    let server = Server::start(&["--debug", "--auth", "api-key"]);
    assert_statuses(
        &server,
        &[
            ("/debug/?api_key=secret", &[], 200),
            ("/debug/?a=b&api_key=secret&c", &[], 200),
            ("/debug/?api_key=secre%74", &[], 200),
            ("/debug/?api_key=secret&api_key=wrong", &[], 200),
            ("/debug/?api_key=wrong&api_key=secret", &[], 401),
            ("/debug/?api_key=", &[], 401),
            ("/debug/?api_key", &[], 401),
            ("/debug/", &[], 401),
            ("/debug/?api_key=Secret", &[], 401),
            ("/debug/?api_key=secret%00", &[], 401),
            ("/debug/?API_KEY=secret", &[], 401),
            ("/debug/", &[("api_key", "secret")], 401),
            (
                "/debug/",
                &[("Seth-Authentication-Header", "Seth-Value")],
                401,
            ),
        ],
    );
    // A key inside the JSON body does not count.
    let answer = server.post("/api/channels/x/", r#"{"api_key": "secret"}"#);
    assert_eq!(answer.status, 401);
    let answer = server.post("/api/channels/x/?api_key=secret", "{}");
    assert_eq!((answer.status, answer.text()), (200, "{\"status\": 200}\n"));
    let answer = server.post("/api/users/x?api_key=secret", "{}");
    assert_eq!(answer.status, 200);
}

#[test]
fn the_header_policy_wants_its_header() {
    let server = Server::start(&["--debug", "--auth", "header"]);
    assert_statuses(
        &server,
        &[
            (
                "/debug/",
                &[("Seth-Authentication-Header", "Seth-Value")],
                200,
            ),
            (
                "/debug/",
                &[("SETH-AUTHENTICATION-HEADER", "Seth-Value")],
                200,
            ),
            (
                "/debug/",
                &[("seth-authentication-header", "Seth-Value")],
                200,
            ),
            (
                "/debug/",
                &[("Seth-Authentication-Header", "seth-value")],
                401,
            ),
            ("/debug/", &[("Seth-Authentication-Header", "")], 401),
            (
                "/debug/",
                &[("Seth-Authentication-Header", "Seth-Value2")],
                401,
            ),
            ("/debug/", &[], 401),
            ("/debug/?Seth-Authentication-Header=Seth-Value", &[], 401),
            ("/debug/?api_key=secret", &[], 401),
        ],
    );
}

#[test]
fn keys_come_from_the_file_the_environment_and_defaults() {
    let batman = "auth = \"api-key\"\ndebug = true\n\
                  [api_key]\nkey_name = \"batman\"\nkey_secret_value = \"bruce_wayne\"\n";
    let server = ServerOptions::new(&[]).config(batman).start();
    assert_statuses(
        &server,
        &[
            ("/debug/?batman=bruce_wayne", &[], 200),
            ("/debug/?api_key=secret", &[], 401),
            ("/debug/?batman=secret", &[], 401),
        ],
    );
    // The environment counts more than the file.
    let server = ServerOptions::new(&[])
        .config(batman)
        .env("POLYWIRE_API_KEY__KEY_SECRET_VALUE", "12345")
        .start();
    assert_statuses(
        &server,
        &[
            ("/debug/?batman=12345", &[], 200),
            ("/debug/?batman=bruce_wayne", &[], 401),
        ],
    );
    // Flags count more than both.
    let server = ServerOptions::new(&["--auth", "header", "--debug=false"])
        .config(&format!(
            "{batman}[header]\nsecret_header = \"X-Robin\"\nsecret_header_value = \"dick\"\n"
        ))
        .env("POLYWIRE_AUTH", "echo")
        .env("POLYWIRE_DEBUG", "true")
        .start();
    assert_statuses(&server, &[("/debug/", &[("X-Robin", "dick")], 404)]);
    let post = |headers: &[(&str, &str)]| {
        server
            .request("POST", "/api/channels/x/", headers, Some(b"{}"))
            .status
    };
    assert_eq!(post(&[("X-Robin", "dick")]), 200);
    assert_eq!(post(&[("Seth-Authentication-Header", "Seth-Value")]), 401);
    assert_eq!(post(&[]), 401);
}

#[test]
fn connections_are_not_asked_unless_configured() {
    let server = Server::start(&["--auth", "api-key"]);
    let mut client = server.client("ann");
    client.join("news");

    let server = ServerOptions::new(&["--auth", "api-key"])
        .config("[apps.seth]\nauthenticate_connect = true\n")
        .start();
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    let answer = server.request("GET", "/connect/websocket", &upgrade, None);
    assert_eq!(answer.status, 401, "{answer:?}");
    let answer = server.request("GET", "/connect/websocket?api_key=wrong", &upgrade, None);
    assert_eq!(answer.status, 401, "{answer:?}");
    let mut client = WebSocketClient::open(server.address, "/connect/websocket?api_key=secret");
    client.join("news");
    let answer = server.post("/api/channels/news/?api_key=secret", r#"{"n": 1}"#);
    assert_eq!(answer.status, 200);
    client.expect_message(&json!({"n": 1}), &Value::Null);
}

#[test]
fn default_secrets_and_open_policies_are_refused_on_public_addresses() {
    for host in ["0.0.0.0", "::"] {
        let serve = |auth: &'static str| ["serve", "--port", "0", "--host", host, "--auth", auth];
        for auth in ["api-key", "header", "echo"] {
            let text = refused(&serve(auth), &[]);
            assert!(text.contains("listen on 127.0.0.1"), "what to do: {text}");
            assert!(text.contains("set trust_network"), "what to do: {text}");
            let secret = text.contains("set a secret of your own");
            assert_eq!(secret, auth != "echo", "what to do: {text}");
        }
    }
}

#[test]
fn own_secrets_and_trusted_networks_are_served_on_public_addresses() {
    let server = ServerOptions::new(&[
        "--app", "seth", "--host", "0.0.0.0", "--auth", "api-key", "--debug",
    ])
    .env("POLYWIRE_API_KEY__KEY_SECRET_VALUE", "long-enough-and-ours")
    .env("POLYWIRE_APPS__SETH__AUTHENTICATE_CONNECT", "true")
    .start();
    assert_statuses(
        &server,
        &[
            ("/debug/?api_key=long-enough-and-ours", &[], 200),
            ("/debug/?api_key=secret", &[], 401),
        ],
    );
    let server = Server::start(&["--host", "0.0.0.0", "--trust-network"]);
    server.publish("/api/channels/x/", &json!({}));
}

#[test]
fn configuration_errors_are_reported_all_at_once() {
    let file = config_file(
        "port = \"many\"\nauth = \"nope\"\nno_such_setting = 1\n\
         [limits]\nheader_secs = 0\nno_such_limit = 5\n\
         [api_key]\nkey_name = \"\"\nkey_secret_value = [\"hunter2\"]\n",
    );
    let text = refused(
        &[
            "serve",
            "--config",
            file.to_str().unwrap(),
            "--backend",
            "carrier-pigeon",
        ],
        &[("POLYWIRE_LIMITS__BODY_SECS", "soon")],
    );
    for setting in [
        "port",
        "auth",
        "no_such_setting",
        "limits.header_secs",
        "limits.no_such_limit",
        "api_key.key_name",
        "api_key.key_secret_value",
        "backend",
        "limits.body_secs",
    ] {
        assert!(text.contains(setting), "{setting} is missing in:\n{text}");
    }
    assert!(
        text.contains("POLYWIRE_LIMITS__BODY_SECS"),
        "where it was set: {text}"
    );
    assert!(!text.contains("hunter2"), "a secret is shown: {text}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_place() {
    let file = config_file("port = 80\nthis is not TOML\n");
    let text = refused(&["serve", "--config", file.to_str().unwrap()], &[]);
    assert!(text.contains("--config"), "{text}");
    assert!(text.contains("line 2"), "{text}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn messages_are_posted_to_an_external_api() {
    let sink = Sink::start();
    let server = Server::start(&["--persistence", &sink.url("/store?from=polywire")]);
    // Notices are not stored.
    let mut ann = server.client("ann");
    ann.join("news");
    let message = json!({"text": "ü 🐴", "sender_id": 7, "price": 1.5});
    server.publish("/api/channels/news/", &message);
    let stored = sink.next();
    assert!(
        stored
            .request_line
            .starts_with("POST /store?from=polywire "),
        "{}",
        stored.request_line
    );
    let json_type = stored
        .headers
        .iter()
        .map(|header| header.to_ascii_lowercase());
    assert!(
        json_type
            .into_iter()
            .any(|header| header.starts_with("content-type: application/json"))
    );
    assert_eq!(stored.body, json!({"data": message, "channel": "news"}));
    // Whoever is addressed, and whether anybody is there or not.
    server.publish("/api/users/ann/", &json!({"n": 1}));
    assert_eq!(sink.next().body, json!({"data": {"n": 1}, "user": "ann"}));
    server.publish("/api/users/nobody/", &json!({"n": 2}));
    assert_eq!(
        sink.next().body,
        json!({"data": {"n": 2}, "user": "nobody"})
    );
    server.publish("/api/channels/a/b%20c/", &json!({"n": 3}));
    assert_eq!(
        sink.next().body,
        json!({"data": {"n": 3}, "channel": "a/b c"})
    );
    // What was refused is not stored.
    server.post("/api/channels/news/", "nope");
    server.post("/api/channels/news/", "[]");
    server.publish("/api/channels/news/", &json!({"n": 4}));
    assert_eq!(
        sink.next().body,
        json!({"data": {"n": 4}, "channel": "news"})
    );
}

#[test]
fn an_external_api_that_hangs_delays_nobody() {
    let sink = Sink::start();
    let server = Server::start(&["--persistence", &sink.url("/")]);
    let mut ann = server.client("ann");
    ann.join("news");
    sink.held(|| {
        let began = Instant::now();
        for n in 0..50 {
            server.publish("/api/channels/news/", &json!({"n": n}));
            ann.expect_message(&json!({"n": n}), &Value::Null);
        }
        // One post alone may take 5 s.
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
    });
    let mut stored = Vec::new();
    while stored.len() < 50 {
        let n = sink.next().body["data"]["n"].as_u64().unwrap();
        if !stored.contains(&n) {
            stored.push(n);
        }
    }
}

#[test]
fn an_external_api_that_fails_is_tried_again_but_not_for_ever() {
    // The first two requests fail.
    let sink = Sink::answering(|n| if n < 2 { 500 } else { 200 });
    let server = Server::start(&["--persistence", &sink.url("/")]);
    server.publish("/api/channels/news/", &json!({"n": 1}));
    for _ in 0..3 {
        assert_eq!(sink.next().body["data"], json!({"n": 1}));
    }

    let sink = Sink::answering(|_| 500);
    let server = ServerOptions::new(&["--persistence", &sink.url("/")])
        .config("[external_api]\nretries_max = 1\n")
        .start();
    server.publish("/api/channels/news/", &json!({"n": 1}));
    server.publish("/api/channels/news/", &json!({"n": 2}));
    let mut seen: Vec<_> = (0..4)
        .map(|_| sink.next().body["data"]["n"].as_u64().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [1, 1, 2, 2]);
    eventually("the loss is logged", SOON, || {
        server.process.stderr().contains("WARN").then_some(())
    });
}

#[test]
fn redirects_of_an_external_api_are_not_followed() {
    let sink = Sink::answering(|_| 302);
    let server = ServerOptions::new(&["--persistence", &sink.url("/moved")])
        .config("[external_api]\nretries_max = 0\n")
        .start();
    server.publish("/api/channels/news/", &json!({"n": 1}));
    assert_eq!(sink.next().body["data"], json!({"n": 1}));
    server.publish("/api/channels/news/", &json!({"n": 2}));
    let next = sink.next();
    assert_eq!(next.body["data"], json!({"n": 2}), "{}", next.request_line);
}

#[test]
fn an_external_api_that_is_not_there_fails_no_publish() {
    // Nothing listens there once the listener is gone.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let server = Server::start(&["--persistence", &url]);
    let mut ann = server.client("ann");
    for n in 0..20 {
        server.publish("/api/users/ann/", &json!({"n": n}));
        assert_eq!(ann.receive()["message"], json!({"n": n}));
    }
}

#[test]
fn what_waits_for_an_external_api_is_posted_before_the_end() {
    let sink = Sink::start();
    let mut server = Server::start(&["--persistence", &sink.url("/")]);
    sink.held(|| {
        for n in 0..5 {
            server.publish("/api/channels/news/", &json!({"n": n}));
        }
        server.process.signal("TERM");
    });
    assert_eq!(server.process.wait(SOON).code(), Some(0));
    let mut stored = Vec::new();
    while stored.len() < 5 {
        let n = sink.next().body["data"]["n"].as_u64().unwrap();
        if !stored.contains(&n) {
            stored.push(n);
        }
    }
}

#[test]
fn messages_are_kept_in_redis() {
    let redis = Redis::start();
    let options = |prefix: &str| {
        ServerOptions::new(&["--backend", &redis.url(), "--persistence", "redis"])
            .config(&format!("[redis]\nprefix = \"{prefix}\"\n"))
            .start()
    };
    let (server, second, stranger) = (options("ours:"), options("ours:"), options("theirs:"));
    let mut ann = server.client("ann");
    ann.join("news");
    server.publish_when_ready("/api/channels/news/", &json!({"kept": 1}));
    server.publish("/api/users/ann/", &json!({"kept": 2}));
    let keys = redis.command(&["KEYS", "*history:*"]);
    let mut keys: Vec<_> = keys.lines().collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["ours:history:channel:news", "ours:history:client:ann"]
    );
    let last = |server: &Server| server.get("/history/v1/channels/news?last=1");
    for server in [&server, &second] {
        let line = last(server).json();
        assert_eq!(
            (&line["data"], &line["channel"]),
            (&json!({"kept": 1}), &json!("news"))
        );
    }
    assert_eq!(last(&stranger).text(), "");
}

#[test]
fn redis_keeps_only_the_last_messages() {
    let redis = Redis::start();
    let server = ServerOptions::new(&["--persistence", "redis"])
        .config(&format!(
            "[redis]\nurl = \"{}\"\n[[history.rules]]\nentries_max = 10\n",
            redis.url()
        ))
        .start();
    for n in 0..1_000 {
        server.publish("/api/channels/news/", &json!({"n": n}));
    }
    let answer = server.get("/history/v1/channels/news?last=1000");
    let lines = answer.text().lines().count();
    // Redis trims whole blocks of up to a hundred entries.
    assert!((10..=200).contains(&lines), "{lines} entries");
    assert!(
        answer.text().ends_with("\"data\":{\"n\":999}}\n"),
        "{answer:?}"
    );
}

#[test]
fn what_redis_cannot_keep_is_refused_and_nobody_gets_it() {
    let redis = Redis::stopped();
    let server = ServerOptions::new(&["--persistence", &redis.url()]).start();
    let mut ann = server.client("ann");
    let answer = server.post("/api/users/ann/", r#"{"n": 1}"#);
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("could not be stored"), "{answer:?}");
    ann.expect_silence();
}
