//! A rolling restart: two nodes on one Redis are stopped and started again, one after the other, while many publish and many
//! listen, and nobody misses anything.
//!
//! `POLYWIRE_ROLLING=CLIENTS,RATE` sets how many clients there are, and how many messages are published in a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client::IntoClientRequest};

use crate::support::{
    Redis, SOON, Server, ServerOptions,
    azure::{AZURE_KEY, RELIABLE_JSON, client_path},
    eventually,
};

/// Clients on one channel.
const CLIENTS_ON_EACH: usize = 15;

/// Messages in a second of one publisher, which waits for each answer.
const RATE_OF_EACH: f64 = 50.0;

/// How long a client may take to have everything, when all is published.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all share: where a balancer would lead clients, and what is published.
struct Scene {
    /// Nodes that say that they are ready.
    ready: Mutex<Vec<SocketAddr>>,
    next: AtomicUsize,
    /// Numbers that were given to messages, by channel.
    numbers: Vec<AtomicU64>,
    /// Messages whose answer was lost, and which were published again.
    repeated: Mutex<BTreeSet<(usize, u64)>>,
    stops: AtomicBool,
    all_published: AtomicBool,
    /// How often clients came back.
    returns: AtomicUsize,
    listening: AtomicUsize,
    since: Instant,
}

impl Scene {
    fn new(channels: usize) -> Self {
        Self {
            ready: Mutex::default(),
            next: AtomicUsize::new(0),
            numbers: (0..channels).map(|_| AtomicU64::new(0)).collect(),
            repeated: Mutex::default(),
            stops: AtomicBool::new(false),
            all_published: AtomicBool::new(false),
            returns: AtomicUsize::new(0),
            listening: AtomicUsize::new(0),
            since: Instant::now(),
        }
    }

    /// A connection to one of the nodes that are ready, in turn.
    fn connect(&self) -> io::Result<TcpStream> {
        let ready = self.ready.lock().unwrap();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let address = *ready
            .get(turn % ready.len().max(1))
            .ok_or(io::ErrorKind::NotConnected)?;
        drop(ready);
        let stream = TcpStream::connect_timeout(&address, SOON)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SOON))?;
        Ok(stream)
    }

    /// Does it until it succeeds, with a pause as clients make it.
    fn again<T>(&self, mut attempt: impl FnMut() -> io::Result<T>) -> T {
        let began = Instant::now();
        loop {
            match attempt() {
                Ok(done) => return done,
                Err(error) => {
                    assert!(began.elapsed() < PATIENCE, "{error}");
                    thread::park_timeout(Duration::from_millis(100));
                }
            }
        }
    }

    /// True when all of a channel has come.
    fn is_all(&self, channel: usize, got: &Got) -> bool {
        let all = self.all_published.load(Ordering::SeqCst);
        all && got.0.len() as u64 == self.numbers[channel].load(Ordering::SeqCst)
    }
}

/// How often each message came.
#[derive(Default)]
struct Got(BTreeMap<u64, u32>);

impl Got {
    fn add(&mut self, data: &Value) {
        if let Some(number) = data.as_u64() {
            *self.0.entry(number).or_default() += 1;
        }
    }

    /// What is missing, and what came more often than it was published; at least once is enough for some.
    fn check(&self, scene: &Scene, who: &str, channel: usize, is_once: bool) {
        let all = scene.numbers[channel].load(Ordering::SeqCst);
        let missing: Vec<_> = (0..all)
            .filter(|number| !self.0.contains_key(number))
            .collect();
        assert!(
            missing.is_empty(),
            "{who}: {} of {all} are missing: {missing:?}",
            missing.len()
        );
        let repeated = scene.repeated.lock().unwrap();
        let doubled = self
            .0
            .iter()
            .filter(|(number, times)| **times > 1 && !repeated.contains(&(channel, **number)));
        let doubled: Vec<_> = doubled.collect();
        assert!(
            !is_once || doubled.is_empty(),
            "{who}: doubled: {doubled:?}"
        );
    }
}

/// A request on a connection that is kept open; the body of the answer, and whether the server goes on with it.
fn get(stream: &mut BufReader<TcpStream>, target: &str) -> io::Result<(Value, bool)> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut length, mut goes_on, mut line) = (0, true, String::new());
    let mut status = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let head = line.trim_end().to_ascii_lowercase();
        if status.is_empty() {
            status = head;
        } else if head.is_empty() {
            break;
        } else if let Some(bytes) = head.strip_prefix("content-length: ") {
            length = bytes.parse().unwrap();
        } else if head == "connection: close" {
            goes_on = false;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    if !status.contains(" 200 ") {
        return Err(io::Error::other(status));
    }
    Ok((serde_json::from_slice(&body)?, goes_on))
}

/// Publishes with a pause, and again what was not answered, until all is over.
fn publish(scene: &Scene, first: usize, publishers: usize, every: Duration) {
    let mut connection = None;
    let (mut due, mut channel) = (Instant::now(), first);
    while !scene.stops.load(Ordering::SeqCst) {
        channel = (channel + publishers) % scene.numbers.len();
        let number = scene.numbers[channel].fetch_add(1, Ordering::SeqCst);
        let mut attempts = 0;
        scene.again(|| {
            attempts += 1;
            if attempts == 2 {
                scene.repeated.lock().unwrap().insert((channel, number));
            }
            let mut open = match connection.take() {
                Some(open) => open,
                None => BufReader::new(scene.connect()?),
            };
            let target = format!("/publish/demo/demo/0/room{channel}/0/{number}");
            let (_, goes_on) = get(&mut open, &target)?;
            connection = goes_on.then_some(open);
            Ok(())
        });
        due += every;
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
    }
}

fn poller(scene: &Scene, channel: usize) {
    let (mut cursor, mut connection, mut got) = (None::<String>, None, Got::default());
    let mut is_first = true;
    while !scene.is_all(channel, &got) {
        let (answer, goes_on, open) = scene.again(|| {
            let mut open = match connection.take() {
                Some(open) => open,
                None => {
                    scene
                        .returns
                        .fetch_add(usize::from(!is_first), Ordering::Relaxed);
                    BufReader::new(scene.connect()?)
                }
            };
            is_first = false;
            let tt = cursor.as_deref().unwrap_or("0");
            let (answer, goes_on) = get(
                &mut open,
                &format!("/v2/subscribe/demo/room{channel}/0?tt={tt}&uuid=p"),
            )?;
            Ok((answer, goes_on, open))
        });
        if cursor.is_none() {
            scene.listening.fetch_add(1, Ordering::SeqCst);
        }
        cursor = answer["t"]["t"].as_str().map(str::to_owned);
        for message in answer["m"].as_array().unwrap() {
            got.add(&message["d"]);
        }
        connection = goes_on.then_some(open);
        assert!(
            scene.since.elapsed() < 4 * PATIENCE,
            "a poller has {}",
            got.0.len()
        );
    }
    got.check(scene, "PubNub", channel, true);
}

fn websocket(scene: &Scene, path: &str) -> io::Result<WebSocket<TcpStream>> {
    let stream = scene.connect()?;
    let mut request = format!("ws://t{path}").into_client_request().unwrap();
    let offer = RELIABLE_JSON.parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offer);
    let opened = tungstenite::client(request, stream);
    opened
        .map(|(socket, _)| socket)
        .map_err(|error| io::Error::other(error.to_string()))
}

fn azure(scene: &Scene, channel: usize) {
    let path = client_path(&json!({"sub": "ann", "webpubsub.group": [format!("room{channel}")]}));
    let mut socket = scene.again(|| websocket(scene, &path));
    let (mut got, mut last) = (Got::default(), 0);
    let (mut id, mut token) = (String::new(), String::new());
    while !scene.is_all(channel, &got) {
        let frame = match socket.read() {
            Ok(Message::Text(text)) => serde_json::from_str::<Value>(&text).unwrap(),
            Ok(Message::Close(Some(close))) => {
                assert_eq!(u16::from(close.code), 1012, "{close:?}");
                Value::Null
            }
            Ok(_) => continue,
            Err(_) => Value::Null,
        };
        match frame["type"].as_str() {
            Some("system") if frame["event"] == "connected" => {
                if id.is_empty() {
                    scene.listening.fetch_add(1, Ordering::SeqCst);
                }
                id = frame["connectionId"].as_str().unwrap().to_owned();
                token = frame["reconnectionToken"].as_str().unwrap().to_owned();
            }
            Some("message") => {
                let number = frame["sequenceId"].as_u64().unwrap();
                if number > last {
                    assert_eq!(number, last + 1, "a number is left out");
                    last = number;
                    got.add(&frame["data"]);
                }
                if number % 50 == 0 {
                    let ack = json!({"type": "sequenceAck", "sequenceId": number});
                    let _ = socket.send(Message::text(ack.to_string()));
                }
            }
            _ => {
                assert!(
                    scene.since.elapsed() < 4 * PATIENCE,
                    "an Azure client has {}",
                    got.0.len()
                );
                scene.returns.fetch_add(1, Ordering::Relaxed);
                let path = format!(
                    "/client/hubs/default?awps_connection_id={id}&awps_reconnection_token={token}"
                );
                socket = scene.again(|| websocket(scene, &path));
            }
        }
    }
    got.check(scene, "Azure", channel, true);
}

fn packet(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; head[1].into()];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}

/// A connection to a session of MQTT 3.1.1 that is kept, subscribed at QoS 1 where it is new.
fn session(scene: &Scene, id: &str, channel: usize) -> io::Result<TcpStream> {
    let mut stream = scene.connect()?;
    let text = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
    let send = |first: u8, body: &[u8]| [&[first, body.len() as u8], body].concat();
    let connect = [b"\0\x04MQTT\x04\0\0\0".to_vec(), text(id)].concat();
    stream.write_all(&send(0x10, &connect))?;
    let (first, answer) = packet(&mut stream)?;
    if (first, answer[1]) != (0x20, 0) {
        return Err(io::Error::other(format!("refused: {answer:?}")));
    }
    if answer[0] == 0 {
        let filter = [vec![0, 1], text(&format!("room{channel}")), vec![1]].concat();
        stream.write_all(&send(0x82, &filter))?;
        packet(&mut stream)?;
    }
    Ok(stream)
}

fn mqtt(scene: &Scene, id: &str, channel: usize) {
    let mut got = Got::default();
    let mut stream = scene.again(|| session(scene, id, channel));
    scene.listening.fetch_add(1, Ordering::SeqCst);
    while !scene.is_all(channel, &got) {
        match packet(&mut stream) {
            Ok((first, body)) if first & 0xf0 == 0x30 => {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let (packet_id, payload) = body[2 + topic..].split_at(2);
                got.add(&serde_json::from_slice(payload).unwrap());
                let _ = stream.write_all(&[&[0x40, 2], packet_id].concat());
            }
            Ok(_) => {}
            Err(_) => {
                assert!(
                    scene.since.elapsed() < 4 * PATIENCE,
                    "an MQTT client has {}",
                    got.0.len()
                );
                scene.returns.fetch_add(1, Ordering::Relaxed);
                stream = scene.again(|| session(scene, id, channel));
            }
        }
    }
    // At QoS 1 what was under way may come again.
    got.check(scene, "MQTT", channel, false);
}

fn node(redis: &Redis) -> Server {
    let config = format!(
        "persistence = \"redis\"\n[shutdown]\nready_secs = 1\ndrain_secs = 2\n[apps.webpubsub]\naccess_key = \"{AZURE_KEY}\"\n"
    );
    let server = ServerOptions::new(&["--backend", &redis.url()])
        .config(&config)
        .start();
    server.publish_when_ready("/api/channels/ready/", &json!({}));
    server
}

/// What a balancer does: new connections go to nodes that say that they are ready.
fn is_ready(server: &Server) -> bool {
    server.get("/health/ready").status == 200
}

fn restart(scene: &Scene, redis: &Redis, server: &mut Server) {
    server.process.signal("TERM");
    eventually("it is not ready", SOON, || {
        (!is_ready(server)).then_some(())
    });
    scene
        .ready
        .lock()
        .unwrap()
        .retain(|address| *address != server.address);
    assert!(server.process.wait(2 * SOON).success());
    *server = node(redis);
    eventually("it is ready", SOON, || is_ready(server).then_some(()));
    scene.ready.lock().unwrap().push(server.address);
}

fn settings() -> (usize, f64) {
    let Ok(text) = std::env::var("POLYWIRE_ROLLING") else {
        return (60, 100.0);
    };
    let (clients, rate) = text.split_once(',').unwrap();
    (clients.parse().unwrap(), rate.parse().unwrap())
}

#[test]
fn nobody_misses_anything() {
    let (clients, rate) = settings();
    let redis = Redis::start();
    let mut nodes = [node(&redis), node(&redis)];
    let scene = Scene::new(clients.div_ceil(CLIENTS_ON_EACH));
    scene
        .ready
        .lock()
        .unwrap()
        .extend(nodes.iter().map(|node| node.address));
    let publishers = (rate / RATE_OF_EACH).ceil() as usize;
    let every = Duration::from_secs_f64(publishers as f64 / rate);
    thread::scope(|scope| {
        let scene = &scene;
        for client in 0..clients {
            let channel = client / CLIENTS_ON_EACH;
            scope.spawn(move || match client % 3 {
                0 => poller(scene, channel),
                1 => azure(scene, channel),
                _ => mqtt(scene, &format!("m{client}"), channel),
            });
        }
        eventually("all listen", PATIENCE, || {
            (scene.listening.load(Ordering::SeqCst) == clients).then_some(())
        });
        let publishing: Vec<_> = (0..publishers)
            .map(|publisher| scope.spawn(move || publish(scene, publisher, publishers, every)))
            .collect();
        for node in &mut nodes {
            restart(scene, &redis, node);
        }
        scene.stops.store(true, Ordering::SeqCst);
        for publisher in publishing {
            publisher.join().unwrap();
        }
        // One more message wakes everybody, who then has everything.
        let last: Vec<_> = (scene.numbers.iter())
            .map(|number| number.fetch_add(1, Ordering::SeqCst))
            .collect();
        scene.all_published.store(true, Ordering::SeqCst);
        for (channel, number) in last.iter().enumerate() {
            let target = format!("/publish/demo/demo/0/room{channel}/0/{number}");
            assert_eq!(nodes[0].get(&target).status, 200);
        }
    });
    let numbers = scene
        .numbers
        .iter()
        .map(|number| number.load(Ordering::SeqCst));
    println!(
        "{clients} clients, {} messages in {:?}: {} returns, {} published again",
        numbers.sum::<u64>(),
        scene.since.elapsed(),
        scene.returns.load(Ordering::Relaxed),
        scene.repeated.lock().unwrap().len()
    );
    assert!(
        scene.returns.load(Ordering::Relaxed) >= clients,
        "each was sent away"
    );
}
