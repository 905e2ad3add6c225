//! HTTP connections: limits in time and number.

mod harness;

use std::time::{Duration, Instant};

use harness::{HttpClient, Settings, TestServer, WebSocketClient, frame};
use polywire_core::Limits;

fn server(limits: Limits) -> TestServer {
    TestServer::with(Settings {
        limits,
        ..Settings::default()
    })
}

#[test]
fn a_head_that_dribbles_is_cut_and_an_idle_connection_is_not() {
    let server = server(Limits {
        header_secs: 1,
        ..Limits::default()
    });
    let mut idle = HttpClient::connect(server.address);
    idle.request("GET /echo", "");
    assert_eq!(idle.answer().status, 200);
    let mut silent = HttpClient::connect(server.address);
    let mut second = HttpClient::connect(server.address);
    second.request("GET /echo", "");
    assert_eq!(second.answer().status, 200);
    let mut dribbling = HttpClient::connect(server.address);
    let begin = Instant::now();
    dribbling.write(b"GET /echo HT");
    // The second head of a kept-alive connection counts as well.
    second.write(b"GET /echo HT");
    let waits = std::thread::spawn(move || assert!(silent.is_ended(), "nothing was ever sent"));
    let second = std::thread::spawn(move || assert!(second.is_ended()));
    assert!(dribbling.is_ended());
    assert!(begin.elapsed() >= Duration::from_millis(900));
    waits.join().expect("it was cut");
    second.join().expect("it was cut");
    idle.request("GET /echo", "");
    assert_eq!(
        idle.answer().status,
        200,
        "it was idle for longer than a head may take"
    );
}

#[test]
fn a_waiting_stream_is_no_dribbling_head() {
    let server = server(Limits {
        header_secs: 1,
        ..Limits::default()
    });
    let mut stream = HttpClient::connect(server.address);
    stream.request("POST /echo/0/a/xhr_streaming", "");
    stream.head();
    let mut cut = HttpClient::connect(server.address);
    assert!(cut.is_ended(), "the time of a head has passed");
    stream.chunk();
    assert_eq!(stream.chunk(), "o\n");
    let sent = HttpClient::once(server.address, "POST /echo/0/a/xhr_send", "[\"x\"]");
    assert_eq!(sent.status, 204);
    assert_eq!(stream.chunk(), "a[\"x\"]\n");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server(Limits::default());
    let mut client = HttpClient::connect(server.address);
    let request = "GET /echo HTTP/1.1\r\nHost: t\r\n\r\nGET /none HTTP/1.1\r\nHost: t\r\n\r\n";
    client.write(request.repeat(50).as_bytes());
    for _ in 0..50 {
        assert_eq!(client.answer().body, "Welcome to SockJS!\n");
        assert_eq!(client.answer().status, 404);
    }
}

#[test]
fn places_are_given_back_by_every_kind_of_connection() {
    let server = server(Limits {
        connections_per_address_max: 1,
        ..Limits::default()
    });
    for _ in 0..3 {
        let http = connect_when_free(&server);
        assert!(
            HttpClient::connect(server.address).is_ended(),
            "a second one"
        );
        http.abort();
        let mut socket =
            WebSocketClient::upgrade(connect_when_free(&server), "/echo/websocket", &[]);
        assert!(
            HttpClient::connect(server.address).is_ended(),
            "a second one"
        );
        socket.write(&frame(0x88, &[3, 232]));
        socket.expect_closed(1000);
    }
}

/// A connection that has been answered once. The server sees the end of those before in its own time.
fn connect_when_free(server: &TestServer) -> HttpClient {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut client = HttpClient::connect(server.address);
        if client.try_write(b"GET /echo HTTP/1.1\r\nHost: t\r\n\r\n") && client.is_readable() {
            assert_eq!(client.answer().status, 200);
            return client;
        }
        assert!(Instant::now() < deadline, "the place was not given back");
    }
}

#[test]
fn connect_and_nonsense_do_no_harm() {
    let server = server(Limits::default());
    let mut client = HttpClient::connect(server.address);
    client.write(b"CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n");
    assert_eq!(client.head().status, 405);
    let mut client = HttpClient::connect(server.address);
    client.write(b"\x16\x03\x01\x02\x00nonsense\r\n\r\n");
    assert!(client.rest().starts_with("HTTP/1.1 400") || client.is_ended());
    assert_eq!(
        HttpClient::once(server.address, "GET /echo", "").status,
        200
    );
}

#[test]
fn a_request_names_its_host_once() {
    let server = server(Limits::default());
    for (head, status) in [
        ("GET /echo HTTP/1.1\r\n", 400),
        ("GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400),
        ("GET /echo HTTP/1.1\r\nHost: a b\r\n", 400),
        ("GET /echo HTTP/1.0\r\n", 200),
        ("GET http://b/echo HTTP/1.1\r\nHost: a\r\n", 200),
        ("GET /echo HTTP/1.1\r\nHost: a:80\r\n", 200),
    ] {
        let mut client = HttpClient::connect(server.address);
        client.write(format!("{head}\r\n").as_bytes());
        assert_eq!(client.answer().status, status, "{head}");
        if status == 400 {
            assert!(client.is_ended(), "{head}");
        }
    }
}

#[test]
fn head_is_answered_where_get_is() {
    let server = server(Limits::default());
    let mut client = HttpClient::connect(server.address);
    for (path, status, length) in [
        ("/echo", 200, Some("19")),
        ("/nowhere", 404, Some("36")),
        // It opens nothing.
        (
            "/echo/websocket\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
             Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
            400,
            None,
        ),
    ] {
        client.request(&format!("HEAD {path}"), "");
        let head = client.head();
        assert_eq!(head.status, status, "{path}");
        if length.is_some() {
            assert_eq!(head.header("content-length"), length, "{path}");
        }
    }
    // Nothing is left of a body.
    client.request("GET /echo", "");
    assert_eq!(client.answer().body, "Welcome to SockJS!\n");
}

#[test]
fn chunked_is_the_only_transfer_coding() {
    let server = server(Limits::default());
    for coding in ["gzip", "gzip, chunked", "identity"] {
        let mut client = HttpClient::connect(server.address);
        client.request(
            &format!("POST /echo/0/a/xhr_send\nTransfer-Encoding: {coding}"),
            "",
        );
        // What follows is no request.
        client.write(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.status, 501, "{coding}");
        assert!(answer.body.contains("chunked"), "{}", answer.body);
        assert!(client.is_ended(), "{coding}");
    }
    let mut client = HttpClient::connect(server.address);
    client.request("POST /echo/0/a/xhr_send\nTransfer-Encoding: Chunked", "");
    client.write(b"2\r\n[]\r\n0\r\n\r\n");
    assert_eq!(client.answer().status, 404, "there is no such session");
}

#[test]
fn empty_lines_before_a_request_mean_nothing() {
    let server = server(Limits::default());
    let mut client = HttpClient::connect(server.address);
    for _ in 0..2 {
        client.write(b"\r\n\r\n");
        client.request("GET /echo", "");
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn a_body_that_is_too_long_is_not_asked_for() {
    let server = server(Limits {
        message_bytes_max: 1000,
        ..Limits::default()
    });
    let ask = |length: usize| {
        let mut client = HttpClient::connect(server.address);
        let head =
            format!("POST /echo/0/a/xhr_send\nExpect: 100-continue\nContent-Length: {length}");
        client.request(&head, "");
        client
    };
    let mut client = ask(1000);
    assert_eq!(client.head().status, 100);
    client.write(&[b'x'; 1000]);
    assert_eq!(client.answer().status, 500, "it was read");
    assert_eq!(ask(1001).answer().status, 413);
}

#[test]
fn who_is_refused_while_sending_sees_the_answer() {
    let server = server(Limits::default());
    let mut client = HttpClient::connect(server.address);
    client.request("POST /nowhere\nContent-Length: 4000000", "");
    // As clients do that write everything before they read. It must not be cut off.
    for _ in 0..40 {
        client.write(&[b'x'; 100_000]);
    }
    assert_eq!(client.answer().status, 404);
    assert!(client.is_ended());
}
