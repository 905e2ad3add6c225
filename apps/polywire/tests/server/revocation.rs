//! The end of rights while clients are connected: a thousand of them, by every protocol, on two nodes with one Redis.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use memchr::memmem;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{self, Runtime},
    sync::Semaphore,
};

use crate::{
    command_line::run,
    support::{HttpConnection, RECOVERY, Redis, Server, ServerOptions, azure, eventually},
};

const SECRET: &str = "a secret of 32 bytes at least, for tokens";

/// How many are connected.
const CONNECTIONS: usize = 1000;

/// Every door takes a credential.
fn config(persistence: &str) -> String {
    format!(
        "
        auth = 'jwt'
        persistence = '{persistence}'
        [limits]
        history_reads_max = 1000
        history_reads_per_address_max = 1000
        [jwt]
        leeway_secs = 0
        [[jwt.keys]]
        algorithm = 'HS256'
        secret = '{SECRET}'
        [apps.seth]
        authenticate_connect = true
        [apps.knsock]
        authenticate = true
        [apps.emitter]
        authenticate = true
        face = 'plain'
        [apps.webpubsub]
        access_key = '{}'
        [apps.pubnub]
        authenticate = true
        hold_secs = 600
        [[apps.pubnub.key_sets]]
        publish_key = 'pub'
        subscribe_key = 'sub'
        ",
        azure::AZURE_KEY
    )
}

fn token(claims: &Value) -> String {
    let mut all = json!({"iat": azure::in_secs(-60), "exp": azure::in_secs(600)});
    let claims = claims.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(claims);
    azure::token_of(&json!({"alg": "HS256", "typ": "JWT"}), &all, SECRET)
}

fn operator() -> String {
    let rights = json!({"write": "*", "manage": "*"});
    format!(
        "Bearer {}",
        token(&json!({"sub": "operator", "rights": rights}))
    )
}

/// A way to be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Seth,
    Lines,
    Mqtt5,
    Mqtt3,
    PubNub,
    Azure,
    History,
}

const WAYS: [Way; 7] = [
    Way::Seth,
    Way::Lines,
    Way::Mqtt5,
    Way::Mqtt3,
    Way::PubNub,
    Way::Azure,
    Way::History,
];

/// Who connects.
#[derive(Debug, Clone)]
struct Who {
    client: &'static str,
    credential: String,
    /// Seconds from now on.
    ends_in: i64,
}

impl Who {
    fn token(&self, way: Way) -> String {
        let mut claims = json!({
            "sub": self.client, "jti": self.credential, "exp": azure::in_secs(self.ends_in),
        });
        if way == Way::Azure {
            // Counts half a minute longer than it says.
            claims["exp"] = azure::in_secs(self.ends_in - 30).into();
            claims["iat"] = azure::in_secs(-60).into();
            claims["aud"] = "http://any.host/client/hubs/default".into();
            claims["role"] = "webpubsub.joinLeaveGroup".into();
            return azure::token(&claims);
        }
        claims["rights"] = json!({"read": "*", "write": "settle/#"});
        token(&claims)
    }
}

/// What a client has seen.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    /// Up to where marks were looked for.
    looked: usize,
    marks: Vec<usize>,
    /// When it was told, or closed, and what it had seen by then.
    told: Option<(Instant, usize)>,
    is_closed: bool,
}

/// What is published: a word and four digits, which stands like that in the bytes of every protocol.
fn mark(number: usize) -> String {
    format!("mark-{number:04}")
}

impl Seen {
    fn add(&mut self, way: Way, reason: &Reason, bytes: &[u8]) {
        self.bytes.extend(bytes);
        while let Some(at) = memmem::find(&self.bytes[self.looked..], b"mark-") {
            let digits = self.looked + at + 5;
            let Some(number) = self.bytes.get(digits..digits + 4) else {
                break;
            };
            let number = std::str::from_utf8(number).unwrap();
            self.marks.push(number.parse().unwrap());
            self.looked = digits + 4;
        }
        if self.told.is_none() {
            let from = self.bytes.len().saturating_sub(bytes.len() + 200);
            let found = way
                .farewell(reason)
                .and_then(|farewell| memmem::find(&self.bytes[from..], &farewell));
            self.told = found.map(|at| (Instant::now(), from + at));
        }
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.told.get_or_insert((Instant::now(), self.bytes.len()));
    }
}

impl Seen {
    /// It was told in the words of its protocol, and got nothing afterwards.
    #[track_caller]
    fn expect_told(&self, way: Way, reason: &Reason) {
        let (_, at) = self.told.unwrap();
        let farewell = way.farewell(reason).unwrap_or_default();
        let rest = &self.bytes[at..];
        assert!(rest.starts_with(&farewell), "{way:?}: {rest:?}");
        assert!(memmem::find(rest, b"mark-").is_none(), "{way:?}: {rest:?}");
    }
}

/// What clients are told.
struct Reason {
    code: u16,
    words: &'static str,
    mqtt: u8,
}

const REVOKED: Reason = Reason {
    code: 4003,
    words: "Your rights were taken back",
    mqtt: 0x87,
};

const EXPIRED: Reason = Reason {
    code: 4001,
    words: "Your credentials have expired",
    mqtt: 0x87,
};

impl Way {
    /// What the client reads last; `None` where it is a close and nothing else.
    fn farewell(self, reason: &Reason) -> Option<Vec<u8>> {
        let words = reason.words.as_bytes();
        match self {
            Self::Seth => Some([&reason.code.to_be_bytes(), words].concat()),
            Self::Lines | Self::Mqtt3 => None,
            // DISCONNECT with this reason code, and in words.
            Self::Mqtt5 => {
                let words = "your rights have ended, or were taken back";
                let text = [&[0x1f][..], &mqtt_text(words)].concat();
                let length = u8::try_from(text.len()).unwrap();
                Some([&[reason.mqtt, length][..], &text].concat())
            }
            // What its client is answered next.
            Self::PubNub => Some(b"HTTP/1.1 403".to_vec()),
            Self::Azure => {
                let frame = format!(r#""event":"disconnected","message":"{}""#, reason.words);
                Some(frame.into_bytes())
            }
            Self::History => Some(format!("{{\"error\":\"{}.\"}}\n", reason.words).into_bytes()),
        }
    }
}

/// A WebSocket frame, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

fn upgrade(path: &str, headers: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
    .into_bytes()
}

fn mqtt_packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut left = body.len();
    while left >= 128 {
        packet.push(u8::try_from(left % 128).unwrap() | 128);
        left /= 128;
    }
    packet.push(u8::try_from(left).unwrap());
    packet.extend(body);
    packet
}

fn mqtt_text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// A connection that is being made.
struct Opening {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Opening {
    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until this has come.
    async fn until(&mut self, wanted: &[u8]) {
        while memmem::find(&self.read, wanted).is_none() {
            let count = self.stream.read_buf(&mut self.read).await.unwrap();
            let read = String::from_utf8_lossy(&self.read);
            assert!(count > 0, "closed after {read}");
        }
    }
}

/// One client.
struct Client {
    way: Way,
    who: Who,
    node: SocketAddr,
    number: usize,
    reason: &'static Reason,
    seen: Arc<Mutex<Seen>>,
    is_open: Arc<AtomicBool>,
}

impl Client {
    /// Connects, joins `room`, and reads until the server closes.
    async fn run(self, turn: Arc<Semaphore>) {
        let permit = turn.acquire().await.unwrap();
        let stream = TcpStream::connect(self.node).await.unwrap();
        let mut opening = Opening {
            stream,
            read: Vec::new(),
        };
        let token = self.who.token(self.way);
        if self.way == Way::PubNub {
            let target = format!(
                "/v2/subscribe/sub/room/0?uuid={}&auth={token}",
                self.who.client
            );
            let (_, body) = poll(&mut opening.stream, &target, "0").await;
            drop(permit);
            return self.poll_on(opening.stream, &target, cursor(&body)).await;
        }
        self.join(&mut opening, &token).await;
        drop(permit);
        let Opening { mut stream, read } = opening;
        self.take(&read);
        self.is_open.store(true, Ordering::Release);
        let mut bytes = vec![0; 4096];
        loop {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => break self.seen.lock().close(),
                Ok(count) => self.take(&bytes[..count]),
            }
            let is_history = self.way == Way::History;
            if is_history && self.seen.lock().bytes.ends_with(b"0\r\n\r\n") {
                // The answer ends; the connection may be used again.
                break self.seen.lock().close();
            }
        }
    }

    fn take(&self, bytes: &[u8]) {
        self.seen.lock().add(self.way, self.reason, bytes);
    }

    async fn join(&self, to: &mut Opening, token: &str) {
        let bearer = format!("Authorization: Bearer {token}\r\n");
        match self.way {
            Way::Seth => {
                to.write(upgrade("/connect/websocket", &bearer)).await;
                to.until(b"\r\n\r\n").await;
                to.write(frame(r#"{"type":"subscribe","channel":"room"}"#))
                    .await;
                to.until(b"subscribed to room").await;
            }
            Way::Lines => {
                let own = format!("settle/{}", self.number);
                for line in [
                    json!({"action": "auth", "token": token}),
                    json!({"action": "subscribe", "topic": "room"}),
                    json!({"action": "subscribe", "topic": own}),
                    json!({"action": "publish", "topic": own, "message": "settled"}),
                ] {
                    to.write(format!("{line}\n")).await;
                }
                to.until(b"settled").await;
            }
            Way::Mqtt5 | Way::Mqtt3 => {
                let is_5 = self.way == Way::Mqtt5;
                let properties: &[u8] = if is_5 { &[0] } else { &[] };
                let id = format!("client-{}", self.number);
                let body = [
                    &mqtt_text("MQTT")[..],
                    &[if is_5 { 5 } else { 4 }, 0xc2, 0, 0],
                    properties,
                    &mqtt_text(&id),
                    &mqtt_text(""),
                    &mqtt_text(token),
                ];
                to.write(mqtt_packet(0x10, &body.concat())).await;
                to.until(&[0x20]).await;
                let body = [&[0, 1][..], properties, &mqtt_text("room"), &[0]].concat();
                to.write(mqtt_packet(0x82, &body)).await;
                let answer = [
                    &[0x90, if is_5 { 4 } else { 3 }, 0, 1][..],
                    properties,
                    &[0],
                ];
                to.until(&answer.concat()).await;
            }
            Way::Azure => {
                let path = format!("/client/hubs/default?access_token={token}");
                let protocol = format!("Sec-WebSocket-Protocol: {}\r\n", azure::JSON);
                to.write(upgrade(&path, &protocol)).await;
                to.until(b"connectionId").await;
                to.write(frame(r#"{"type":"joinGroup","group":"room","ackId":1}"#))
                    .await;
                to.until(br#""success":true"#).await;
            }
            Way::History => {
                let path = "/history/v1/channels/room?last=0&follow=true";
                to.write(format!("GET {path} HTTP/1.1\r\nHost: here\r\n{bearer}\r\n"))
                    .await;
                to.until(b"\r\n\r\n").await;
                assert!(to.read.starts_with(b"HTTP/1.1 200"));
            }
            Way::PubNub => {}
        }
    }

    /// Polls until that is refused.
    async fn poll_on(self, mut stream: TcpStream, target: &str, mut at: String) {
        self.is_open.store(true, Ordering::Release);
        loop {
            let (status, body) = poll(&mut stream, target, &at).await;
            let head = format!("HTTP/1.1 {status}\n");
            self.take(&[head.as_bytes(), &body].concat());
            if status != 200 {
                break self.seen.lock().close();
            }
            let next = cursor(&body);
            assert!(next >= at, "the cursor went back");
            at = next;
        }
    }
}

fn cursor(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["t"]["t"].as_str().unwrap().to_owned()
}

async fn poll(stream: &mut TcpStream, target: &str, at: &str) -> (u16, Vec<u8>) {
    let request = format!("GET {target}&tt={at} HTTP/1.1\r\nHost: here\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    loop {
        if let Some(end) = memmem::find(&read, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length = length.unwrap_or_else(|| panic!("no length: {head}"));
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if read.len() >= end + 4 + length {
                return (head[9..12].parse().unwrap(), read.split_off(end + 4));
            }
        }
        let count = stream.read_buf(&mut read).await.unwrap();
        assert!(count > 0, "closed without an answer");
    }
}

/// Clients of a test.
struct Clients {
    all: Vec<(Way, Who, Arc<Mutex<Seen>>)>,
    // Ends them.
    _runtime: Runtime,
}

impl Clients {
    /// Connects; returns when all have joined.
    fn connect(who: impl Iterator<Item = (Way, Who, SocketAddr)>, reason: &'static Reason) -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let turn = Arc::new(Semaphore::new(50));
        let (mut all, mut open) = (Vec::new(), Vec::new());
        for (number, (way, who, node)) in who.enumerate() {
            let client = Client {
                way,
                who: who.clone(),
                node,
                number,
                reason,
                seen: Arc::default(),
                is_open: Arc::default(),
            };
            all.push((way, who, client.seen.clone()));
            open.push(client.is_open.clone());
            runtime.spawn(client.run(turn.clone()));
        }
        eventually("all have joined", RECOVERY * 2, || {
            let mut open = open.iter();
            open.all(|is_open| is_open.load(Ordering::Acquire))
                .then_some(())
        });
        Self {
            all,
            _runtime: runtime,
        }
    }

    fn wait_until(&self, what: &str, is: impl Fn(&Who, &Seen) -> bool) {
        eventually(what, RECOVERY, || {
            let mut all = self.all.iter();
            all.all(|(_, who, seen)| is(who, &seen.lock()))
                .then_some(())
        });
    }

    /// The longest time until one that connected in this way was told.
    fn slowest(&self, way: Way, since: Instant) -> Option<Duration> {
        let these = self.all.iter().filter(|(other, ..)| *other == way);
        let told = these.filter_map(|(_, _, seen)| seen.lock().told);
        told.map(|(at, _)| at - since).max()
    }
}

/// Publishes marks on the nodes in turn.
struct Publisher {
    nodes: Vec<HttpConnection>,
    bearer: String,
    next: usize,
}

impl Publisher {
    fn new(nodes: &[SocketAddr]) -> Self {
        Self {
            nodes: nodes
                .iter()
                .map(|node| HttpConnection::open(*node))
                .collect(),
            bearer: operator(),
            next: 0,
        }
    }

    fn publish(&mut self) {
        let count = self.nodes.len();
        let text = json!({"mark": mark(self.next)}).to_string();
        let headers = [("Authorization", &*self.bearer)];
        let node = &mut self.nodes[self.next % count];
        let answer = node.request(
            "POST",
            "/api/channels/room/",
            &headers,
            Some(text.as_bytes()),
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        self.next += 1;
    }
}

fn wait_until_ready(node: &Server) {
    let headers = [("Authorization", &*operator())];
    eventually("the server has found its Redis", RECOVERY, || {
        let answer = node.request("POST", "/api/channels/ready/", &headers, Some(b"{}"));
        (answer.status == 200).then_some(())
    });
}

#[test]
fn of_a_thousand_connections_on_two_nodes_the_revoked_end_and_no_other() {
    let redis = Redis::start();
    let start = || {
        ServerOptions::new(&["--backend", &redis.url()])
            .config(&config("redis"))
            .start()
    };
    let nodes = [start(), start()];
    nodes.iter().for_each(wait_until_ready);
    let addresses = nodes.each_ref().map(|node| node.address);
    // Ann is revoked, and one credential of Cleo, who has others.
    let clients = Clients::connect(
        (0..CONNECTIONS).map(|number| {
            let (way, node) = (WAYS[number % 7], addresses[number / 7 % 2]);
            let (client, credential) = match number / 14 % 4 {
                0 => ("ann", format!("of-ann-{number}")),
                1 => ("cleo", "lost".to_owned()),
                2 => ("cleo", format!("of-cleo-{number}")),
                _ => ("bob", format!("of-bob-{number}")),
            };
            let who = Who {
                client,
                credential,
                ends_in: 600,
            };
            (way, who, node)
        }),
        &REVOKED,
    );
    let is_revoked = |who: &Who| who.client == "ann" || who.credential == "lost";
    let mut publisher = Publisher::new(&addresses);
    (0..10).for_each(|_| publisher.publish());
    clients.wait_until("all have got it", |_, seen| seen.marks.len() == 10);

    let is_over = Arc::new(AtomicBool::new(false));
    let publishing = {
        let is_over = is_over.clone();
        thread::spawn(move || {
            while !is_over.load(Ordering::Acquire) {
                publisher.publish();
                thread::park_timeout(Duration::from_millis(50));
            }
            publisher
        })
    };
    let header = format!("Authorization: {}", operator());
    let began = Instant::now();
    for what in [["--client", "ann"], ["--credential", "lost"]] {
        let mut args = vec!["revoke"];
        args.extend(what);
        let url = nodes[0].url();
        args.extend(["--server", &url, "--header", &header]);
        let output = run(&args);
        assert!(output.status.success(), "{output:?}");
    }
    let ordered = began.elapsed();
    clients.wait_until("all are told", |who, seen| {
        !is_revoked(who) || seen.told.is_some() && seen.is_closed
    });
    is_over.store(true, Ordering::Release);
    let mut publisher = publishing.join().unwrap();
    (0..10).for_each(|_| publisher.publish());
    let count = publisher.next;
    clients.wait_until("the others get all of it", |who, seen| {
        is_revoked(who) || seen.marks.len() >= count
    });

    println!("both commands took {ordered:?}");
    for way in WAYS {
        let slowest = clients.slowest(way, began).unwrap();
        println!("{way:?}: told {slowest:?} after the first command began");
    }
    let mut silent = 0;
    for (way, who, seen) in &clients.all {
        let seen = seen.lock();
        if is_revoked(who) {
            let is_silent = seen.told.is_some_and(|(_, at)| at == seen.bytes.len());
            if *way == Way::Mqtt5 && is_silent {
                // A close is enough by the specification; nearly all are told first.
                silent += 1;
                continue;
            }
            seen.expect_told(*way, &REVOKED);
        } else {
            assert!(seen.told.is_none() && !seen.is_closed, "{way:?} {who:?}");
            let mut marks = seen.marks.clone();
            marks.sort_unstable();
            assert_eq!(marks, (0..count).collect::<Vec<_>>(), "{way:?} {who:?}");
        }
    }
    assert!(silent < 4, "{silent} of MQTT 5 were closed without a word");
}

#[test]
fn each_protocol_tells_when_a_credential_ends() {
    let server = ServerOptions::new(&[]).config(&config("memory")).start();
    let ends = azure::in_secs(4);
    let clients = Clients::connect(
        WAYS.into_iter().map(|way| {
            let who = Who {
                client: "ann",
                credential: "short".into(),
                ends_in: ends - azure::in_secs(0),
            };
            (way, who, server.address)
        }),
        &EXPIRED,
    );
    let end = UNIX_EPOCH + Duration::from_secs(ends.try_into().unwrap());
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    let end = Instant::now() + left;
    clients.wait_until("all are told", |_, seen| {
        seen.told.is_some() && seen.is_closed
    });
    for (way, _, seen) in &clients.all {
        let seen = seen.lock();
        seen.expect_told(*way, &EXPIRED);
        let (at, _) = seen.told.unwrap();
        let late = at.checked_duration_since(end);
        let late = late.unwrap_or_else(|| panic!("{way:?} was told before its end"));
        println!("{way:?}: told {late:?} after the end");
    }
    Publisher::new(&[server.address]).publish();
    for (way, _, seen) in &clients.all {
        let marks = &seen.lock().marks;
        assert!(marks.is_empty(), "{way:?}: {marks:?}");
    }
}

/// Over HTTP the session is closed as over WebSocket, in the frame of each transport.
#[test]
fn sessions_of_sockjs_over_http_are_told() {
    let server = ServerOptions::new(&[]).config(&config("memory")).start();
    let ann = Who {
        client: "ann",
        credential: "of-ann".into(),
        ends_in: 600,
    };
    let bearer = format!("Bearer {}", ann.token(Way::Seth));
    let headers = [("Authorization", &*bearer)];
    let request = |method: &str, path: &str| {
        let mut connection = HttpConnection::open(server.address);
        let head = format!(
            "{method} /connect/000/{path} HTTP/1.1\r\nHost: here\r\nAuthorization: {bearer}\r\nContent-Length: 0\r\n\r\n"
        );
        connection.write(head.as_bytes()).unwrap();
        connection
    };
    let opened = request("POST", "polls/xhr").answer(false);
    assert_eq!(opened.text(), "o\n");
    let mut held = vec![
        request("POST", "streams/xhr_streaming"),
        request("GET", "events/eventsource"),
    ];
    for session in ["polls", "streams", "events"] {
        let join = br#"["{\"type\":\"subscribe\",\"channel\":\"room\"}"]"#;
        let target = format!("/connect/000/{session}/xhr_send");
        eventually("the session is there", RECOVERY, || {
            let sent = server.request("POST", &target, &headers, Some(join));
            (sent.status == 204).then_some(())
        });
    }
    // It hears of all three.
    let mut notices = 0;
    while notices < 3 {
        let answer = request("POST", "polls/xhr").answer(false);
        notices += answer.text().matches("subscribed to room").count();
    }
    let mut poll = request("POST", "polls/xhr");
    let frame = format!("c[{},{:?}]\n", REVOKED.code, REVOKED.words);
    let header = format!("Authorization: {}", operator());
    let url = server.url();
    let output = run(&[
        "revoke", "--client", "ann", "--server", &url, "--header", &header,
    ]);
    assert!(output.status.success(), "{output:?}");
    let events = held.pop().unwrap().answer(false);
    assert!(
        events
            .text()
            .contains(&format!("data: {}", frame.trim_end())),
        "{events:?}"
    );
    let stream = held.pop().unwrap().answer(false);
    assert!(stream.text().ends_with(&frame), "{stream:?}");
    let poll = poll.answer(false);
    assert_eq!(poll.text(), frame);
}
