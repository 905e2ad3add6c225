//! SockJS: sessions over HTTP, byte by byte.

mod harness;

use harness::{Answer, Event, HttpClient, Settings, TestServer, WebSocketClient, frame};
use polywire_core::{Limits, transport::sockjs::SockJsOptions};

const NO_CACHE: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

fn post(server: &TestServer, path: &str, body: &str) -> Answer {
    HttpClient::once(server.address, &format!("POST {path}"), body)
}

#[track_caller]
fn send(server: &TestServer, session: &str, body: &str) {
    let answer = post(server, &format!("{session}/xhr_send"), body);
    assert_eq!((answer.status, &*answer.body), (204, ""));
}

/// A receive request whose head was read.
#[track_caller]
fn receive(server: &TestServer, request: &str, content_type: &str) -> HttpClient {
    let mut client = HttpClient::connect(server.address);
    client.request(request, "");
    let head = client.head();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some(content_type));
    assert_eq!(head.header("content-length"), None);
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(head.header("cache-control"), Some(NO_CACHE));
    client
}

const SCRIPT: &str = "application/javascript; charset=UTF-8";

#[test]
fn xhr_polling_on_one_connection() {
    let server = TestServer::start();
    let mut client = HttpClient::connect(server.address);
    client.request("POST /echo/000/a/xhr", "");
    let answer = client.answer();
    assert_eq!((answer.status, &*answer.body), (200, "o\n"));
    assert_eq!(answer.header("content-type"), Some(SCRIPT));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("cache-control"), Some(NO_CACHE));
    assert_eq!(
        server.event(),
        Event::Open("/echo".into()),
        "and no session id"
    );
    // Each poll follows its answer at once: the receiver before must be detached by then.
    for number in 0..500 {
        let answer = post(&server, "/echo/111/a/xhr_send", &format!("[\"m{number}\"]"));
        assert_eq!((answer.status, &*answer.body), (204, ""));
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=UTF-8")
        );
        assert_eq!(answer.header("cache-control"), Some(NO_CACHE));
        client.request("POST /echo/222/a/xhr", "");
        assert_eq!(client.answer().body, format!("a[\"m{number}\"]\n"));
    }
    // What waits comes in one frame.
    send(&server, "/echo/000/a", "[\"x\",\"y\"]");
    send(&server, "/echo/000/a", "[\"!close 3500 bye\"]");
    while server.event() != Event::Close {}
    for body in ["a[\"x\",\"y\"]\n", "c[3500,\"bye\"]\n", "c[3500,\"bye\"]\n"] {
        client.request("POST /echo/000/a/xhr", "");
        assert_eq!(client.answer().body, body);
    }
    // Too late is no fault of the client.
    send(&server, "/echo/000/a", "[\"late\"]");
}

#[test]
fn xhr_streaming() {
    let server = TestServer::start();
    let mut client = receive(&server, "POST /echo/0/a/xhr_streaming", SCRIPT);
    assert_eq!(client.chunk(), "h".repeat(2048) + "\n");
    assert_eq!(client.chunk(), "o\n");
    let message = "x".repeat(128);
    for _ in 0..31 {
        send(&server, "/echo/0/a", &format!("[\"{message}\"]"));
        assert_eq!(client.chunk(), format!("a[\"{message}\"]\n"));
    }
    assert_eq!(client.chunk(), "", "the limit of 4096 bytes is reached");
    // The session lives on, on the same connection.
    client.request("POST /echo/0/a/xhr_streaming", "");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().len(), 2049);
    send(&server, "/echo/0/a", "[\"again\"]");
    assert_eq!(client.chunk(), "a[\"again\"]\n");
    let large = "y".repeat(10_000);
    send(&server, "/echo/0/a", &format!("[\"{large}\"]"));
    assert_eq!(client.chunk(), format!("a[\"{large}\"]\n"), "whole");
    assert_eq!(client.chunk(), "");
}

#[test]
fn eventsource() {
    let server = TestServer::start();
    let mut client = receive(
        &server,
        "GET /echo/0/a/eventsource\nOrigin: test",
        "text/event-stream",
    );
    assert_eq!(client.chunk(), "\r\n");
    assert_eq!(client.chunk(), "data: o\r\n\r\n");
    send(&server, "/echo/0/a", r#"["100%\r\n\u0000é"]"#);
    assert_eq!(client.chunk(), "data: a[\"100%25\\r\\n\\u0000é\"]\r\n\r\n");
    send(&server, "/echo/0/a", &format!("[\"{}\"]", "x".repeat(4096)));
    assert_eq!(client.chunk().len(), 4096 + 15);
    assert_eq!(client.chunk(), "");
}

#[test]
fn htmlfile() {
    let server = TestServer::start();
    let mut client = receive(
        &server,
        "GET /echo/0/a/htmlfile?c=%63allback",
        "text/html; charset=UTF-8",
    );
    let head = client.chunk();
    assert!(
        head.len() > 1024 && head.ends_with("</script>".to_owned().as_str())
            || head.ends_with(" \r\n\r\n")
    );
    assert!(head.starts_with("<!doctype html>\n<html><head>\n"));
    assert!(head.contains("\n    var c = parent.callback;\n"));
    assert_eq!(client.chunk(), "<script>\np(\"o\");\n</script>\r\n");
    send(&server, "/echo/0/a", "[\"x</script>\"]");
    assert_eq!(
        client.chunk(),
        "<script>\np(\"a[\\\"x\\u003c/script>\\\"]\");\n</script>\r\n"
    );
}

#[test]
fn jsonp() {
    let server = TestServer::start();
    let poll = || HttpClient::once(server.address, "GET /echo/0/a/jsonp?callback=%63b.x-1_", "");
    let answer = poll();
    assert_eq!(answer.body, "/**/cb.x-1_(\"o\");\r\n");
    assert_eq!(answer.header("content-type"), Some(SCRIPT));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some(NO_CACHE));
    let form = "POST /echo/0/a/jsonp_send?i=7\nContent-Type: application/x-www-form-urlencoded";
    let answer = HttpClient::once(server.address, form, "d=%5B%22x+%26%22%5D");
    assert_eq!((answer.status, &*answer.body), (200, "ok"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    assert_eq!(answer.header("cache-control"), Some(NO_CACHE));
    assert_eq!(poll().body, "/**/cb.x-1_(\"a[\\\"x &\\\"]\");\r\n");
    let plain = "POST /echo/0/a/jsonp_send\nContent-Type: text/plain";
    assert_eq!(
        HttpClient::once(server.address, plain, "[\"%61bc\"]").body,
        "ok"
    );
    assert_eq!(poll().body, "/**/cb.x-1_(\"a[\\\"%61bc\\\"]\");\r\n");
    for (body, error) in [
        ("d=", "Payload expected."),
        ("x=1", "Payload expected."),
        ("d", "Payload expected."),
        ("d=%5B%22x", "Broken JSON encoding."),
        ("d=1", "Payload expected."),
    ] {
        let answer = HttpClient::once(server.address, form, body);
        assert_eq!((answer.status, &*answer.body), (500, error), "{body}");
    }
    assert_eq!(
        HttpClient::once(server.address, "POST /echo/0/none/jsonp_send", "[\"x\"]").status,
        404
    );
}

#[test]
fn callbacks_are_checked_before_a_session_opens() {
    let server = TestServer::start();
    let long = format!("c={}", "x".repeat(33));
    for (transport, query, error) in [
        ("htmlfile", "", "\"callback\" parameter required"),
        ("jsonp", "", "\"callback\" parameter required"),
        ("jsonp", "c=", "\"callback\" parameter required"),
        ("htmlfile", "c=%20", "invalid \"callback\" parameter"),
        ("htmlfile", "c=a%28%29", "invalid \"callback\" parameter"),
        ("jsonp", "c=alert(1)", "invalid \"callback\" parameter"),
        ("jsonp", &long, "invalid \"callback\" parameter"),
    ] {
        let answer = HttpClient::once(
            server.address,
            &format!("GET /echo/0/a/{transport}?{query}"),
            "",
        );
        assert_eq!(answer.status, 500);
        assert!(
            answer.body.contains(error),
            "{transport}?{query}: {}",
            answer.body
        );
    }
    assert_eq!(
        post(&server, "/echo/0/a/xhr_send", "[\"x\"]").status,
        404,
        "no session"
    );
}

#[test]
fn xhr_send_says_what_is_wrong() {
    let server = TestServer::start();
    for (body, status, error) in [
        ("", 500, "Payload expected."),
        ("[\"x", 500, "Broken JSON encoding."),
        ("{}", 500, "Payload expected."),
        ("\"x\"", 500, "Payload expected."),
        ("[\"x\"]", 404, ""),
        ("[]", 404, ""),
    ] {
        let answer = post(&server, "/echo/0/none/xhr_send", body);
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.body.contains(error), "{body}: {}", answer.body);
    }
    assert_eq!(post(&server, "/echo/0/a/xhr", "").body, "o\n");
    assert_eq!(post(&server, "/echo/0/a/xhr_send", "[\"x").status, 500);
    send(&server, "/echo/0/a", "[]");
    for kind in [
        "text/plain",
        "T",
        "application/json",
        "text/xml",
        "application/x-www-form-urlencoded",
        "",
    ] {
        let head = format!("POST /echo/0/a/xhr_send\nContent-Type: {kind}");
        assert_eq!(
            HttpClient::once(server.address, &head, "[\"a\"]").status,
            204,
            "{kind}"
        );
    }
    // A body that comes in chunks.
    let mut client = HttpClient::connect(server.address);
    client.request("POST /echo/0/a/xhr_send\nTransfer-Encoding: chunked", "");
    client.write(b"3\r\n[\"b\r\n2\r\n\"]\r\n0\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    let mut received = String::new();
    while !received.contains('b') {
        received += &post(&server, "/echo/0/a/xhr", "").body;
    }
    assert_eq!(received.matches("\"a\"").count(), 6);
    let long = format!("[\"{}\"]", "x".repeat(1 << 20));
    assert_eq!(post(&server, "/echo/0/a/xhr_send", &long).status, 413);
}

#[test]
fn a_second_receiver_is_refused_and_the_first_goes_on() {
    let server = TestServer::start();
    let mut first = receive(&server, "POST /echo/0/a/xhr_streaming", SCRIPT);
    first.chunk();
    assert_eq!(first.chunk(), "o\n");
    let busy = "c[2010,\"Another connection still open\"]\n";
    assert_eq!(post(&server, "/echo/1/a/xhr", "").body, busy);
    let mut second = receive(&server, "POST /echo/0/a/xhr_streaming", SCRIPT);
    second.chunk();
    assert_eq!(
        (second.chunk(), second.chunk()),
        (busy.to_owned(), String::new())
    );
    send(&server, "/echo/0/a", "[\"x\"]");
    assert_eq!(first.chunk(), "a[\"x\"]\n");
}

#[test]
fn a_receiver_that_is_torn_down_ends_the_session() {
    let server = TestServer::start();
    for transport in ["xhr", "xhr_streaming"] {
        assert_eq!(post(&server, "/echo/0/a/xhr", "").body, "o\n");
        assert!(matches!(server.event(), Event::Open(_)));
        let waiting = receive(&server, &format!("POST /echo/0/a/{transport}"), SCRIPT);
        waiting.abort();
        assert_eq!(server.event(), Event::Close);
        assert_eq!(post(&server, "/echo/0/a/xhr_send", "[\"x\"]").status, 404);
    }
    assert_eq!(
        post(&server, "/echo/0/a/xhr", "").body,
        "o\n",
        "a new session"
    );
}

#[test]
fn a_client_may_give_up_a_poll_and_ask_again_at_once() {
    let server = TestServer::start();
    for _ in 0..100 {
        let mut first = HttpClient::connect(server.address);
        first.request("POST /echo/0/a/xhr_streaming", "");
        first.head();
        first.chunk();
        assert_eq!(first.chunk(), "o\n");
        first.abort();
        assert_eq!(
            post(&server, "/echo/0/a/xhr", "").body,
            "o\n",
            "a new session"
        );
        // It has no receiver; the next round's is its second.
        let waiting = receive(&server, "POST /echo/0/a/xhr", SCRIPT);
        waiting.abort();
    }
}

#[test]
fn what_the_app_answers_at_once_is_there_for_the_next_poll() {
    let server = TestServer::start();
    assert_eq!(post(&server, "/echo/0/a/xhr", "").body, "o\n");
    for _ in 0..50 {
        for message in ["[\"a\"]", "[\"b\",\"c\"]", "[\"d\"]"] {
            send(&server, "/echo/0/a", message);
        }
        assert_eq!(
            post(&server, "/echo/0/a/xhr", "").body,
            "a[\"a\",\"b\",\"c\",\"d\"]\n"
        );
    }
}

#[test]
fn one_address_for_a_session_where_that_is_asked_for() {
    let server = TestServer::with(Settings {
        options: SockJsOptions::default().same_address(true),
        ..Settings::default()
    });
    assert_eq!(post(&server, "/echo/0/a/xhr", "").body, "o\n");
    send(&server, "/echo/0/a", "[\"mine\"]");
    for request in ["POST /echo/0/a/xhr", "POST /echo/0/a/xhr_send"] {
        let mut stranger = HttpClient::connect_from(server.address, [127, 0, 0, 2]);
        stranger.request(request, "[]");
        assert_eq!(stranger.answer().status, 404);
    }
    assert_eq!(post(&server, "/echo/0/a/xhr", "").body, "a[\"mine\"]\n");
}

#[test]
fn an_app_that_closes_at_once() {
    let server = TestServer::start();
    let mut client = HttpClient::connect(server.address);
    for body in ["o\n", "c[3000,\"Go away!\"]\n", "c[3000,\"Go away!\"]\n"] {
        client.request("POST /close/0/a/xhr", "");
        assert_eq!(client.answer().body, body);
    }
    let mut stream = receive(&server, "POST /close/0/b/xhr_streaming", SCRIPT);
    stream.chunk();
    let rest = [stream.chunk(), stream.chunk(), stream.chunk()];
    assert_eq!(rest, ["o\n", "c[3000,\"Go away!\"]\n", ""]);
}

#[test]
fn a_session_without_receiver_ends_after_the_delay_and_heartbeats_come() {
    let server = TestServer::with(Settings {
        options: SockJsOptions::default()
            .disconnect_delay_secs(1)
            .heartbeat_secs(1),
        ..Settings::default()
    });
    assert_eq!(post(&server, "/echo/0/a/xhr", "").body, "o\n");
    assert!(matches!(server.event(), Event::Open(_)));
    assert_eq!(
        post(&server, "/echo/0/a/xhr", "").body,
        "h\n",
        "a heartbeat answers a poll"
    );
    assert_eq!(server.event(), Event::Close);
    let mut stream = receive(&server, "GET /echo/0/a/eventsource", "text/event-stream");
    let chunks = [(); 4].map(|()| stream.chunk());
    assert_eq!(
        chunks[1..],
        ["data: o\r\n\r\n", "data: h\r\n\r\n", "data: h\r\n\r\n"]
    );
}

#[test]
fn bounds_hold() {
    let server = TestServer::with(Settings {
        limits: Limits::default(),
        options: SockJsOptions::default()
            .outbound_bytes_max(10_000)
            .inbound_bytes_max(100)
            .sessions_max(2),
        ..Settings::default()
    });
    assert_eq!(post(&server, "/echo/0/a/xhr", "").body, "o\n");
    assert_eq!(post(&server, "/echo/0/b/xhr", "").body, "o\n");
    assert_eq!(
        post(&server, "/echo/0/c/xhr", "").status,
        503,
        "no room for a third session"
    );
    // More than the inbound queue holds goes through it, one request after another.
    for _ in 0..10 {
        send(
            &server,
            "/echo/0/b",
            &format!("[\"{}\",\"z\"]", "y".repeat(300)),
        );
    }
    assert_eq!(post(&server, "/echo/0/b/xhr", "").status, 200);
    // More than the outbound queue holds ends the session.
    send(&server, "/echo/0/a", "[\"!send 100 1000\"]");
    while server.event() != Event::Close {}
    assert!(
        post(&server, "/echo/0/a/xhr", "")
            .body
            .starts_with("c[4008,")
    );
}

#[test]
fn a_stop_ends_sessions_with_go_away() {
    let mut server = TestServer::start();
    let mut stream = receive(&server, "POST /echo/0/a/xhr_streaming", SCRIPT);
    stream.chunk();
    assert_eq!(stream.chunk(), "o\n");
    assert_eq!(post(&server, "/echo/0/b/xhr", "").body, "o\n");
    let mut poll = receive(&server, "POST /echo/0/b/xhr", SCRIPT);
    server.stop();
    assert_eq!(
        (stream.chunk(), stream.chunk()),
        ("c[3000,\"Go away!\"]\n".into(), "".into())
    );
    assert_eq!(
        (poll.chunk(), poll.chunk()),
        ("c[3000,\"Go away!\"]\n".into(), "".into())
    );
    assert!(stream.is_ended() && poll.is_ended());
    server.join();
}

#[test]
fn http_1_0_is_delimited_by_the_end() {
    let server = TestServer::start();
    let mut client = HttpClient::connect(server.address);
    client.write(b"POST /echo/0/a/xhr HTTP/1.0\r\n\r\n");
    let head = client.head();
    assert_eq!(head.header("transfer-encoding"), None);
    assert_eq!(client.rest(), "o\n");
    let mut client = HttpClient::connect(server.address);
    client.write(b"POST /echo/0/a/xhr_streaming HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    let head = client.head();
    assert_eq!(head.header("transfer-encoding"), None);
    assert_eq!(head.header("content-length"), None);
    assert_eq!(client.exactly(2049).len(), 2049);
    send(&server, "/echo/0/a", "[\"!close 3000 x\"]");
    assert_eq!(client.rest(), "c[3000,\"x\"]\n");
}

#[test]
fn a_request_that_is_pipelined_behind_a_stream_does_not_hold_it_back() {
    let server = TestServer::start();
    let mut client = HttpClient::connect(server.address);
    client.write(
        b"POST /echo/0/a/xhr_streaming HTTP/1.1\r\nHost: t\r\n\r\nGET /echo HTTP/1.1\r\nHost: t\r\n\r\n",
    );
    assert_eq!(client.head().status, 200);
    client.chunk();
    assert_eq!(client.chunk(), "o\n");
    send(&server, "/echo/0/a", "[\"x\"]");
    assert_eq!(client.chunk(), "a[\"x\"]\n");
    send(&server, "/echo/0/a", "[\"!close 3000 x\"]");
    assert_eq!(
        (client.chunk(), client.chunk()),
        ("c[3000,\"x\"]\n".into(), "".into())
    );
    assert_eq!(client.answer().body, "Welcome to SockJS!\n");
}

#[test]
fn framed_websocket() {
    let server = TestServer::start();
    let open = || {
        let mut client = WebSocketClient::connect(server.address, "/echo/000/same/websocket");
        assert_eq!(client.text(), "o");
        assert_eq!(server.event(), Event::Open("/echo".into()));
        client
    };
    // Two sockets with one id are two sessions.
    let (mut client, mut other) = (open(), open());
    for nothing in ["", "[]"] {
        client.write(&frame(0x81, nothing.as_bytes()));
    }
    client.write(&frame(0x81, b"[\"a\",\"b\"]"));
    client.write(&frame(0x81, b"\"single\""));
    let mut received = String::new();
    while !received.contains("single") {
        received += &client.text();
    }
    assert_eq!(received, "a[\"a\"]a[\"b\"]a[\"single\"]");
    // Broken JSON ends the connection without a word.
    client.write(&frame(0x81, b"[\"a"));
    client.expect_end();
    other.write(&frame(0x81, b"[\"!close 3100 bye\"]"));
    assert_eq!(other.text(), "c[3100,\"bye\"]");
    other.expect_closed(1000);
}
