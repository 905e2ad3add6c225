//! Addresses of their own for apps, and what is wrong with them.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use serde_json::json;

use crate::{
    command_line::refused,
    support::{
        HttpConnection, SOON, ServerOptions, WebSocketClient, config_file, eventually,
        tls::{Files, LineClient, Pair, connect, connect_tcp, get, trusting},
    },
};

#[test]
fn each_address_serves_its_apps_in_one_channel_space() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let tls = files.entry(true);
    let mut server = ServerOptions::new(&[])
        .config(&format!(
            "[limits]\nheader_secs = 1\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\napps = [\"knsock\"]\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\napps = \"seth\"\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\napps = [\"knsock\"]\n{tls}\
             [[listen]]\naddress = \"127.0.0.1:0\"\n{tls}"
        ))
        .start();
    let [lines, http, lines_tls, all_tls] = std::array::from_fn(|_| server.next_address());
    let said = server.process.stdout().to_vec();
    for (index, scheme) in ["http", "tcp", "http", "tls", "https"].iter().enumerate() {
        assert!(
            said[index].starts_with(&format!("listening on {scheme}://")),
            "{said:?}"
        );
    }
    let config = trusting(&[&pair]);
    let mut clients = [
        LineClient::new(connect_tcp(server.address)),
        LineClient::new(connect_tcp(lines)),
    ];
    let mut tls_clients = [
        LineClient::new(connect(lines_tls, &config)),
        LineClient::new(connect(all_tls, &config)),
    ];
    for (n, client) in clients.iter_mut().enumerate() {
        client.join(&format!("own-{n}"));
        client.send(&json!({"action": "subscribe", "topic": "news"}));
        client.publish(&format!("own-{n}"), 0);
        client.receive();
    }
    for (n, client) in tls_clients.iter_mut().enumerate() {
        client.join(&format!("tls-{n}"));
        client.send(&json!({"action": "subscribe", "topic": "news"}));
        client.publish(&format!("tls-{n}"), 0);
        client.receive();
    }
    let mut socket = WebSocketClient::open(http, "/connect/websocket");
    socket.join("news");
    server.publish("/api/channels/news/", &json!({"n": 1}));
    socket.expect_message(&json!({"n": 1}), &json!(null));
    for client in &mut clients {
        assert_eq!(
            client.receive(),
            json!({"topic": "news", "message": {"n": 1}})
        );
    }
    for client in &mut tls_clients {
        assert_eq!(
            client.receive(),
            json!({"topic": "news", "message": {"n": 1}})
        );
    }

    // What is not served at an address is not spoken there.
    let answer = get(connect(all_tls, &config), "/connect");
    assert!(answer.ends_with("Welcome to SockJS!\n"), "{answer}");
    let mut http_on_lines = connect_tcp(lines);
    http_on_lines
        .write_all(&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(100))
        .unwrap();
    let mut rest = Vec::new();
    // It is a hundred bad lines to it.
    let _ = http_on_lines.read_to_end(&mut rest);
    assert!(rest.is_empty());
    let mut lines_on_http = HttpConnection::open(http);
    lines_on_http
        .write(b"{\"action\":\"subscribe\",\"topic\":\"x\"}\n\r\n\r\n")
        .unwrap();
    assert_eq!(lines_on_http.answer(false).status, 400);
}

#[test]
fn an_app_of_its_own_protocol_is_alone_where_nothing_else_is_served() {
    let config = "[limits]\nheader_secs = 1\n";
    let server = ServerOptions::new(&["--app", "knsock"])
        .config(config)
        .start();
    let mut subscriber = LineClient::new(connect_tcp(server.address));
    subscriber.stream.get_mut().write_all(b"GARBAGE\n").unwrap();
    subscriber.join("t");
    subscriber.publish("t", 1);
    assert_eq!(subscriber.receive()["message"], 1);
}

#[test]
fn clients_that_say_nothing_stay_where_nothing_has_to_be_told_apart() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let mut server = ServerOptions::new(&[])
        .config(&format!(
            "[limits]\nheader_secs = 1\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\napps = [\"knsock\"]\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\napps = [\"knsock\"]\n{}",
            files.entry(true)
        ))
        .start();
    let [lines, lines_tls] = std::array::from_fn(|_| server.next_address());
    let mut silent = LineClient::new(connect_tcp(lines));
    let mut silent_tls = LineClient::new(connect(lines_tls, &trusting(&[&pair])));
    // On the shared port those who say nothing that is known are cut at the limit. Three of them one after another take longer
    // than the limit of the silent ones would be.
    for bytes in [&b"~"[..], b"~~~", b"\x00\x10\x20\x30"] {
        // The server's clock begins while this one connects.
        let began = std::time::Instant::now();
        let mut cut = connect_tcp(server.address);
        cut.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        let _ = cut.read_to_end(&mut rest);
        assert!(rest.is_empty());
        assert!(
            (1..6).contains(&began.elapsed().as_secs()),
            "{:?}",
            began.elapsed()
        );
    }
    silent.join("x");
    silent_tls.join("y");
}

#[test]
fn the_common_port_can_serve_fewer_apps_or_be_closed() {
    let mut server = ServerOptions::new(&[])
        .config(
            "port_apps = [\"seth\"]\n[limits]\nheader_secs = 1\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\napps = [\"knsock\"]\n",
        )
        .start();
    let lines = server.next_address();
    assert_eq!(server.get("/connect").status, 200);
    let mut client = HttpConnection::open(server.address);
    client
        .write(b"{\"action\":\"subscribe\",\"topic\":\"x\"}\n\r\n\r\n")
        .unwrap();
    assert_eq!(client.answer(false).status, 400);
    LineClient::new(connect_tcp(lines)).join("x");

    let mut server = ServerOptions::new(&[])
        .config("port_apps = []\n[[listen]]\naddress = \"127.0.0.1:0\"\napps = [\"knsock\"]\n")
        .start();
    assert!(server.process.stdout()[0].starts_with("listening on tcp://"));
    LineClient::new(connect_tcp(server.address)).join("x");
}

#[test]
fn everything_that_is_wrong_with_addresses_is_said_at_once() {
    let pair = Pair::new();
    let (good, bad, other) = (Files::of(&pair), Files::of(&pair), Files::of(&pair));
    bad.put("no certificate", "no key");
    other.put(&pair.certificate, &Pair::new().key);
    let file = config_file(&format!(
        "tls.certificate = \"/nowhere/cert.pem\"\ntls.key = \"/nowhere/key.pem\"\nport = 7001\n\
         [[listen]]\naddress = \"127.0.0.1:7001\"\n\
         [[listen]]\naddress = \"somewhere\"\napps = [\"nope\"]\n\
         [[listen]]\naddress = \"127.0.0.1:7002\"\napps = []\n{}\
         [[listen]]\naddress = \"127.0.0.1:7003\"\n{}\
         [[listen]]\naddress = \"127.0.0.1:7004\"\ntls = {{ certificate = {:?} }}\n\
         [[listen]]\naddress = \"127.0.0.1:7005\"\ntls = {{ only = true }}\n",
        bad.entry(false),
        other.entry(false),
        good.certificate,
    ));
    let text = refused(&["serve", "--config", file.to_str().unwrap()], &[]);
    for words in [
        "tls.certificate: cannot read the certificate /nowhere/cert.pem",
        "tls.key: cannot read the key /nowhere/key.pem",
        "listen.0.address: 127.0.0.1:7001 is listened on already",
        "listen.1.address: use an IP address with a port",
        "listen.1.apps: there is no app \"nope\"",
        "listen.2.apps: name at least one app",
        "listen.2.tls.certificate: ",
        "listen.2.tls.key: ",
        "listen.3.tls.key: the key ",
        "listen.4.tls.key: the certificate needs its key",
        "listen.5.tls.only: needs a certificate",
        file.to_str().unwrap(),
    ] {
        assert!(text.contains(words), "{words} is missing in:\n{text}");
    }
    assert!(
        !text.contains("PRIVATE KEY-----\nM"),
        "a key is shown: {text}"
    );
    std::fs::remove_file(file).unwrap();

    let text = refused(
        &["serve", "--port", "0", "--tls-key", "/nowhere/key.pem"],
        &[("POLYWIRE_TLS__CERTIFICATE", "/nowhere/cert.pem")],
    );
    for words in [
        "/nowhere/cert.pem",
        "POLYWIRE_TLS__CERTIFICATE",
        "/nowhere/key.pem",
    ] {
        assert!(text.contains(words), "{words} is missing in:\n{text}");
    }
}

#[test]
fn an_unknown_setting_of_an_address_is_said() {
    let file = config_file("[[listen]]\naddress = \"127.0.0.1:0\"\nno_such_setting = 1\n");
    let text = refused(
        &[
            "serve",
            "--config",
            file.to_str().unwrap(),
            "--auth",
            "nope",
        ],
        &[],
    );
    assert!(text.contains("no_such_setting"), "{text}");
    assert!(text.contains("auth: "), "{text}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn every_address_that_is_taken_is_said() {
    let taken: Vec<_> = (0..2)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let [first, second] = [0, 1].map(|n: usize| taken[n].local_addr().unwrap());
    let file = config_file(&format!(
        "[[listen]]\naddress = \"{first}\"\n[[listen]]\naddress = \"{second}\"\n"
    ));
    let text = refused(
        &["serve", "--port", "0", "--config", file.to_str().unwrap()],
        &[],
    );
    for address in [first, second] {
        assert!(
            text.contains(&format!("cannot listen on {address}: another program")),
            "{text}"
        );
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn an_open_protocol_is_refused_at_an_address_that_others_reach() {
    let secret = ("POLYWIRE_API_KEY__KEY_SECRET_VALUE", "long-enough-and-ours");
    let public = [
        "serve", "--port", "0", "--host", "0.0.0.0", "--auth", "api-key",
    ];
    let text = refused(&public, &[secret]);
    for door in ["kn-sock", "Seth-Pusher", "MQTT", "PubNub"] {
        assert!(text.contains(door), "{door}: {text}");
    }
    assert!(text.contains("[anonymous]"), "what to do: {text}");

    let entry = |address: &str, app: &str| {
        format!("[[listen]]\naddress = \"{address}\"\napps = [\"{app}\"]\n")
    };
    let file = config_file(&entry("0.0.0.0:0", "knsock"));
    let args = [
        "serve",
        "--port",
        "0",
        "--auth",
        "api-key",
        "--config",
        file.to_str().unwrap(),
    ];
    let text = refused(&args, &[secret]);
    assert_eq!(text.matches("kn-sock").count(), 1, "{text}");
    std::fs::remove_file(file).unwrap();

    // Each app where it may be.
    let mut server = ServerOptions::new(&["--host", "0.0.0.0", "--auth", "api-key"])
        .env(secret.0, secret.1)
        .config(&format!(
            "port_apps = [\"seth\"]\n{}[apps.seth]\nauthenticate_connect = true\n",
            entry("127.0.0.1:0", "knsock")
        ))
        .start();
    let lines = server.next_address();
    LineClient::new(connect_tcp(lines)).join("x");
    assert_eq!(server.process.stderr(), "");
}

/// What anonymous clients may do was said: a door is not open any more.
#[test]
fn doors_are_served_to_others_where_anonymous_clients_may_do_what_was_said() {
    let server = ServerOptions::new(&["--host", "0.0.0.0", "--auth", "api-key"])
        .env("POLYWIRE_API_KEY__KEY_SECRET_VALUE", "long-enough-and-ours")
        .config("anonymous = { read = \"news/#\" }")
        .start();
    let mut client = server.websocket();
    client.join("news/today");
    client.subscribe("private");
    assert_eq!(client.expect_error(), "You may not subscribe there.");
    let publish = |query: &str| server.post(&format!("/api/channels/news%2Ftoday/{query}"), "{}");
    assert_eq!(publish("").status, 403);
    assert_eq!(publish("?api_key=wrong").status, 401);
    assert_eq!(publish("?api_key=long-enough-and-ours").status, 200);
}

/// Without descriptors a server could accept nobody, and would leave clients waiting in the kernel's queue.
#[test]
fn without_descriptors_new_connections_are_closed_and_old_ones_served() {
    const DESCRIPTORS: usize = 128;
    let server = ServerOptions::new(&[]).descriptors_max(DESCRIPTORS).start();
    let mut canary = LineClient::new(connect_tcp(server.address));
    canary.join("news");
    for round in 0..2 {
        let mut open = Vec::new();
        let mut closed = 0;
        // Each is served or closed: none waits.
        while closed < 50 {
            let mut stream = connect_tcp(server.address);
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream
                .write_all(b"GET /connect HTTP/1.1\r\nhost: h\r\n\r\n")
                .unwrap();
            match stream.read(&mut [0; 16]) {
                Ok(1..) => open.push(stream),
                Ok(0) => closed += 1,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => closed += 1,
                Err(error) => panic!("neither served nor closed: {error}"),
            }
            assert!(open.len() < DESCRIPTORS);
        }
        canary.publish("news", round);
        canary.receive();
        drop(open);
        eventually("connections are served again", SOON, || {
            let mut stream = connect_tcp(server.address);
            stream.set_read_timeout(Some(SOON)).unwrap();
            // It may be closed while it is written to.
            let _ = stream.write_all(b"GET /connect HTTP/1.1\r\nhost: h\r\n\r\n");
            matches!(stream.read(&mut [0; 16]), Ok(1..)).then_some(())
        });
    }
    let said = server.process.stderr();
    let lines = said
        .lines()
        .filter(|line| line.contains("no file descriptors are left"));
    assert!((1..=2).contains(&lines.count()), "{said}");
}

#[test]
fn a_page_cannot_post_lines_to_an_address_of_kn_sock() {
    let mut server = ServerOptions::new(&["--persistence", "memory"])
        .config("[[listen]]\naddress = \"127.0.0.1:0\"\napps = [\"knsock\"]\n")
        .start();
    let lines = server.next_address();
    let line =
        |topic: &str| format!("{{\"action\":\"publish\",\"topic\":\"{topic}\",\"message\":1}}\n");
    let mut page = connect_tcp(lines);
    let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n\r\n";
    page.write_all((head.to_owned() + &line("page")).as_bytes())
        .unwrap();
    let mut rest = Vec::new();
    // The connection may be reset: there is something that nobody read.
    let _ = page.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{rest:?}");
    connect_tcp(lines)
        .write_all(line("program").as_bytes())
        .unwrap();
    let published = |topic: &str| {
        let answer = server.get(&format!("/history/v1/channels/{topic}"));
        !answer.body.is_empty()
    };
    eventually("what a program publishes", SOON, || {
        published("program").then_some(())
    });
    assert!(!published("page"));
}
