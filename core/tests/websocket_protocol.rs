//! The WebSocket protocol, in the order of the Autobahn test suite's sections.

mod harness;

use std::io::Write;

use harness::{Event, Settings, TestServer, WebSocketClient, frame};
use polywire_core::{Limits, transport::sockjs::SockJsOptions};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A server whose raw WebSocket echo takes 16 MiB.
fn server() -> TestServer {
    TestServer::with(Settings {
        limits: Limits {
            message_bytes_max: 16 << 20,
            outbound_bytes_max: 64 << 20,
            ..Limits::default()
        },
        options: SockJsOptions::default(),
        ..Settings::default()
    })
}

fn connect(server: &TestServer) -> WebSocketClient {
    WebSocketClient::connect(server.address, "/echo/websocket")
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// The server answers `bytes` with these frames, and closes in order when asked.
#[track_caller]
fn expect_frames(server: &TestServer, bytes: &[u8], frames: &[(u8, &[u8])]) {
    for length in [bytes.len().max(1), 1] {
        let mut client = connect(server);
        client.chop(bytes, length);
        for (first, payload) in frames {
            assert_eq!(client.read(), (*first, payload.to_vec()));
        }
        client.write(&close(1000, b""));
        client.expect_closed(1000);
    }
}

/// The server takes `bytes` for a fault, after these frames.
#[track_caller]
fn expect_fault(server: &TestServer, bytes: &[u8], frames: &[(u8, &[u8])], code: u16) {
    for length in [bytes.len().max(1), 1] {
        let mut client = connect(server);
        // What is written after the fault meets a server that reads on, until the client is done.
        for piece in bytes.chunks(length) {
            client.try_write(piece);
        }
        for (first, payload) in frames {
            assert_eq!(client.read(), (*first, payload.to_vec()));
        }
        client.expect_closed(code);
    }
}

#[test]
fn section_1_framing() {
    let server = server();
    let mut client = connect(&server);
    for length in [0, 1, 125, 126, 127, 128, 65535, 65536] {
        let payload = vec![b'*'; length];
        for first in [TEXT, BINARY] {
            client.write(&frame(first, &payload));
            assert_eq!(client.read(), (first, payload.clone()));
        }
        client.chop(&frame(TEXT, &payload), 997);
        assert_eq!(client.read(), (TEXT, payload));
    }
    client.write(&close(1000, b""));
    client.expect_closed(1000);
}

#[test]
fn section_2_pings_and_pongs() {
    let server = server();
    expect_frames(&server, &frame(PING, b""), &[(PONG, b"")]);
    expect_frames(&server, &frame(PING, b"Hello"), &[(PONG, b"Hello")]);
    expect_frames(
        &server,
        &frame(PING, &[0, 255, 254, 0]),
        &[(PONG, &[0, 255, 254, 0])],
    );
    expect_frames(&server, &frame(PING, &[254; 125]), &[(PONG, &[254; 125])]);
    expect_fault(&server, &frame(PING, &[254; 126]), &[], 1002);
    // Pongs that nobody asked for.
    expect_frames(&server, &frame(PONG, b"what"), &[]);
    let bytes = [frame(PONG, b"what"), frame(PING, b"p")].concat();
    expect_frames(&server, &bytes, &[(PONG, b"p")]);
    let pings: Vec<Vec<u8>> = (0..10).map(|n: u8| vec![n; 4]).collect();
    let bytes: Vec<u8> = pings.iter().flat_map(|ping| frame(PING, ping)).collect();
    let pongs: Vec<(u8, &[u8])> = pings.iter().map(|ping| (PONG, &ping[..])).collect();
    expect_frames(&server, &bytes, &pongs);
}

#[test]
fn section_3_reserved_bits() {
    let server = server();
    for bits in 1..8 {
        let bad = frame(TEXT | bits << 4, b"x");
        expect_fault(&server, &bad, &[], 1002);
        let bytes = [frame(TEXT, b"ok"), bad, frame(PING, b"")].concat();
        expect_fault(&server, &bytes, &[(TEXT, b"ok")], 1002);
        expect_fault(&server, &frame(PING | bits << 4, b""), &[], 1002);
        expect_fault(&server, &frame(CLOSE | bits << 4, b""), &[], 1002);
    }
    expect_fault(&server, &[0x81, 2, b'h', b'i'], &[], 1002);
}

#[test]
fn section_4_reserved_opcodes() {
    let server = server();
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        expect_fault(&server, &frame(0x80 | opcode, b""), &[], 1002);
        let bytes = [
            frame(TEXT, b"ok"),
            frame(0x80 | opcode, b"x"),
            frame(PING, b""),
        ]
        .concat();
        expect_fault(&server, &bytes, &[(TEXT, b"ok")], 1002);
    }
}

#[test]
fn section_5_fragmentation() {
    let server = server();
    expect_fault(
        &server,
        &[frame(0x09, b"a"), frame(0x80, b"b")].concat(),
        &[],
        1002,
    );
    expect_fault(
        &server,
        &[frame(0x0a, b"a"), frame(0x80, b"b")].concat(),
        &[],
        1002,
    );
    expect_frames(
        &server,
        &[frame(1, b"ab"), frame(0x80, b"cd")].concat(),
        &[(TEXT, b"abcd")],
    );
    let with_ping = [frame(1, b"ab"), frame(PING, b"p"), frame(0x80, b"cd")].concat();
    expect_frames(&server, &with_ping, &[(PONG, b"p"), (TEXT, b"abcd")]);
    for lone in [frame(0x80, b"x"), frame(0, b"x")] {
        expect_fault(&server, &[lone, frame(TEXT, b"ok")].concat(), &[], 1002);
    }
    expect_fault(
        &server,
        &[frame(1, b"a"), frame(TEXT, b"b")].concat(),
        &[],
        1002,
    );
    let many = [
        frame(2, b"1"),
        frame(0, b"2"),
        frame(PING, b"p"),
        frame(0, b""),
        frame(0, b"3"),
        frame(PING, b"q"),
        frame(0x80, b"4"),
        frame(TEXT, b"next"),
    ];
    expect_frames(
        &server,
        &many.concat(),
        &[
            (PONG, b"p"),
            (PONG, b"q"),
            (BINARY, b"1234"),
            (TEXT, b"next"),
        ],
    );
    let empty = [frame(1, b""), frame(0, b""), frame(0x80, b"")].concat();
    expect_frames(&server, &empty, &[(TEXT, b"")]);
}

#[test]
fn section_6_utf8() {
    let server = server();
    let good = "Hello-µ@ßöäüàá-UTF-8!! κόσμε \u{10ffff}\u{ffff}\u{fdd0}\0".as_bytes();
    expect_frames(&server, &frame(TEXT, good), &[(TEXT, good)]);
    let mut fragments = Vec::new();
    for (index, byte) in good.iter().enumerate() {
        fragments.extend(frame(u8::from(index == 0), &[*byte]));
    }
    fragments.extend(frame(0x80, b""));
    expect_frames(&server, &fragments, &[(TEXT, good)]);
    let bad: [&[u8]; 14] = [
        b"\x80",
        b"\xbf",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80",
        b"\xfe",
        b"\xff",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    ];
    for text in bad {
        expect_fault(&server, &frame(TEXT, text), &[], 1007);
        let fragments = [frame(1, b"ok"), frame(0x80, text)].concat();
        expect_fault(&server, &fragments, &[], 1007);
        // Binary is what it is.
        expect_frames(&server, &frame(BINARY, text), &[(BINARY, text)]);
    }
    for cut in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x90"] {
        expect_fault(&server, &frame(TEXT, cut), &[], 1007);
    }
    // 6.4: it fails as soon as it cannot become right, not at the end of the message.
    let mut client = connect(&server);
    client.write(&frame(1, b"\xce\xba"));
    client.write(&frame(0, b"\xf4\x90"));
    client.expect_closed(1007);
    let mut client = connect(&server);
    client.write(&frame(TEXT, b"abc\xf4\x90\x80\x80def")[..6 + 5]);
    client.expect_closed(1007);
}

#[test]
fn section_7_closing() {
    let server = server();
    expect_fault(
        &server,
        &[frame(TEXT, b"m"), close(1000, b"")].concat(),
        &[(TEXT, b"m")],
        1000,
    );
    // What follows a close is ignored.
    for after in [
        frame(CLOSE, b""),
        frame(PING, b"p"),
        frame(TEXT, b"x"),
        frame(0xff, b""),
    ] {
        expect_fault(&server, &[close(1000, b""), after].concat(), &[], 1000);
    }
    expect_fault(
        &server,
        &[frame(1, b"half"), close(1000, b"")].concat(),
        &[],
        1000,
    );
    expect_fault(&server, &frame(CLOSE, b""), &[], 1005);
    expect_fault(&server, &frame(CLOSE, b"x"), &[], 1002);
    expect_fault(&server, &close(1000, b"Hello World!"), &[], 1000);
    expect_fault(&server, &close(1000, &[b'*'; 123]), &[], 1000);
    expect_fault(&server, &close(1000, &[b'*'; 124]), &[], 1002);
    expect_fault(&server, &close(1000, b"\xce\xba\xed\xa0\x80"), &[], 1007);
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999,
    ] {
        expect_fault(&server, &close(code, b"why"), &[], code);
    }
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        expect_fault(&server, &close(code, b""), &[], 1002);
    }
}

#[test]
fn section_9_long_messages() {
    let server = server();
    for length in [64 << 10, 1 << 20, 16 << 20] {
        for first in [TEXT, BINARY] {
            let payload = vec![b'm'; length];
            echo_large(&server, &frame(first, &payload), first, &payload);
            let mut fragments = Vec::new();
            for (index, piece) in payload.chunks(64 << 10).enumerate() {
                fragments.extend(frame(if index == 0 { first & 15 } else { 0 }, piece));
            }
            fragments.extend(frame(0x80, b""));
            echo_large(&server, &fragments, first, &payload);
        }
    }
    // Chopped.
    let payload = vec![b'c'; 1 << 20];
    for length in [64, 1000, 1 << 16] {
        let mut client = connect(&server);
        client.chop(&frame(TEXT, &payload), length);
        assert_eq!(client.read().1, payload);
    }
    // Too long: known from the header alone.
    let header = [0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0];
    expect_fault(&server, &header, &[], 1009);
    expect_fault(
        &server,
        &[
            frame(2, b"x"),
            vec![0x80, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat(),
        &[],
        1009,
    );
    expect_fault(
        &server,
        &[
            0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0,
        ],
        &[],
        1009,
    );
}

#[track_caller]
fn echo_large(server: &TestServer, bytes: &[u8], first: u8, payload: &[u8]) {
    let mut client = connect(server);
    let mut writer = client.writer();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(bytes).expect("the server reads"));
        let (found, echoed) = client.read();
        assert_eq!((found, echoed.len()), (first, payload.len()));
        assert!(echoed == payload);
    });
}

#[test]
fn section_10_a_message_cut_into_small_writes() {
    let server = server();
    let payload = vec![b'*'; 65536];
    let mut client = connect(&server);
    client.chop(&frame(TEXT, &payload), 1300);
    assert_eq!(client.read(), (TEXT, payload));
}

#[test]
fn frames_that_come_with_the_handshake_are_read() {
    let server = server();
    let early = [frame(TEXT, b"early"), frame(TEXT, b"bird")[..3].to_vec()].concat();
    let mut client = WebSocketClient::connect_with(server.address, "/echo/websocket", &early);
    assert_eq!(client.text(), "early");
    client.write(&frame(TEXT, b"bird")[3..]);
    assert_eq!(client.text(), "bird");
}

#[test]
fn the_server_closes_first_and_the_app_is_told_at_once() {
    let server = server();
    let mut client = connect(&server);
    assert_eq!(server.event(), Event::Open("/echo".into()));
    let orders = [
        frame(TEXT, b"!close 4001 that is all"),
        frame(TEXT, b"too late"),
    ]
    .concat();
    client.write(&orders);
    let (first, payload) = client.read();
    assert_eq!((first, &payload[..]), (CLOSE, &b"\x0f\xa1that is all"[..]));
    assert_eq!(
        server.event(),
        Event::Message("!close 4001 that is all".into())
    );
    // Before the client has answered.
    assert_eq!(server.event(), Event::Close);
    client.write(&close(4001, b""));
    client.expect_end();
}

#[test]
fn a_client_that_just_goes_is_noticed() {
    let server = server();
    drop(connect(&server));
    assert_eq!(server.event(), Event::Open("/echo".into()));
    assert_eq!(server.event(), Event::Close);
}

#[test]
fn a_stop_closes_with_3000_and_waits_for_nobody() {
    let mut server = server();
    let mut raw = connect(&server);
    let mut framed = WebSocketClient::connect(server.address, "/echo/0/0/websocket");
    assert_eq!(framed.text(), "o");
    server.stop();
    assert_eq!(
        raw.read(),
        (CLOSE, [&3000u16.to_be_bytes()[..], b"Go away!"].concat())
    );
    assert_eq!(framed.text(), "c[3000,\"Go away!\"]");
    framed.expect_closed(1000);
    drop((raw, framed));
    server.join();
}

#[test]
fn a_slow_reader_is_closed_and_nobody_else_notices() {
    let server = TestServer::with(Settings {
        limits: Limits {
            outbound_bytes_max: 64 << 10,
            ..Limits::default()
        },
        options: SockJsOptions::default(),
        ..Settings::default()
    });
    let mut slow = connect(&server);
    let mut other = connect(&server);
    assert!(matches!(server.event(), Event::Open(_)));
    assert!(matches!(server.event(), Event::Open(_)));
    // Far more than the queue and the kernel's buffers hold.
    slow.write(&frame(TEXT, b"!send 1000 60000"));
    assert!(matches!(server.event(), Event::Message(_)));
    assert_eq!(server.event(), Event::Close);
    other.write(&frame(TEXT, b"still here?"));
    assert_eq!(other.text(), "still here?");
    // What was on the wire is whole, then comes the farewell.
    loop {
        match slow.read() {
            (TEXT, payload) => assert_eq!(payload.len(), 60000),
            (first, payload) => {
                assert_eq!(
                    (first, payload[..2].to_vec()),
                    (CLOSE, 4008u16.to_be_bytes().to_vec())
                );
                break;
            }
        }
    }
    slow.expect_end();
}

#[test]
fn control_frames_without_end_are_a_fault() {
    let limits = Limits {
        idle_frames_max: 20,
        ..Limits::default()
    };
    let server = TestServer::with(Settings {
        limits,
        ..Settings::default()
    });
    for idle in [frame(PONG, b""), frame(0x00, b"")] {
        let mut client = connect(&server);
        client.write(&frame(0x01, b"x"));
        client.try_write(&idle.repeat(21));
        client.expect_closed(1008);
    }
    let mut client = connect(&server);
    client.write(&frame(PONG, b"").repeat(20));
    client.write(&frame(TEXT, b"still here"));
    assert_eq!(client.read(), (TEXT, b"still here".to_vec()));
}

#[test]
fn a_message_that_dribbles_is_given_up() {
    let limits = Limits {
        body_secs: 1,
        ..Limits::default()
    };
    let server = TestServer::with(Settings {
        limits,
        options: SockJsOptions::default().heartbeat_secs(1),
        ..Settings::default()
    });
    let mut client = connect(&server);
    client.write(&frame(0x01, b"x"));
    // The answers to pings, and what comes of the message now and then, put nothing off.
    loop {
        match client.read() {
            (PING, payload) => {
                client.write(&frame(PONG, &payload));
                client.write(&frame(0x00, b"y"));
            }
            (CLOSE, reason) => {
                assert_eq!(reason[..2], 1008u16.to_be_bytes());
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_peer_that_does_not_answer_pings_is_closed() {
    let server = TestServer::with(Settings {
        limits: Limits::default(),
        options: SockJsOptions::default().heartbeat_secs(1),
        ..Settings::default()
    });
    let mut client = connect(&server);
    // Half-open: it reads, but nothing comes from it. Other pings may come before the close.
    loop {
        let (first, payload) = client.read();
        if first == CLOSE {
            let reason = [&3000u16.to_be_bytes()[..], b"No response from heartbeat"].concat();
            assert_eq!(payload, reason);
            break;
        }
        assert_eq!((first, &payload[..]), (PING, &b""[..]));
    }
    client.expect_end();
}
