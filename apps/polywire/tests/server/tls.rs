//! Everything that is spoken without TLS is spoken with it, and certificates are replaced while it is.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, version};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::support::{
    HttpConnection, SOON, Server, ServerOptions, eventually,
    tls::{
        Files, LineClient, Pair, TlsStream, client, client_config, connect, connect_tcp, get,
        trusting, try_connect,
    },
};

/// What `header_secs = 1` cuts is cut within this.
const CUT: Duration = Duration::from_secs(6);

fn serve(files: &Files, config: &str) -> Server {
    ServerOptions::new(&files.flags()).config(config).start()
}

fn websocket(address: SocketAddr, config: &Arc<ClientConfig>) -> WebSocket<TlsStream> {
    let stream = connect(address, config);
    let url = "wss://localhost/connect/websocket";
    tungstenite::client(url, stream).unwrap().0
}

fn send(socket: &mut WebSocket<TlsStream>, message: &Value) {
    socket.send(Message::text(message.to_string())).unwrap();
}

fn receive(socket: &mut WebSocket<TlsStream>) -> Value {
    loop {
        match socket.read().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other => panic!("expected a text, got {other:?}"),
        }
    }
}

fn join(socket: &mut WebSocket<TlsStream>, channel: &str) {
    send(socket, &json!({"type": "subscribe", "channel": channel}));
    let notice = receive(socket);
    assert_eq!(notice["message"]["type"], "subscribe", "{notice}");
}

fn says(server: &Server, words: &str) {
    eventually(&format!("a log line: {words}"), SOON, || {
        server.process.stderr().contains(words).then_some(())
    });
}

#[test]
fn all_protocols_speak_tls_1_2_and_1_3_beside_plain_ones() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = serve(&files, "");
    for version in [&version::TLS12, &version::TLS13] {
        let config = client_config(&[&pair], &[version]);
        let stream = connect(server.address, &config);
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        let answer = get(stream, "/connect");
        assert!(answer.ends_with("Welcome to SockJS!\n"), "{answer}");

        let mut socket = websocket(server.address, &config);
        join(&mut socket, "news");
        let mut lines = LineClient::new(connect(server.address, &config));
        lines.join("news");
        assert_eq!(receive(&mut socket)["message"], "joined");
        let mut plain = LineClient::new(connect_tcp(server.address));
        plain.join("news");
        for seen in [
            receive(&mut socket)["message"].take(),
            lines.receive()["message"].take(),
        ] {
            assert_eq!(seen, "joined");
        }
        server.publish("/api/channels/news/", &json!({"n": 1}));
        lines.publish("news", json!({"n": 2}));
        for n in [1, 2] {
            assert_eq!(receive(&mut socket)["message"], json!({"n": n}));
            for line in [lines.receive(), plain.receive()] {
                assert_eq!(line, json!({"topic": "news", "message": {"n": n}}));
            }
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    }
}

#[test]
fn what_a_client_prefers_is_agreed_on() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = serve(&files, "");
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], "h2"),
        (&["http/1.1"], "http/1.1"),
        // Clients of WebSockets.
        (&["http/1.1", "http/1.0"], "http/1.1"),
        (&["mqtt"], "mqtt"),
    ] {
        let mut config = ClientConfig::clone(&trusting(&[&pair]));
        config.alpn_protocols = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let stream = connect(server.address, &Arc::new(config));
        assert_eq!(stream.conn.alpn_protocol(), Some(agreed.as_bytes()));
    }
}

/// A subscriber that checks that nothing is lost, and a publisher that is never far ahead of it, both with
/// TLS.
struct Load {
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    subscriber: thread::JoinHandle<u64>,
    publisher: thread::JoinHandle<u64>,
}

impl Load {
    fn start(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let (received, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let mut lines = LineClient::new(connect(address, config));
        lines.join("load");
        let (taken, taken_by_subscriber) = mpsc::channel();
        let count = received.clone();
        let subscriber = thread::spawn(move || {
            for n in 0.. {
                let message = lines.receive();
                if message["message"] == "last" {
                    return n;
                }
                assert_eq!(message["message"], n);
                count.store(n, Ordering::SeqCst);
                taken.send(()).unwrap();
            }
            unreachable!()
        });
        let mut lines = LineClient::new(connect(address, config));
        let is_over = stop.clone();
        let publisher = thread::spawn(move || {
            for n in 0.. {
                if n >= 64 {
                    taken_by_subscriber.recv_timeout(SOON).unwrap();
                }
                if is_over.load(Ordering::SeqCst) {
                    lines.publish("load", "last");
                    // It stays until all is read.
                    while taken_by_subscriber.recv().is_ok() {}
                    return n;
                }
                lines.publish("load", n);
            }
            unreachable!()
        });
        Self {
            received,
            stop,
            subscriber,
            publisher,
        }
    }

    /// Returns when it has gone on for a while.
    fn goes_on(&self) {
        let before = self.received.load(Ordering::SeqCst);
        eventually("the load goes on", SOON, || {
            (self.received.load(Ordering::SeqCst) > before + 200).then_some(())
        });
    }

    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        let received = self.subscriber.join().unwrap();
        assert_eq!(self.publisher.join().unwrap(), received);
    }
}

#[test]
fn a_certificate_is_replaced_under_load_and_a_bad_one_is_not_taken() {
    let (first, second, third) = (Pair::new(), Pair::new(), Pair::new());
    let files = Files::of(&first);
    let server = serve(&files, "");
    let config = trusting(&[&first, &second, &third]);
    let load = Load::start(server.address, &config);
    let served = || {
        // A session that is resumed has no certificate of its own.
        let config = trusting(&[&first, &second, &third]);
        let stream = connect(server.address, &config);
        stream.conn.peer_certificates().unwrap()[0].clone()
    };
    assert_eq!(served(), first.der);
    load.goes_on();

    files.put(&second.certificate, &second.key);
    eventually("the new certificate", SOON, || {
        (served() == second.der).then_some(())
    });
    load.goes_on();

    let bad = [
        (
            "not a certificate",
            third.key.as_str(),
            "is not a certificate in PEM",
        ),
        (
            third.certificate.as_str(),
            first.key.as_str(),
            "does not belong to the certificate",
        ),
        (
            third.certificate.as_str(),
            "not a key",
            "is not a private key in PEM",
        ),
    ];
    for (certificate, key, reason) in bad {
        files.put(certificate, key);
        says(&server, reason);
        assert!(
            server
                .process
                .stderr()
                .contains("the new certificate is bad and the old one is kept")
        );
        assert_eq!(served(), second.der);
        load.goes_on();
    }

    // A signal is heard at once, and says nothing new about what is good.
    files.put(&third.certificate, &third.key);
    server.process.signal("HUP");
    eventually("the third certificate", SOON, || {
        (served() == third.der).then_some(())
    });
    load.goes_on();
    load.end();
}

#[test]
fn big_messages_and_slow_readers_get_everything_in_order() {
    const COUNT: usize = 24;
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = serve(&files, "[limits]\noutbound_bytes_max = 67108864\n");
    for version in [&version::TLS12, &version::TLS13] {
        let config = client_config(&[&pair], &[version]);
        let mut slow = websocket(server.address, &config);
        join(&mut slow, "big");
        let mut slow_lines = LineClient::new(connect(server.address, &config));
        slow_lines.join("big");
        assert_eq!(receive(&mut slow)["message"], "joined");
        // What a client sends is as big.
        let mut publisher = LineClient::new(connect(server.address, &config));
        publisher.join("done");
        let text = |n: usize| format!("{n} {}", "x".repeat(900_000 + n));
        for n in 0..COUNT {
            publisher.publish("big", text(n));
        }
        // All of it has been handed out now, and waits in the server for whoever has not begun to read.
        publisher.publish("done", 1);
        assert_eq!(publisher.receive()["message"], 1);
        for n in 0..COUNT {
            assert_eq!(receive(&mut slow)["message"], text(n));
            assert_eq!(slow_lines.receive()["message"], text(n));
        }
        // And what comes afterwards finds its way too.
        publisher.publish("big", "last");
        assert_eq!(receive(&mut slow)["message"], "last");
        assert_eq!(slow_lines.receive()["message"], "last");
    }
}

#[test]
fn who_reads_nothing_over_tls_is_closed_and_told_why() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = serve(&files, "[limits]\noutbound_bytes_max = 1048576\n");
    let config = trusting(&[&pair]);
    let mut slow = websocket(server.address, &config);
    join(&mut slow, "flood");
    let mut reader = LineClient::new(connect(server.address, &config));
    reader.join("flood");
    assert_eq!(receive(&mut slow)["message"], "joined");
    let mut http = HttpConnection::open(server.address);
    for n in 0..60 {
        let body = json!({"n": n, "text": "x".repeat(500_000)});
        let answer = http.request(
            "POST",
            "/api/channels/flood/",
            &[],
            Some(body.to_string().as_bytes()),
        );
        assert_eq!(answer.status, 200);
        assert_eq!(reader.receive()["message"], body);
    }
    let mut next = 0;
    let code = loop {
        match slow.read().unwrap() {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(message["message"]["n"], next);
                next += 1;
            }
            Message::Close(Some(frame)) => break u16::from(frame.code),
            Message::Ping(_) => {}
            other => panic!("expected messages, then a close: {other:?}"),
        }
    };
    assert!((3000..5000).contains(&code), "{code}");
    assert!(next < 60, "it was never closed");
}

#[test]
fn an_answer_larger_than_all_buffers_arrives_over_https() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = serve(&files, "");
    let mut stream = connect(server.address, &trusting(&[&pair]));
    // A session that streams: what is published goes out as an answer that does not end.
    stream
        .write_all(b"POST /connect/0/streaming/xhr_streaming HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut lines = LineClient::new(stream);
    let wait_for = |lines: &mut LineClient<TlsStream>, words: &str| {
        use std::io::BufRead;
        loop {
            let mut line = String::new();
            assert!(lines.stream.read_line(&mut line).unwrap() > 0, "{words}");
            if line.contains(words) {
                return line;
            }
        }
    };
    wait_for(&mut lines, "o\n");
    let subscribe = json!([json!({"type": "subscribe", "channel": "big"}).to_string()]);
    let sent = server.post("/connect/0/streaming/xhr_send", subscribe.to_string());
    assert_eq!(sent.status, 204);
    wait_for(&mut lines, "subscribed to big");
    let text = "y".repeat(1_000_000);
    server.publish("/api/channels/big/", &json!({"text": text}));
    let line = wait_for(&mut lines, "yyyy");
    assert!(line.contains(&text));
}

/// A TLS hello as bytes.
fn hello(pair: &Pair) -> Vec<u8> {
    let mut bytes = Vec::new();
    client(&trusting(&[pair])).write_tls(&mut bytes).unwrap();
    bytes
}

fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn tls_on_a_port_without_it_is_said_in_the_log() {
    let pair = Pair::new();
    for args in [&[][..], &["--app", "seth"]] {
        let server = Server::start(args);
        assert!(try_connect(server.address, &trusting(&[&pair])).is_err());
        says(&server, "this address has no certificate");
        assert!(server.process.stderr().contains("tls.certificate"));
        // A hundred more are one line more at most.
        for _ in 0..100 {
            assert!(is_closed(&mut {
                let mut stream = connect_tcp(server.address);
                stream.write_all(&hello(&pair)).unwrap();
                stream
            }));
        }
        let lines = server
            .process
            .stderr()
            .matches("has no certificate")
            .count();
        assert!(lines <= 3, "{lines}");
        assert_eq!(server.get("/connect").status, 200);
    }
}

#[test]
fn plain_bytes_on_a_port_for_tls_only_are_said_in_the_log() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let mut server = ServerOptions::new(&[&files.flags()[..], &["--tls-only"]].concat()).start();
    let (address, url) = (server.address, format!("https://{}", server.address));
    for words in [
        format!("Seth-Pusher: SockJS at {url}/connect; publish with"),
        format!("' {url}/api/channels/<channel>/"),
        format!("kn-sock: JSON lines over TLS at {address}; subscribe with"),
        format!("openssl s_client -quiet -connect {address}"),
    ] {
        let is_said = |line: &str| line.contains(&words).then_some(());
        server.process.wait_for_line(SOON, is_said);
    }
    assert_eq!(server.process.stdout()[0], format!("listening on {url}"));
    for bytes in [
        &b"GET /connect HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"{\"action\":1}\n",
        b"\0",
    ] {
        let mut stream = connect_tcp(server.address);
        stream.write_all(bytes).unwrap();
        assert!(is_closed(&mut stream));
    }
    says(&server, "does not speak TLS");
    let answer = get(connect(server.address, &trusting(&[&pair])), "/connect");
    assert!(answer.ends_with("Welcome to SockJS!\n"), "{answer}");
}

/// Writes a byte now and then until the server closes.
fn dribble(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let (began, mut bytes, mut buffer) = (Instant::now(), bytes.iter(), [0; 4096]);
    loop {
        assert!(began.elapsed() < SOON, "it was never closed");
        match stream.read(&mut buffer) {
            Ok(0) => return began.elapsed(),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if let Some(byte) = bytes.next() {
                    // A failure shows in the next read.
                    let _ = stream.write_all(&[*byte]);
                }
            }
            Err(_) => return began.elapsed(),
        }
    }
}

#[test]
fn what_does_not_come_in_time_is_cut() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = serve(&files, "[limits]\nheader_secs = 1\n");
    let config = trusting(&[&pair]);
    let mut bystander = LineClient::new(connect(server.address, &config));
    bystander.join("still here");
    let hello = hello(&pair);

    // A hello byte by byte, a whole hello and nothing more, a hello that nobody can read.
    let mut garbage = hello.clone();
    garbage[5..].fill(0xff);
    for (at_once, slowly) in [
        (&[][..], &hello[..]),
        (&hello, &[]),
        (&hello[..20], &[]),
        (&garbage, &[]),
    ] {
        let mut stream = connect_tcp(server.address);
        stream.write_all(at_once).unwrap();
        let elapsed = dribble(&mut stream, slowly);
        assert!(elapsed < CUT, "{elapsed:?}");
    }
    // TLS is fine, and then nothing comes, or what is no protocol's first byte, or a head in small pieces.
    for inside in [
        &b""[..],
        b"\x00\x01\x02",
        b"~~~~",
        b"GET /connect HTTP/1.1\r\nHost:",
    ] {
        let mut stream = connect(server.address, &config);
        stream.write_all(inside).unwrap();
        let began = Instant::now();
        let mut rest = Vec::new();
        // HTTP may say 408.
        let _ = stream.read_to_end(&mut rest);
        assert!(
            began.elapsed() < CUT,
            "{inside:?} after {:?}",
            began.elapsed()
        );
    }
    bystander.publish("still here", 1);
    assert_eq!(bystander.receive()["message"], 1);
}

#[test]
fn a_stop_tells_sessions_over_tls_too() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let mut server = serve(&files, "");
    let config = trusting(&[&pair]);
    let mut socket = websocket(server.address, &config);
    join(&mut socket, "news");
    let mut lines = LineClient::new(connect(server.address, &config));
    lines.join("other");
    server.process.signal("TERM");
    match socket.read().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 3000),
        other => panic!("expected a close: {other:?}"),
    }
    let mut rest = Vec::new();
    // The end of TLS is said: this is no broken connection.
    assert_eq!(lines.stream.read_to_end(&mut rest).unwrap(), 0);
    drop((socket, lines));
    assert_eq!(server.process.wait(SOON).code(), Some(0));
}
