//! Things that a server must hold, for each protocol: what never ends, what nobody reads, what waits.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::json;

use super::{
    Attack, Progress,
    frames::{get, mqtt_connect, packet_of, upgrade},
};

/// Connections of each attacker.
const CONNECTIONS: usize = 60;

/// How long a write may wait: a server that takes no more has its reasons.
const PATIENCE: Duration = Duration::from_millis(100);

/// Between two looks at the connections.
const PAUSE: Duration = Duration::from_millis(50);

/// One connection that is held, and what it says again and again, if anything.
struct Holder {
    stream: TcpStream,
    again: Vec<u8>,
}

impl Holder {
    fn open(server: SocketAddr, opening: &[u8], again: &[u8], progress: &Progress) -> Option<Self> {
        let mut stream = TcpStream::connect(server).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(opening).ok()?;
        progress.sent(opening.len());
        stream.set_nonblocking(true).ok()?;
        Some(Self {
            stream,
            again: again.to_vec(),
        })
    }

    /// False when the server has ended it.
    fn goes_on(&mut self, progress: &Progress) -> bool {
        if !self.again.is_empty() {
            match self.stream.write(&self.again) {
                Ok(count) => progress.sent(count),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
        // Looks without reading: what it is sent stays with the server.
        !matches!(self.stream.peek(&mut [0]), Ok(0))
    }
}

/// An attack of which each attacker holds many connections, each with what `opening` says of its number.
fn hold(
    name: &'static str,
    again: Vec<u8>,
    opening: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Attack {
    Attack::new(name, move |server, attacker, progress| {
        let mut holders: Vec<Option<Holder>> = (0..CONNECTIONS).map(|_| None).collect();
        let mut ended = 0;
        while !progress.is_over() {
            for (index, holder) in holders.iter_mut().enumerate() {
                if progress.is_over() {
                    break;
                }
                if holder.as_mut().is_some_and(|held| !held.goes_on(progress)) {
                    ended += 1;
                    *holder = None;
                }
                if holder.is_none() {
                    let number = attacker * CONNECTIONS + index;
                    *holder = Holder::open(server, &opening(number), &again, progress);
                }
            }
            std::thread::park_timeout(PAUSE);
        }
        if ended == 0 {
            "open".into()
        } else {
            "some closed".into()
        }
    })
}

/// The beginning of a WebSocket message of a megabyte, all but its end.
fn endless_message() -> Vec<u8> {
    let mut message = upgrade("/connect/websocket", "");
    message.extend([0x01, 0x80 | 127]);
    message.extend(1_000_000_u64.to_be_bytes());
    message.extend([0; 4]);
    message.extend(vec![b'x'; 999_999]);
    message
}

/// The beginning of an MQTT PUBLISH of 250,000 bytes, all but its end.
fn endless_packet() -> Vec<u8> {
    let mut packet = mqtt_connect();
    packet.extend([0x30, 0x90, 0xa1, 0x0f]);
    packet.extend(vec![0; 249_000]);
    packet
}

/// A request whose body of a megabyte does not end.
fn endless_body(target: &str) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n");
    [head.as_bytes(), &vec![b'x'; 999_999]].concat()
}

/// A poll of a thousand channels of its own.
fn wide_poll(number: usize) -> Vec<u8> {
    let channels: Vec<_> = (0..1000)
        .map(|index| format!("wide-{number}-{index}"))
        .collect();
    let channels = channels.join(",");
    let first = get(&format!(
        "/v2/subscribe/demo/{channels}/0?uuid=w{number}&tt=0"
    ));
    let poll = get(&format!(
        "/v2/subscribe/demo/{channels}/0?uuid=w{number}&tt=99999999999999999"
    ));
    (first + &poll).into_bytes()
}

/// Heartbeats of clients that nobody has heard of.
fn new_members(number: usize) -> Vec<u8> {
    let beats = (0..500).map(|index| {
        get(&format!(
            "/v2/presence/sub-key/demo/channel/crowd/heartbeat?uuid=m{number}-{index}"
        ))
    });
    beats.collect::<String>().into_bytes()
}

/// All of them. Each server keeps messages in memory, and the channel `full` holds something to read.
pub fn fills() -> Vec<Attack> {
    let big = "x".repeat(16_000);
    let publish = json!({"action": "publish", "topic": "slow", "message": big});
    let subscribe = json!({"action": "subscribe", "topic": "slow"});
    let pages = get("/v3/history/sub-key/demo/channel/full?max=100").repeat(50);
    let lines = get("/history/v1/channels/full?last=10000").repeat(50);
    let retained = |number: usize| {
        let mut bytes = mqtt_connect();
        for index in 0..20 {
            let topic = format!("kept/{number}/{index}");
            let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
            body.extend(topic.bytes());
            body.extend(vec![b'r'; 16_000]);
            bytes.extend(packet_of(0x31, &body));
        }
        bytes
    };
    vec![
        hold("WebSocket: messages that never end", Vec::new(), |_| {
            endless_message()
        }),
        hold("MQTT: packets that never end", Vec::new(), |_| {
            endless_packet()
        }),
        hold("HTTP: bodies that never end", Vec::new(), |_| {
            endless_body("/api/channels/x/")
        }),
        hold("kn-sock: lines that never end", Vec::new(), |_| {
            let line = r#"{"action":"publish","topic":"x","message":""#;
            [line.as_bytes(), &vec![b'x'; 900_000]].concat()
        }),
        hold(
            "kn-sock: subscribers that read nothing",
            format!("{publish}\n").into_bytes(),
            move |_| format!("{subscribe}\n").into_bytes(),
        ),
        hold("PubNub: polls of 1,000 channels", Vec::new(), wide_poll),
        hold("PubNub: heartbeats of new clients", Vec::new(), new_members),
        hold(
            "PubNub: pages of history that nobody reads",
            Vec::new(),
            move |_| pages.clone().into(),
        ),
        hold("history: lines that nobody reads", Vec::new(), move |_| {
            lines.clone().into()
        }),
        hold("MQTT: retained messages", Vec::new(), retained),
        hold("SockJS: sessions that nobody reads", Vec::new(), |number| {
            let sessions = (0..20).map(|index| {
                format!(
                    "POST /connect/000/{number}-{index}/xhr HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"
                )
            });
            sessions.collect::<String>().into_bytes()
        }),
    ]
}

/// Publishes what there is to read on the channel `full`: 100 messages of 15 KB.
pub fn fill_history(server: SocketAddr) {
    let message = json!({"text": "x".repeat(15_000)}).to_string();
    let mut stream = TcpStream::connect(server).unwrap();
    for _ in 0..100 {
        let request = format!(
            "POST /publish/demo/demo/0/full/0?uuid=f HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{message}",
            message.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let count = stream.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
    }
}
