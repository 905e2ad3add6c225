//! The actions of each protocol, as raw requests, on the channel `m/x`.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{Needs, Outcome, policy::Shown};
use crate::support::{LineSocket, RECOVERY, Server, azure::AzureClient, eventually};

/// An action of a protocol.
pub(super) struct Action {
    pub(super) protocol: &'static str,
    pub(super) name: &'static str,
    pub(super) needs: Needs,
    pub(super) attempt: fn(&Server, &Shown) -> Outcome,
}

/// Every one.
pub(super) const ACTIONS: &[Action] = &[
    action("Seth-Pusher", "subscribe", Needs::Read, |server, shown| seth(server, shown)),
    action("Seth-Pusher", "publish", Needs::Write, |server, shown| {
        http(server, shown, "POST", "/api/channels/m%2Fx/", Some("{}"))
    }),
    action("kn-sock", "subscribe", Needs::Read, |server, shown| lines_subscribe(server, shown)),
    action("kn-sock", "publish", Needs::Write, |server, shown| lines_publish(server, shown)),
    action("MQTT", "subscribe", Needs::Read, |server, shown| mqtt(server, shown, Some("m/x"))),
    action("MQTT", "subscribe to `m/#`", Needs::ReadBelow, |server, shown| mqtt(server, shown, Some("m/#"))),
    action("MQTT", "publish", Needs::Write, |server, shown| mqtt(server, shown, None)),
    action("PubNub", "subscribe", Needs::Read, |server, shown| pubnub(server, shown, "/v2/subscribe/sub/m%2Fx/0?tt=0")),
    action("PubNub", "publish", Needs::Write, |server, shown| pubnub(server, shown, "/publish/pub/sub/0/m%2Fx/0/1?")),
    action("PubNub", "who is there", Needs::Presence, |server, shown| {
        pubnub(server, shown, "/v2/presence/sub-key/sub/channel/m%2Fx?")
    }),
    action("PubNub", "history", Needs::History, |server, shown| {
        pubnub(server, shown, "/v2/history/sub-key/sub/channel/m%2Fx?count=1")
    }),
    action("PubNub", "delete", Needs::Delete, |server, shown| {
        http(server, shown, "DELETE", &with_auth("/v3/history/sub-key/sub/channel/m%2Fx?uuid=u", shown), None)
    }),
    action("history API", "read", Needs::History, |server, shown| {
        http(server, shown, "GET", "/history/v1/channels/m%2Fx", None)
    }),
    action("admin API", "disconnect", Needs::ManageEverything, |server, shown| {
        http(server, shown, "POST", "/admin/v1/disconnect", Some(r#"{"client":"nobody"}"#))
    }),
];

const fn action(
    protocol: &'static str,
    name: &'static str,
    needs: Needs,
    attempt: fn(&Server, &Shown) -> Outcome,
) -> Action {
    Action {
        protocol,
        name,
        needs,
        attempt,
    }
}

fn outcome(status: u16) -> Outcome {
    match status {
        200 => Outcome::Done,
        401 | 403 => Outcome::Refused,
        status => panic!("status {status}"),
    }
}

fn http(server: &Server, shown: &Shown, method: &str, target: &str, body: Option<&str>) -> Outcome {
    let joint = if target.contains('?') { '&' } else { '?' };
    let target = format!("{target}{joint}{}", shown.query);
    let answer = server.request(method, &target, &shown.headers(), body.map(str::as_bytes));
    outcome(answer.status)
}

fn with_auth(target: &str, shown: &Shown) -> String {
    match &shown.token {
        Some(token) => format!("{target}&auth={}", token.replace(' ', "%20")),
        None => target.to_owned(),
    }
}

/// PubNub shows its credential as `auth`.
fn pubnub(server: &Server, shown: &Shown, target: &str) -> Outcome {
    let target = with_auth(&format!("{target}&uuid=u"), shown);
    outcome(server.get(&target).status)
}

/// A name that no other attempt uses.
fn probe() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    format!("probe/{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn seth(server: &Server, shown: &Shown) -> Outcome {
    let path = format!("/connect/websocket?{}", shown.query);
    let opened = AzureClient::try_open(server.address, &path, "", &shown.headers());
    let mut client = match opened {
        Ok(client) => client,
        Err(status) => return outcome(status),
    };
    client.send(&json!({"type": "subscribe", "channel": "m/x"}));
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
fn lines(server: &Server, shown: &Shown) -> LineSocket {
    let mut socket = LineSocket::open(server.address);
    let token = shown.token.clone().unwrap_or_default();
    socket.send(&json!({"action": "auth", "token": token}));
    socket
}

/// How many are on a channel, as the operator sees it.
fn count(server: &Server, channel: &str) -> u64 {
    let target = format!("/debug/channels/{}/", channel.replace('/', "%2F"));
    let answer = server.request("GET", &target, &Shown::operator().headers(), None);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["subscriber_count"].as_u64().unwrap()
}

/// There are no answers: it is seen who is there, once a later line has had its effect, or the connection is closed.
fn lines_subscribe(server: &Server, shown: &Shown) -> Outcome {
    eventually("everybody has left", RECOVERY, || (count(server, "m/x") == 0).then_some(()));
    let (mut socket, probe) = (lines(server, shown), probe());
    socket.subscribe("m/x");
    socket.subscribe(&probe);
    socket.tcp().set_nonblocking(true).unwrap();
    let is_in = eventually("it is in or out", RECOVERY, || {
        if count(server, &probe) == 1 {
            return Some(true);
        }
        let closed = matches!(socket.tcp().peek(&mut [0]), Ok(0));
        let reset = matches!(socket.tcp().peek(&mut [0]), Err(error) if error.kind() != std::io::ErrorKind::WouldBlock);
        (closed || reset).then_some(false)
    });
    if is_in && count(server, "m/x") == 1 {
        Outcome::Done
    } else {
        Outcome::Refused
    }
}

/// Whether the operator gets it, who gets a later message of his own in any case.
fn lines_publish(server: &Server, shown: &Shown) -> Outcome {
    let operator = Shown::operator();
    let mut watching = AzureClient::try_open(server.address, "/connect/websocket", "", &operator.headers()).unwrap();
    watching.send(&json!({"type": "subscribe", "channel": "m/x"}));
    while watching.receive()["message"]["type"] != "subscribe" {}
    let mut socket = lines(server, shown);
    socket.publish("m/x", "by a line");
    socket.tcp().shutdown(std::net::Shutdown::Write).unwrap();
    // It has read all of it when it closes.
    socket.expect_close();
    let target = "/api/channels/m%2Fx/";
    let answer = server.request("POST", target, &operator.headers(), Some(br#"{"the":"end"}"#));
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

/// MQTT 5: subscribes to a filter, or publishes at QoS 1.
fn mqtt(server: &Server, shown: &Shown, filter: Option<&str>) -> Outcome {
    use std::io::{Read, Write};
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
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
        body.extend([text(""), text(token)].concat());
    }
    let connected = answer(&packet(0x10, &body));
    let Some(0) = connected.as_ref().map(|answer| answer[1]) else {
        return Outcome::Refused;
    };
    let reason = match filter {
        Some(filter) => {
            let body = [&[0, 1, 0][..], &text(filter), &[0]].concat();
            *answer(&packet(0x82, &body)).unwrap().last().unwrap()
        }
        None => {
            let body = [&text("m/x")[..], &[0, 7, 0], b"by MQTT"].concat();
            answer(&packet(0x32, &body)).unwrap().get(2).copied().unwrap_or_default()
        }
    };
    match reason {
        // PUBACK may say that nobody is subscribed.
        0 | 0x10 => Outcome::Done,
        0x87 => Outcome::Refused,
        reason => panic!("reason {reason:#x}"),
    }
}
