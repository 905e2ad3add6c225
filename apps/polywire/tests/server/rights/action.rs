//! The actions of each protocol, as raw requests.

use std::{
    io::Write,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use super::{Needs, Outcome, policy::Shown};
use crate::support::{LineSocket, RECOVERY, Server, azure::AzureClient, eventually};

/// An action of a protocol, on a channel.
pub(super) struct Action {
    pub(super) protocol: &'static str,
    pub(super) name: &'static str,
    pub(super) needs: Needs,
    pub(super) attempt: fn(&Server, &Shown, &str) -> Outcome,
}

/// Every one.
pub(super) const ACTIONS: &[Action] = &[
    action("Seth-Pusher", "subscribe", Needs::Read, seth),
    action("Seth-Pusher", "publish", Needs::Write, seth_publish),
    action("kn-sock", "subscribe", Needs::Read, lines_subscribe),
    action("kn-sock", "publish", Needs::Write, lines_publish),
    action("MQTT", "subscribe", Needs::Read, |server, shown, name| {
        mqtt(server, shown, &Mqtt::Subscribe(name))
    }),
    action(
        "MQTT",
        "subscribe to all beside it",
        Needs::ReadBelow,
        |server, shown, name| {
            let (level, _) = name.rsplit_once('/').unwrap();
            mqtt(server, shown, &Mqtt::Subscribe(&format!("{level}/#")))
        },
    ),
    action("MQTT", "publish", Needs::Write, |server, shown, name| {
        mqtt(server, shown, &Mqtt::Publish(name))
    }),
    action("PubNub", "subscribe", Needs::Read, |server, shown, name| {
        pubnub(
            server,
            shown,
            &format!("/v2/subscribe/sub/{}/0?tt=0", in_path(name)),
        )
    }),
    action("PubNub", "publish", Needs::Write, |server, shown, name| {
        pubnub(
            server,
            shown,
            &format!("/publish/pub/sub/0/{}/0/1?", in_path(name)),
        )
    }),
    action(
        "PubNub",
        "who is there",
        Needs::Presence,
        |server, shown, name| {
            pubnub(
                server,
                shown,
                &format!("/v2/presence/sub-key/sub/channel/{}?", in_path(name)),
            )
        },
    ),
    action(
        "PubNub",
        "history",
        Needs::History,
        |server, shown, name| {
            pubnub(
                server,
                shown,
                &format!("/v2/history/sub-key/sub/channel/{}?count=1", in_path(name)),
            )
        },
    ),
    action("PubNub", "delete", Needs::Delete, |server, shown, name| {
        let target = format!("/v3/history/sub-key/sub/channel/{}?uuid=u", in_path(name));
        http(server, shown, "DELETE", &with_auth(&target, shown), None)
    }),
    action(
        "history API",
        "read",
        Needs::History,
        |server, shown, name| {
            let target = format!("/history/v1/channels/{}", in_path(name));
            http(server, shown, "GET", &target, None)
        },
    ),
    action(
        "history API",
        "follow",
        Needs::FollowHistory,
        |server, shown, name| {
            let target = format!("/history/v1/channels/{}?last=0", in_path(name));
            follow(server, shown, &target)
        },
    ),
    action(
        "admin API",
        "disconnect",
        Needs::ManageEverything,
        |server, shown, _| {
            let nobody = r#"{"client":"nobody"}"#;
            http(server, shown, "POST", "/admin/v1/disconnect", Some(nobody))
        },
    ),
];

const fn action(
    protocol: &'static str,
    name: &'static str,
    needs: Needs,
    attempt: fn(&Server, &Shown, &str) -> Outcome,
) -> Action {
    Action {
        protocol,
        name,
        needs,
        attempt,
    }
}

/// A name as a part of a path.
pub(super) fn in_path(name: &str) -> String {
    name.replace('%', "%25")
        .replace('/', "%2F")
        .replace('$', "%24")
}

fn seth_publish(server: &Server, shown: &Shown, channel: &str) -> Outcome {
    let target = format!("/api/channels/{}/", in_path(channel));
    http(server, shown, "POST", &target, Some("{}"))
}

/// The answer to a stream that does not end by itself: its head.
fn follow(server: &Server, shown: &Shown, target: &str) -> Outcome {
    use std::io::{BufRead, BufReader};
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(crate::support::SOON)).unwrap();
    let mut request = format!(
        "GET {target}&follow=true&{} HTTP/1.1\r\nHost: test\r\n",
        shown.query
    );
    for (name, value) in shown.headers() {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all((request + "\r\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    outcome(line.split(' ').nth(1).unwrap().parse().unwrap())
}

fn outcome(status: u16) -> Outcome {
    match status {
        200 => Outcome::Done,
        // PubNub calls names that nobody can use invalid.
        400 | 401 | 403 => Outcome::Refused,
        status => panic!("status {status}"),
    }
}

pub(super) fn http(
    server: &Server,
    shown: &Shown,
    method: &str,
    target: &str,
    body: Option<&str>,
) -> Outcome {
    let joint = if target.contains('?') { '&' } else { '?' };
    let target = format!("{target}{joint}{}", shown.query);
    let mut headers = shown.headers();
    headers.push(("Content-Type", "application/json"));
    let answer = server.request(method, &target, &headers, body.map(str::as_bytes));
    outcome(answer.status)
}

fn with_auth(target: &str, shown: &Shown) -> String {
    match &shown.token {
        Some(token) => format!("{target}&auth={}", token.replace(' ', "%20")),
        None => target.to_owned(),
    }
}

/// PubNub shows its credential as `auth`.
pub(super) fn pubnub(server: &Server, shown: &Shown, target: &str) -> Outcome {
    let target = with_auth(&format!("{target}&uuid=u"), shown);
    outcome(server.get(&target).status)
}

/// A name that no other attempt uses.
fn probe() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    format!("probe/{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Subscribes over a raw WebSocket.
pub(super) fn seth(server: &Server, shown: &Shown, channel: &str) -> Outcome {
    let path = format!("/connect/websocket?{}", shown.query);
    let opened = AzureClient::try_open(server.address, &path, "", &shown.headers());
    let mut client = match opened {
        Ok(client) => client,
        Err(status) => return outcome(status),
    };
    client.send(&json!({"type": "subscribe", "channel": channel}));
    loop {
        let message = client.receive();
        match message["message"]["type"].as_str() {
            Some("error") => return Outcome::Refused,
            Some("subscribe") => return Outcome::Done,
            _ => {}
        }
    }
}

/// A kn-sock connection that has shown its credential.
pub(super) fn lines(server: &Server, shown: &Shown) -> LineSocket {
    let socket = LineSocket::open(server.address);
    if let Some(token) = &shown.token {
        say(&socket, &[json!({"action": "auth", "token": token})]);
    }
    socket
}

/// Sends lines, where the server has not closed the connection already.
fn say(socket: &LineSocket, lines: &[Value]) {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let _ = socket.tcp().write_all(lines.as_bytes());
}

/// How many are on a channel, as the operator sees it.
fn count(server: &Server, channel: &str) -> u64 {
    let target = format!("/debug/channels/{}/", in_path(channel));
    let answer = server.request("GET", &target, &Shown::operator().headers(), None);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["subscriber_count"].as_u64().unwrap()
}

/// There are no answers: it is seen who is there, once a later line has had its effect, or the connection is closed.
fn lines_subscribe(server: &Server, shown: &Shown, channel: &str) -> Outcome {
    eventually("everybody has left", RECOVERY, || {
        (count(server, channel) == 0).then_some(())
    });
    let (socket, probe) = (lines(server, shown), probe());
    let subscribe = |topic: &str| json!({"action": "subscribe", "topic": topic});
    say(&socket, &[subscribe(channel), subscribe(&probe)]);
    socket.tcp().set_nonblocking(true).unwrap();
    let is_in = eventually("it is in or out", RECOVERY, || {
        if count(server, &probe) == 1 {
            return Some(true);
        }
        let closed = matches!(socket.tcp().peek(&mut [0]), Ok(0));
        let reset = matches!(socket.tcp().peek(&mut [0]), Err(error) if error.kind() != std::io::ErrorKind::WouldBlock);
        (closed || reset).then_some(false)
    });
    if is_in && count(server, channel) == 1 {
        Outcome::Done
    } else {
        Outcome::Refused
    }
}

/// Whether the operator gets it, who gets a later message of his own in any case.
fn lines_publish(server: &Server, shown: &Shown, channel: &str) -> Outcome {
    let operator = Shown::operator();
    let mut watching = AzureClient::try_open(
        server.address,
        "/connect/websocket",
        "",
        &operator.headers(),
    )
    .unwrap();
    watching.send(&json!({"type": "subscribe", "channel": channel}));
    while watching.receive()["message"]["type"] != "subscribe" {}
    let mut socket = lines(server, shown);
    let publish = json!({"action": "publish", "topic": channel, "message": "by a line"});
    say(&socket, &[publish]);
    // The server may have closed already.
    let _ = socket.tcp().shutdown(std::net::Shutdown::Write);
    // It has read all of it when it closes.
    socket.expect_close();
    let target = format!("/api/channels/{}/", in_path(channel));
    let answer = server.request(
        "POST",
        &target,
        &operator.headers(),
        Some(br#"{"the":"end"}"#),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    loop {
        let message: Value = watching.receive();
        if message["message"] == "by a line" {
            return Outcome::Done;
        }
        if message["message"] == json!({"the": "end"}) {
            return Outcome::Refused;
        }
    }
}

/// What a client of MQTT 5 asks for.
pub(super) enum Mqtt<'t> {
    Subscribe(&'t str),
    /// At QoS 1.
    Publish(&'t str),
}

/// What a client of MQTT 5 is answered.
pub(super) fn mqtt(server: &Server, shown: &Shown, asked: &Mqtt<'_>) -> Outcome {
    use std::io::Read;
    let text = |text: &str| {
        [
            &u16::try_from(text.len()).unwrap().to_be_bytes(),
            text.as_bytes(),
        ]
        .concat()
    };
    let packet = |first: u8, body: &[u8]| {
        let mut packet = vec![first];
        let mut left = body.len();
        loop {
            let byte = u8::try_from(left % 128).unwrap();
            left /= 128;
            packet.push(if left > 0 { byte | 128 } else { byte });
            if left == 0 {
                break;
            }
        }
        [packet, body.to_vec()].concat()
    };
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(crate::support::SOON)).unwrap();
    let mut answer = |bytes: &[u8]| -> Option<Vec<u8>> {
        stream.write_all(bytes).unwrap();
        let mut head = [0; 2];
        stream.read_exact(&mut head).ok()?;
        let mut body = vec![0; usize::from(head[1])];
        stream.read_exact(&mut body).unwrap();
        Some(body)
    };
    let flags = if shown.token.is_some() { 0xc2 } else { 0x02 };
    let mut body = [&text("MQTT")[..], &[5, flags, 0, 0, 0], &text("a client")].concat();
    if let Some(token) = &shown.token {
        // Keys and tokens need no user's name.
        body.extend([text(&shown.user), text(token)].concat());
    }
    let connected = answer(&packet(0x10, &body));
    let Some(0) = connected.as_ref().map(|answer| answer[1]) else {
        return Outcome::Refused;
    };
    let reason = match asked {
        Mqtt::Subscribe(filter) => {
            let body = [&[0, 1, 0][..], &text(filter), &[0]].concat();
            *answer(&packet(0x82, &body)).unwrap().last().unwrap()
        }
        Mqtt::Publish(topic) => {
            let body = [&text(topic)[..], &[0, 7, 0], b"by MQTT"].concat();
            answer(&packet(0x32, &body))
                .unwrap()
                .get(2)
                .copied()
                .unwrap_or_default()
        }
    };
    match reason {
        // PUBACK may say that nobody is subscribed.
        0 | 0x10 => Outcome::Done,
        0x87 => Outcome::Refused,
        reason => panic!("reason {reason:#x}"),
    }
}
