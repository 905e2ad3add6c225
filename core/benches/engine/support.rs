//! A hub with real outboxes over sockets that lose everything.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each benchmark uses a part; one that cannot be set up may stop"
)]

use std::{
    net::{TcpStream, UdpSocket},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::FutureExt;
use polywire_core::{
    Channel, ClientId, ConnectionId, Counters, Draft, Hub, Interest, JoinNumber, JsonText, Limits,
    LocalNode, Payload, Publication, Retention,
    delivery::{
        Around, Encoder, Fanout, Few, Flusher, Link, Message, Outbox, OutboxOptions, Receiver,
    },
    testkit::RecordingPolicy,
    transport::{Framing, Socket},
};
use tokio::runtime::Runtime;

/// A JSON object of 128 bytes.
pub(crate) fn payload() -> Payload {
    let text = format!("{{\"n\":1234567,\"text\":\"{}\"}}", "x".repeat(105));
    assert_eq!(text.len(), 128);
    Payload::json(JsonText::parse(text.into()).unwrap())
}

/// A channel.
pub(crate) fn channel(name: &str) -> Channel {
    Channel::new(name).unwrap()
}

/// A message for `channel` that nobody stores.
pub(crate) fn draft(channel: &Channel) -> Draft {
    Draft::new(channel.clone(), payload()).retention(Retention::NONE)
}

/// Writes what an app of few needs would write.
struct Lines;

impl Encoder for Lines {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        let Payload::Json(json) = &publication.payload else {
            return None;
        };
        let channel = publication.target.channel()?;
        let line = format!(
            "{{\"topic\":\"{channel}\",\"message\":{}}}\n",
            json.as_str()
        );
        Some(Message::Text(line.into()))
    }
}

/// A connection, as the hub sees it: like those of the apps.
struct Subscriber {
    connection: ConnectionId,
    link: Link,
    encoder: Arc<dyn Encoder>,
}

impl Receiver for Subscriber {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        self.link.deliver(fanout, &self.encoder);
    }
}

/// One whose messages have numbers of its own.
struct Numbered {
    subscriber: Subscriber,
    number: AtomicU64,
}

fn numbering(_: usize, number: u64) -> Around {
    let mut behind = Few::default();
    behind.push(br#","n":"#);
    behind.push_decimal(number);
    behind.push(b"}");
    Around::text(Few::default(), behind)
}

impl Receiver for Numbered {
    fn connection(&self) -> ConnectionId {
        self.subscriber.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let Subscriber { link, encoder, .. } = &self.subscriber;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        link.deliver_numbered(fanout, encoder, numbering, number);
    }
}

/// A node with a hub, and a tokio runtime for its sockets that has no threads of its own.
pub(crate) struct Node {
    pub(crate) hub: Arc<Hub>,
    pub(crate) node: LocalNode,
    runtime: Runtime,
    encoder: Arc<dyn Encoder>,
    options: Arc<OutboxOptions>,
}

impl Node {
    pub(crate) fn new() -> Self {
        let hub = Arc::new(Hub::new(Flusher::new(4)));
        Self {
            node: LocalNode::new(hub.clone(), Arc::new(RecordingPolicy::default())),
            hub,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            encoder: Arc::new(Lines),
            options: Arc::new(OutboxOptions {
                bytes_max: 1 << 20,
                stall: Duration::from_secs(10),
                ..OutboxOptions::new(
                    &Limits::default(),
                    &Counters::default(),
                    "test",
                    Bytes::new(),
                )
            }),
        }
    }

    /// A socket that takes everything at once and loses it: datagrams to a port that nobody reads. A
    /// write to it is a real system call, but no TCP.
    pub(crate) fn null_socket(&self) -> NullSocket {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(nobody.local_addr().unwrap()).unwrap();
        sender.set_nonblocking(true).unwrap();
        let stream = TcpStream::from(OwnedFd::from(sender));
        let _in_runtime = self.runtime.enter();
        let socket = Socket::new(tokio::net::TcpStream::from_std(stream).unwrap());
        self.runtime.block_on(socket.writable()).unwrap();
        NullSocket {
            socket: Arc::new(socket),
            _nobody: nobody,
        }
    }

    /// A connection with an outbox of its own over a socket that many may share.
    pub(crate) fn receiver(&self, socket: &NullSocket) -> Arc<dyn Receiver> {
        Arc::new(self.subscriber(socket, Framing::Raw))
    }

    /// The same, with numbers from this one on.
    pub(crate) fn numbered(&self, socket: &NullSocket, number: u64) -> Arc<dyn Receiver> {
        Arc::new(Numbered {
            subscriber: self.subscriber(socket, Framing::WebSocket),
            number: number.into(),
        })
    }

    fn subscriber(&self, socket: &NullSocket, framing: Framing) -> Subscriber {
        let outbox = Outbox::new(socket.socket.clone(), self.options.clone());
        Subscriber {
            connection: ConnectionId::next(self.hub.node()),
            link: Link::socket(outbox, framing, self.hub.flusher().clone()),
            encoder: self.encoder.clone(),
        }
    }

    pub(crate) fn join(&self, channel: &Channel, receiver: &Arc<dyn Receiver>) -> JoinNumber {
        let interest = Interest::Channel(channel.clone());
        self.hub.join(&interest, receiver.clone())
    }

    /// So many subscribers of a channel.
    pub(crate) fn subscribe(&self, channel: &Channel, socket: &NullSocket, count: usize) {
        for _ in 0..count {
            self.join(channel, &self.receiver(socket));
        }
    }

    /// Publishes on this node; nothing is stored, so nothing waits.
    pub(crate) fn publish(&self, draft: Draft) {
        self.node.publish(draft).now_or_never().unwrap().unwrap();
    }

    /// Writes what this thread has enqueued.
    pub(crate) fn flush(&self) {
        self.hub.flusher().flush_now();
    }
}

/// See [`Node::null_socket`].
pub(crate) struct NullSocket {
    socket: Arc<Socket>,
    _nobody: UdpSocket,
}

/// Runs `work` `times` times and `cleanup`, which is not timed, after each.
pub(crate) fn timed(times: u64, mut work: impl FnMut(), mut cleanup: impl FnMut()) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..times {
        let began = Instant::now();
        work();
        spent += began.elapsed();
        cleanup();
    }
    spent
}

/// Measurements that are short enough for a machine that builds, too.
pub(crate) fn short() -> criterion::Criterion {
    criterion::Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}
