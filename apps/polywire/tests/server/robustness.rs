//! Nothing that a client sends, or does not send, may disturb the others or cost more than its bounds.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::Message;

use crate::support::{
    HttpConnection, SOON, Server, ServerOptions, WebSocketClient, eventually, eventually_equal,
};

const MIB: u64 = 1 << 20;

/// Two clients that were there before whatever the test does, and get their messages after it.
struct Bystanders {
    member: WebSocketClient,
    user: WebSocketClient,
}

impl Bystanders {
    fn of(server: &Server) -> Self {
        let mut member = server.websocket();
        member.join("bystanders");
        let user = server.client("bystander");
        Self { member, user }
    }

    #[track_caller]
    fn assert_unharmed(&mut self, server: &Server) {
        server.publish("/api/channels/bystanders/", &json!({"still": "here"}));
        self.member
            .expect_message(&json!({"still": "here"}), &Value::Null);
        server.publish("/api/users/bystander/", &json!({"still": "here"}));
        loop {
            // Notices of others may have come before.
            if self.user.receive()["message"] == json!({"still": "here"}) {
                return;
            }
        }
    }
}

#[test]
fn a_slow_reader_costs_only_itself() {
    let server = ServerOptions::new(&["--debug", "--persistence", "none"])
        .config("[limits]\noutbound_bytes_max = 1048576\n")
        .start();
    let mut reader = server.websocket();
    reader.join("flood");
    let mut slow: Vec<_> = (0..5)
        .map(|_| WebSocketClient::open(server.address, "/connect/websocket"))
        .collect();
    for client in &mut slow {
        client.join("flood");
        reader.expect_notice("subscribe", Value::Null, "User: None subscribed to flood");
    }
    let before = server.process.resident_bytes();
    let mut peak = 0;
    let mut http = HttpConnection::open(server.address);
    // More than the buffers of the system take: the rest would have to wait in the server.
    for n in 0..150 {
        let message = json!({"n": n, "text": "x".repeat(500_000)});
        let body = message.to_string();
        let answer = http.request("POST", "/api/channels/flood/", &[], Some(body.as_bytes()));
        assert_eq!(answer.status, 200);
        reader.expect_message(&message, &Value::Null);
        peak = peak.max(server.process.resident_bytes());
    }
    let growth = peak.saturating_sub(before);
    assert!(growth < 40 * MIB, "grew by {} MiB", growth / MIB);

    // Who reads on sees what was sent up to then, in order, and why it was closed.
    let mut late = slow.pop().unwrap();
    late.socket.get_ref().set_read_timeout(Some(SOON)).unwrap();
    let mut next = 0;
    let (code, reason) = loop {
        match late.socket.read() {
            Ok(Message::Text(text)) => {
                if text.contains("subscribed to flood") {
                    continue;
                }
                let message: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(message["message"]["n"], next);
                next += 1;
            }
            Ok(Message::Close(Some(frame))) => break (u16::from(frame.code), frame.reason),
            Ok(_) => {}
            other => panic!("expected messages, then a close: {other:?}"),
        }
    };
    assert!((3000..5000).contains(&code), "{code} {reason}");
    assert!(!reason.is_empty());
    assert!(next < 150, "it was never closed");

    // Who never reads is dropped all the same.
    eventually("the slow readers are gone", 3 * SOON, || {
        (server.debug()["subscribers"]["flood"] == json!([null])).then_some(())
    });
    server.publish("/api/channels/flood/", &json!({"n": 1}));
    reader.expect_message(&json!({"n": 1}), &Value::Null);

    // Their operator reads of it, once for all of them.
    let log = server.process.stderr();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("closed a slow consumer: too much waited for it"))
        .collect();
    assert!((1..5).contains(&lines.len()), "{log}");
    assert!(lines[0].contains("app=\"seth\""), "{log}");
}

#[test]
fn a_poller_that_does_not_poll_costs_only_itself() {
    let server = ServerOptions::new(&["--debug"])
        .config("[limits]\noutbound_bytes_max = 1048576\n")
        .start();
    let mut reader = server.websocket();
    reader.join("flood");
    let sessions = ["aaaaaaaa", "bbbbbbbb", "cccccccc"];
    for session in sessions {
        let base = format!("/connect/000/{session}");
        let opened = server.request("POST", &format!("{base}/xhr"), &[], None);
        assert_eq!((opened.status, opened.text()), (200, "o\n"));
        let subscribe = json!([json!({"type": "subscribe", "channel": "flood"}).to_string()]);
        let sent = server.post(&format!("{base}/xhr_send"), subscribe.to_string());
        assert_eq!(sent.status, 204, "{sent:?}");
        reader.expect_notice("subscribe", Value::Null, "User: None subscribed to flood");
    }
    let before = server.process.resident_bytes();
    let mut peak = 0;
    for n in 0..60 {
        let message = json!({"n": n, "text": "x".repeat(500_000)});
        server.publish("/api/channels/flood/", &message);
        reader.expect_message(&message, &Value::Null);
        peak = peak.max(server.process.resident_bytes());
    }
    let growth = peak.saturating_sub(before);
    assert!(growth < 40 * MIB, "grew by {} MiB", growth / MIB);
    eventually_equal(&json!([null]), || {
        server.debug()["subscribers"]["flood"].clone()
    });
}

/// Writes a byte twice a second until the server closes; what it says before that is kept.
fn dribble(stream: &mut TcpStream, bytes: impl IntoIterator<Item = u8>) -> (Duration, Vec<u8>) {
    stream
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let (began, mut said, mut bytes) = (Instant::now(), Vec::new(), bytes.into_iter());
    let mut buffer = [0; 4096];
    loop {
        assert!(began.elapsed() < 2 * SOON, "it was never closed");
        match stream.read(&mut buffer) {
            Ok(0) => return (began.elapsed(), said),
            Ok(count) => said.extend(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if let Some(byte) = bytes.next() {
                    // A failure shows in the next read.
                    let _ = stream.write_all(&[byte]);
                }
            }
            Err(_) => return (began.elapsed(), said),
        }
    }
}

#[track_caller]
fn assert_about_5_seconds(elapsed: Duration) {
    assert!(
        (Duration::from_secs(4)..Duration::from_secs(9)).contains(&elapsed),
        "after {elapsed:?}"
    );
}

#[test]
fn a_head_that_dribbles_in_is_cut_after_5_seconds() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::of(&server);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = b"GET /connect/info HTTP/1.1\r\nHost: x\r\nX-Slow: yes\r\n".repeat(4);
    let (elapsed, _) = dribble(&mut stream, head);
    assert_about_5_seconds(elapsed);
    bystanders.assert_unharmed(&server);
}

#[test]
fn a_later_head_that_dribbles_in_is_cut_too() {
    let server = Server::start(&[]);
    let mut http = HttpConnection::open(server.address);
    assert_eq!(http.request("GET", "/connect", &[], None).status, 200);
    let mut stream = http.tcp().try_clone().unwrap();
    stream.write_all(b"G").unwrap();
    let head = b"ET /connect/info HTTP/1.1\r\nHost: x\r\nX-Slow: yes\r\n".repeat(4);
    let (elapsed, _) = dribble(&mut stream, head);
    assert_about_5_seconds(elapsed);
}

#[test]
fn connections_that_say_nothing_are_cut_after_5_seconds_where_only_http_is_served() {
    let server = Server::start(&["--app", "seth"]);
    let mut bystanders = Bystanders::of(&server);
    let began = Instant::now();
    let mut silent: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    bystanders.assert_unharmed(&server);
    for stream in &mut silent {
        stream.set_read_timeout(Some(SOON)).unwrap();
        match stream.read(&mut [0; 1024]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("still open after {:?}: {error}", began.elapsed()),
        }
    }
    assert_about_5_seconds(began.elapsed());
    bystanders.assert_unharmed(&server);
}

#[test]
fn a_body_that_dribbles_in_is_cut() {
    let server = ServerOptions::new(&[])
        .config("[limits]\nbody_secs = 2\n")
        .start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream
        .write_all(b"POST /api/channels/x/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        .unwrap();
    let (elapsed, said) = dribble(&mut stream, vec![b' '; 998]);
    assert!(elapsed < Duration::from_secs(8), "after {elapsed:?}");
    let said = String::from_utf8_lossy(&said);
    assert!(!said.starts_with("HTTP/1.1 200"), "{said}");
}

#[test]
fn half_closed_requests_are_answered_or_closed() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::of(&server);
    for begun in [
        &b""[..],
        b"GET",
        b"POST /api/channels/x/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
        b"POST /api/channels/x/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(begun).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut said = Vec::new();
        match stream.read_to_end(&mut said) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("still open: {error}"),
        }
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    bystanders.assert_unharmed(&server);
}

#[test]
fn a_peer_that_answers_no_ping_is_closed() {
    let server = Server::start(&[]);
    let mut watcher = server.client("watcher");
    // It reads nothing, so it answers nothing.
    let mut gone = server.client("gone");
    watcher.expect_notice("connect", "gone", "User: gone connected.");
    // 25 s to the ping, 10 s for the answer, 10 s for the close, and the steps of the timers.
    watcher
        .socket
        .get_ref()
        .set_read_timeout(Some(4 * SOON))
        .unwrap();
    let deadline = Instant::now() + 4 * SOON;
    let notice = loop {
        assert!(Instant::now() < deadline, "it was never closed");
        match watcher.socket.read().unwrap() {
            Message::Text(text) => break text,
            Message::Ping(_) => watcher.socket.flush().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert!(notice.contains("User: gone disconnected."), "{notice}");
    assert_eq!(
        gone.expect_close(SOON),
        (3000, "No response from heartbeat".to_owned())
    );
}

#[test]
fn a_body_of_100_mb_is_refused_and_not_kept() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::of(&server);
    let before = server.process.resident_bytes();
    let mut peak = 0;
    let target = "POST /api/channels/bystanders/ HTTP/1.1\r\nHost: x\r\n";
    const PIECE: usize = 1 << 16;
    const PIECES: usize = 100_000_000 / PIECE;
    let piece = vec![b'x'; PIECE];
    let chunk = [format!("{PIECE:x}\r\n").as_bytes(), &piece, b"\r\n"].concat();
    for (head, piece, end) in [
        (
            format!("{target}Content-Length: {}\r\n\r\n", PIECES * PIECE),
            &piece,
            "",
        ),
        (
            format!("{target}Transfer-Encoding: chunked\r\n\r\n"),
            &chunk,
            "0\r\n\r\n",
        ),
    ] {
        let mut http = HttpConnection::open(server.address);
        http.write(head.as_bytes()).unwrap();
        for n in 0..PIECES {
            http.write(piece).unwrap();
            if n % 100 == 0 {
                peak = peak.max(server.process.resident_bytes());
            }
        }
        http.write(end.as_bytes()).unwrap();
        // A client that writes everything before it reads gets its answer.
        let answer = http.answer(false);
        assert_eq!(answer.status, 413, "{answer:?}");
        assert_eq!(answer.json()["status"], 413);
    }
    let growth = peak.saturating_sub(before);
    assert!(growth < 20 * MIB, "grew by {} MiB", growth / MIB);
    bystanders.assert_unharmed(&server);
}

#[test]
fn deep_nesting_breaks_nothing() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::of(&server);
    let mut client = server.websocket();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = |levels: usize| {
            let core = if open == "[" { "" } else { "1" };
            format!("{}{core}{}", open.repeat(levels), close.repeat(levels))
        };
        for levels in [200, 100_000] {
            let object = format!("{{\"type\": \"subscribe\", \"deep\": {}}}", deep(levels));
            let answer = server.post("/api/channels/nobody/", &object);
            assert!(matches!(answer.status, 200 | 400), "{answer:?}");
            let answer = server.post("/api/channels/nobody/", open.repeat(levels));
            assert_eq!(answer.status, 400, "{answer:?}");
            client.send_text(&object);
            client.send_text(open.repeat(levels));
            let frame = format!("[{}]", deep(levels));
            let mut sockjs = WebSocketClient::open(server.address, "/connect/0/deep/websocket");
            sockjs.send_text(frame);
        }
    }
    client.join("after");
    server.publish("/api/channels/after/", &json!({"n": 1}));
    client.expect_message(&json!({"n": 1}), &Value::Null);
    bystanders.assert_unharmed(&server);
}

/// A WebSocket whose frames are written by hand.
struct RawSocket(TcpStream);

impl RawSocket {
    fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream
            .write_all(
                b"GET /connect/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
                  Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            )
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        Self(stream)
    }

    /// A frame with a mask of zeros, so that the payload stays readable.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    }

    /// Writes; the server may have closed already.
    fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Reads up to the close frame and returns its code.
    fn close_code(&mut self) -> u16 {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).unwrap();
            let length = match head[1] {
                126 => {
                    let mut long = [0; 2];
                    self.0.read_exact(&mut long).unwrap();
                    u16::from_be_bytes(long).into()
                }
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).unwrap();
            if head[0] == 0x88 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const PING: u8 = 9;

#[test]
fn frames_against_the_protocol_close_the_connection_with_the_right_code() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::of(&server);
    let before = server.process.resident_bytes();
    let frame = RawSocket::frame;
    let huge = |first: u8, length: u64| {
        let mut head = vec![first, 0x80 | 127];
        head.extend(length.to_be_bytes());
        head.extend([0; 4]);
        head
    };
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        (
            "a frame over the limit",
            frame(FIN | TEXT, &vec![b'x'; (1 << 20) + 1]),
            1009,
        ),
        ("a declared length of 2^62", huge(FIN | TEXT, 1 << 62), 1009),
        (
            "fragments over the limit",
            [
                frame(TEXT, &vec![b'x'; 600_000]),
                frame(CONTINUATION, &vec![b'x'; 600_000]),
            ]
            .concat(),
            1009,
        ),
        ("invalid UTF-8", frame(FIN | TEXT, b"\xff\xfe"), 1007),
        ("a reserved opcode", frame(FIN | 3, b""), 1002),
        ("a reserved bit", frame(FIN | 0x40 | TEXT, b"x"), 1002),
        ("a fragmented ping", frame(PING, b""), 1002),
        ("a long ping", frame(FIN | PING, &[b'x'; 126]), 1002),
        (
            "a continuation of nothing",
            frame(FIN | CONTINUATION, b"x"),
            1002,
        ),
        (
            "a text inside a text",
            [frame(TEXT, b"a"), frame(FIN | TEXT, b"b")].concat(),
            1002,
        ),
        ("no mask", vec![FIN | TEXT, 1, b'x'], 1002),
    ];
    for (what, bytes, code) in cases {
        let mut raw = RawSocket::open(server.address);
        raw.write(&bytes);
        assert_eq!(raw.close_code(), code, "{what}");
    }
    let growth = server.process.resident_bytes().saturating_sub(before);
    assert!(growth < 20 * MIB, "grew by {} MiB", growth / MIB);
    bystanders.assert_unharmed(&server);
}

#[test]
fn fragments_are_one_message() {
    let server = Server::start(&[]);
    let mut member = server.websocket();
    member.join("news");
    let mut raw = RawSocket::open(server.address);
    let text = r#"{"type":"subscribe","channel":"news"}"#.as_bytes();
    raw.write(&RawSocket::frame(TEXT, &text[..1]));
    for byte in &text[1..] {
        // A ping may come between fragments.
        raw.write(&RawSocket::frame(FIN | PING, b"still there?"));
        raw.write(&RawSocket::frame(CONTINUATION, &[*byte]));
    }
    raw.write(&RawSocket::frame(FIN | CONTINUATION, b""));
    member.expect_notice("subscribe", Value::Null, "User: None subscribed to news");
}

#[test]
fn endless_empty_fragments_take_no_memory() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::of(&server);
    let before = server.process.resident_bytes();
    let mut raw = RawSocket::open(server.address);
    raw.write(&RawSocket::frame(TEXT, b"x"));
    let empty = RawSocket::frame(CONTINUATION, b"").repeat(10_000);
    for _ in 0..100 {
        raw.write(&empty);
    }
    bystanders.assert_unharmed(&server);
    let growth = server.process.resident_bytes().saturating_sub(before);
    assert!(growth < 10 * MIB, "grew by {} MiB", growth / MIB);
}

#[test]
fn bytes_that_are_no_http_are_refused() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::of(&server);
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(400_000));
    let long_header = format!("GET / HTTP/1.1\r\nX-Long: {}\r\n\r\n", "a".repeat(400_000));
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X-Many: 1\r\n".repeat(10_000));
    let cases: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03not a TLS hello that we know of\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/channels/x/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/channels/x/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        long_line.as_bytes(),
        long_header.as_bytes(),
        many_headers.as_bytes(),
    ];
    for bytes in cases {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut said = Vec::new();
        if let Err(error) = stream.read_to_end(&mut said) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "still open");
        }
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    let mut connect = HttpConnection::open(server.address);
    connect
        .write(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
        .unwrap();
    assert!((400..500).contains(&connect.answer(false).status));
    bystanders.assert_unharmed(&server);
}

#[test]
fn a_publisher_that_hangs_up_harms_nobody() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::of(&server);
    for _ in 0..200 {
        let mut http = HttpConnection::open(server.address);
        let body = json!({"n": 1}).to_string();
        let head = format!(
            "POST /api/channels/elsewhere/ HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        http.write(head.as_bytes()).unwrap();
    }
    bystanders.assert_unharmed(&server);
}

#[test]
fn connections_over_the_limit_are_closed_and_a_free_place_is_given_again() {
    let server = ServerOptions::new(&[])
        .config("[limits]\nconnections_per_address_max = 4\n")
        .start();
    let kept: Vec<_> = (0..4).map(|_| server.websocket()).collect();
    let mut refused = HttpConnection::open(server.address);
    // The connection may be closed before the request is written.
    let _ = refused.write(b"GET /connect HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(refused.is_closed_by_server());
    kept.into_iter().for_each(WebSocketClient::close);
    eventually("a free place", SOON, || {
        let mut http = TcpStream::connect(server.address).unwrap();
        http.set_read_timeout(Some(SOON)).unwrap();
        let _ = http.write_all(b"GET /connect HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut said = String::new();
        let _ = http.read_to_string(&mut said);
        said.starts_with("HTTP/1.1 200").then_some(())
    });
}
