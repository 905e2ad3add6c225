//! The connections under PubNub's requests: what follows what, what breaks off, and what changes the way on which
//! a connection is served.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    HttpConnection, SOON, Server, ServerOptions, eventually_equal,
    tls::{Files, Pair, connect, connect_tcp, trusting},
};

const CONFIG: &str = "[limits]\nheader_secs = 2\nkeep_alive_secs = 3\n[apps.pubnub]\nhold_secs = 60\npresence_timeout_secs = 1\n";

fn start() -> Server {
    ServerOptions::new(&["--app", "pubnub", "--app", "seth"])
        .config(CONFIG)
        .start()
}

/// A client that shows every byte.
struct Raw<S>(BufReader<S>);

/// The head of an answer and its body, as they came.
type Exchange = (String, String);

impl Raw<TcpStream> {
    fn open(server: &Server) -> Self {
        Self(BufReader::new(connect_tcp(server.address)))
    }
}

impl<S: Read + Write> Raw<S> {
    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
        self.0.get_mut().flush().unwrap();
    }

    fn answer(&mut self) -> Exchange {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "ended: {head:?}");
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    fn json(&mut self) -> Value {
        let (head, body) = self.answer();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        serde_json::from_str(&body).unwrap()
    }

    #[track_caller]
    fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, b""),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

fn post(target: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A poll for what comes from now on.
fn poll(server: &Server, channel: &str, uuid: &str) -> String {
    let target = format!("/v2/subscribe/demo/{channel}/0?uuid={uuid}&tt=");
    let first = server.get(&format!("{target}0")).json();
    get(&[&target, first["t"]["t"].as_str().unwrap()].concat())
}

fn publish(server: &Server, channel: &str, message: u32) {
    let sent = server.get(&format!("/publish/demo/demo/0/{channel}/0/{message}"));
    assert_eq!(sent.status, 200, "{sent:?}");
}

fn messages(answer: &Value) -> Vec<Value> {
    let messages = answer["m"].as_array().unwrap().iter();
    messages.map(|message| message["d"].clone()).collect()
}

/// Who is on a channel.
fn here(server: &Server, channel: &str) -> Value {
    let target = format!("/v2/presence/sub-key/demo/channel/{channel}");
    server.get(&target).json()["uuids"].clone()
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    let server = start();
    let mut client = Raw::open(&server);
    let time = get("/time/0");
    let unknown = get("/v2/subscribe/wrong/c/0");
    client.write(&[&*time, &unknown, &time].concat());
    assert!(client.answer().1.starts_with('['));
    assert!(client.answer().0.starts_with("HTTP/1.1 400 "));
    assert!(client.answer().1.starts_with('['));

    // What comes behind a poll waits for it, also what is no such request.
    let poll = poll(&server, "c", "ann");
    let publish_two = post("/publish/demo/demo/0/other/0", "2");
    client.write(&[&*poll, &time, &publish_two, &time].concat());
    publish(&server, "c", 1);
    assert_eq!(messages(&client.json()), [json!(1)]);
    assert!(client.answer().1.starts_with('['));
    assert!(client.answer().1.starts_with("[1,\"Sent\","));
    assert!(client.answer().1.starts_with('['));
}

#[test]
fn more_than_is_kept_may_come_behind_a_poll() {
    let server = start();
    let mut client = Raw::open(&server);
    let time = get(&format!("/time/0?{}", "x".repeat(1000)));
    let mut writer = client.0.get_ref().try_clone().unwrap();
    let all = [poll(&server, "c", "ann"), time.repeat(500)].concat();
    let writing = thread::spawn(move || writer.write_all(all.as_bytes()).unwrap());
    publish(&server, "c", 1);
    assert_eq!(messages(&client.json()), [json!(1)]);
    for _ in 0..500 {
        assert!(client.answer().1.starts_with('['));
    }
    writing.join().unwrap();
}

#[test]
fn a_head_may_come_in_pieces() {
    let server = start();
    let mut client = Raw::open(&server);
    for _ in 0..2 {
        for piece in get("/time/0?uuid=ann").as_bytes().chunks(3) {
            client.write(std::str::from_utf8(piece).unwrap());
        }
        assert!(client.answer().1.starts_with('['));
    }
    for piece in get("/connect").as_bytes().chunks(3) {
        client.write(std::str::from_utf8(piece).unwrap());
    }
    assert!(client.answer().0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_connection_ends_when_its_client_asks_for_that() {
    let server = start();
    let ask = |request: &str| {
        let mut client = Raw::open(&server);
        client.write(request);
        let (head, _) = client.answer();
        (client, head)
    };
    let (mut client, head) = ask("GET /time/0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    client.assert_closed();

    let (mut client, head) = ask("GET /time/0 HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"));
    client.assert_closed();

    let kept = "GET /time/0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let (mut client, head) = ask(kept);
    assert!(head.contains("\r\nconnection: keep-alive\r\n"), "{head}");
    client.write(kept);
    client.answer();
}

/// A request with a body hands its connection over to the way for everything.
#[test]
fn both_ways_give_the_same_answers() {
    let server = start();
    let (mut short, mut full) = (Raw::open(&server), Raw::open(&server));
    full.write(&post("/publish/demo/demo/0/other/0", "1"));
    full.answer();
    let answers = |client: &mut Raw<TcpStream>, request: &str| {
        client.write(request);
        let (head, body) = client.answer();
        // Everything but the time, which goes on.
        let head: Vec<_> = head
            .lines()
            .filter(|line| !line.starts_with("date: "))
            .map(str::to_owned)
            .collect();
        (head, body)
    };
    for target in [
        "/v2/subscribe/wrong/c/0",
        "/v2/subscribe/demo/,/0",
        "/v2/subscribe/demo/%FF/0#fragment",
        "/v2/presence/sub-key/demo/channel/c",
        "/v2/objects/demo/uuids",
        "/publish/demo/demo/0/c/0/%7B",
        "/v2/subscribe/demo/c",
    ] {
        let same = answers(&mut full, &get(target));
        let mut came = answers(&mut short, &get(target));
        if target.starts_with("/publish") {
            // Each has a timetoken of its own.
            came.1.truncate(25);
            assert_eq!(
                (came.0, came.1.as_str()),
                (same.0, &same.1[..25]),
                "{target}"
            );
            continue;
        }
        assert_eq!(came, same, "{target}");
    }
    for headers in [
        "Connection: keep-alive",
        "X-A: 1\r\nx-a: 2",
        "Accept-Encoding: gzip",
    ] {
        let request =
            format!("GET /v2/subscribe/wrong/c/0 HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n");
        assert_eq!(answers(&mut short, &request), answers(&mut full, &request));
    }
    for end in [
        "1.1\r\nHost: h\r\nConnection: close",
        "1.0",
        "1.0\r\nConnection: keep-alive, close",
    ] {
        let (mut short, mut full) = (Raw::open(&server), Raw::open(&server));
        full.write(&post("/publish/demo/demo/0/other/0", "1"));
        full.answer();
        let request = format!("GET /v2/subscribe/wrong/c/0 HTTP/{end}\r\n\r\n");
        assert_eq!(answers(&mut short, &request), answers(&mut full, &request));
        short.assert_closed();
        full.assert_closed();
    }
}

#[test]
fn polls_and_everything_else_share_a_connection() {
    let server = start();
    let mut client = Raw::open(&server);
    for number in 0..3 {
        client.write(&poll(&server, "c", "ann"));
        publish(&server, "c", number);
        assert_eq!(messages(&client.json()), [json!(number)]);
        // From here on the connection is on the way for everything.
        client.write(&post("/publish/demo/demo/0/other/0", "true"));
        assert_eq!(client.json()[1], "Sent");
        client.write(&get("/nobody"));
        assert!(client.answer().0.starts_with("HTTP/1.1 404 "));
        client.write("OPTIONS /time/0 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(client.answer().0.contains("access-control-allow-methods"));
    }
    client.write("HEAD /time/0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let mut head = String::new();
    client.0.read_to_string(&mut head).unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[test]
fn a_long_address_has_its_answer_behind_a_poll_too() {
    let server = start();
    let mut client = Raw::open(&server);
    client.write(&poll(&server, "c", "ann"));
    publish(&server, "c", 1);
    assert_eq!(messages(&client.json()), [json!(1)]);
    let message = "x".repeat(100_000);
    client.write(&get(&format!("/publish/demo/demo/0/c/0/%22{message}%22")));
    let (head, body) = client.answer();
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body[0], &body[1]),
        (&json!(0), &json!("Message Too Large"))
    );

    // Longer than what is read at once here, and not too long.
    let mut client = HttpConnection::open(server.address);
    let channels: Vec<_> = (0..1000)
        .map(|number| format!("channel-{number:032}"))
        .collect();
    let target = format!("/v2/subscribe/demo/{}/0", channels.join(","));
    assert_eq!(client.request("GET", &target, &[], None).status, 200);
}

#[test]
fn who_breaks_a_poll_off_is_gone_at_once() {
    let server = start();
    let polls = ["ann", "bob", "eve"].map(|uuid| {
        let mut client = Raw::open(&server);
        client.write(&poll(&server, "c", uuid));
        client
    });
    eventually_equal(&json!(["ann", "bob", "eve"]), || here(&server, "c"));
    // As long as their polls are open they are there, however short their time is.
    thread::park_timeout(Duration::from_secs(3));
    assert_eq!(here(&server, "c"), json!(["ann", "bob", "eve"]));
    let [ann, bob, mut eve] = polls;
    drop(ann);
    eventually_equal(&json!(["bob", "eve"]), || here(&server, "c"));
    // One that has sent the next request already.
    eve.write(&get("/time/0"));
    drop(eve);
    eventually_equal(&json!(["bob"]), || here(&server, "c"));
    drop(bob);
    eventually_equal(&json!([]), || here(&server, "c"));
}

/// Writes a byte now and then until the server closes.
fn dribble(stream: &mut TcpStream, text: &str) -> Duration {
    let pause = Duration::from_millis(100);
    stream.set_read_timeout(Some(pause)).unwrap();
    let (began, mut bytes) = (Instant::now(), text.bytes());
    loop {
        assert!(began.elapsed() < SOON, "it was never closed");
        match stream.read(&mut [0; 1024]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if let Some(byte) = bytes.next() {
                    // A failure shows in the next read.
                    let _ = stream.write_all(&[byte]);
                }
            }
            Ok(0) | Err(_) => return began.elapsed(),
            Ok(_) => panic!("it was answered"),
        }
    }
}

#[test]
fn a_head_that_does_not_come_in_time_is_cut() {
    let server = start();
    let slow = format!("GET /v2/subscribe/demo/{}", "c".repeat(100));
    let limit = Duration::from_secs(1)..Duration::from_secs(6);
    let first = dribble(&mut TcpStream::connect(server.address).unwrap(), &slow);
    assert!(limit.contains(&first), "{first:?}");

    let mut client = Raw::open(&server);
    client.write(&get("/time/0"));
    client.answer();
    let later = dribble(client.0.get_mut(), &slow);
    assert!(limit.contains(&later), "{later:?}");

    // Nothing at all comes.
    let mut client = Raw::open(&server);
    client.write(&get("/time/0"));
    client.answer();
    let idle = dribble(client.0.get_mut(), "");
    let limit = Duration::from_secs(2)..Duration::from_secs(8);
    assert!(limit.contains(&idle), "{idle:?}");
}

#[test]
fn a_poller_that_takes_no_answer_costs_only_itself() {
    let server = ServerOptions::new(&["--app", "pubnub"])
        .config("[limits]\noutbound_stall_secs = 1\n")
        .start();
    let message = "x".repeat(30_000);
    let poll = poll(&server, "c", "ann");
    for _ in 0..100 {
        let mut publisher = HttpConnection::open(server.address);
        let body = format!("\"{message}\"");
        let target = "/publish/demo/demo/0/c/0";
        let sent = publisher.request("POST", target, &[], Some(body.as_bytes()));
        assert_eq!(sent.status, 200);
    }
    // Each answer has 3 MB: more than the system keeps for a connection in the end.
    let mut slow = Raw::open(&server);
    slow.write(&poll.repeat(10));
    let mut quick = Raw::open(&server);
    for _ in 0..3 {
        quick.write(&poll);
        assert_eq!(messages(&quick.json()).len(), 100);
    }
    let closed = Instant::now() + SOON;
    // The requests behind those that were taken are not read: writing fails once the server has closed.
    while slow.0.get_mut().write_all(poll.as_bytes()).is_ok() {
        assert!(Instant::now() < closed, "it was never closed");
        thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn a_stop_sends_pollers_home() {
    let mut server = start();
    let mut client = Raw::open(&server);
    client.write(&poll(&server, "c", "ann"));
    // It is held.
    thread::park_timeout(Duration::from_secs(2));
    assert_eq!(here(&server, "c"), json!(["ann"]));
    let mut idle = Raw::open(&server);
    idle.write(&get("/time/0"));
    idle.answer();
    server.process.signal("TERM");
    let (head, body) = client.answer();
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["m"], json!([]));
    client.assert_closed();
    idle.assert_closed();
    assert!(server.process.wait(SOON).success());
}

#[test]
fn polls_are_held_over_tls_too() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = ServerOptions::new(&files.flags()).config(CONFIG).start();
    let mut client = Raw(BufReader::new(connect(server.address, &trusting(&[&pair]))));
    for number in 0..3 {
        client.write(&poll(&server, "c", "ann"));
        eventually_equal(&json!(["ann"]), || here(&server, "c"));
        publish(&server, "c", number);
        assert_eq!(messages(&client.json()), [json!(number)]);
    }
    client.write(&[get("/time/0"), get("/time/0")].concat());
    assert!(client.answer().1.starts_with('[') && client.answer().1.starts_with('['));
    client.write(&poll(&server, "c", "ann"));
    drop(client);
    eventually_equal(&json!([]), || here(&server, "c"));
}
