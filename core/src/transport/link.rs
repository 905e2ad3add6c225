//! The outgoing side of a session, whatever carries it.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::sockjs::HttpSession;
use crate::{
    delivery::{
        DelayLine, Encoder, EndReason, Fanout, Flush, Flusher, Numbered, Numbering, Outbox, Pushed,
    },
    framing::{CloseReason, Framing, Message},
};

/// The part of what may wait for a client that is filled at its pace; the rest is for what others publish.
const PACED_PART: usize = 4;

/// The outgoing side of one session, whatever transport carries it. Clones share the session.
#[derive(Clone)]
pub struct Link {
    carrier: Carrier,
    flusher: Arc<Flusher>,
}

#[derive(Clone)]
enum Carrier {
    Socket(Arc<Outbox>, Framing),
    Http(Arc<HttpSession>),
}

impl Link {
    /// A session on a socket of its own.
    pub fn socket(outbox: Arc<Outbox>, framing: Framing, flusher: Arc<Flusher>) -> Self {
        Self {
            carrier: Carrier::Socket(outbox, framing),
            flusher,
        }
    }

    /// A session that clients read by HTTP requests.
    pub(crate) fn http(session: Arc<HttpSession>, flusher: Arc<Flusher>) -> Self {
        Self {
            carrier: Carrier::Http(session),
            flusher,
        }
    }

    /// Sends one message.
    pub fn send(&self, message: &Message) {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => {
                self.flush_if_needed(outbox.push(framing.frame(message)), outbox);
            }
            Carrier::Http(session) => {
                self.flush_if_needed(session.push(Framing::SockJsMessage.frame(message)), session);
            }
        }
    }

    /// Sends one message after the time of a delay line; what is sent behind it comes behind it.
    pub fn send_delayed(&self, message: &Message, line: &DelayLine) {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => line.push(outbox, framing.frame(message)),
            // Its clients ask for what there is, each time anew.
            Carrier::Http(_) => self.send(message),
        }
    }

    /// True when `bytes` more may be sent at the pace of the client: little waits for it. Always over HTTP, which has no
    /// socket of its own.
    pub fn is_at_pace(&self, bytes: usize) -> bool {
        match &self.carrier {
            Carrier::Socket(outbox, _) => {
                let queued = outbox.queued_bytes();
                queued == 0 || queued.saturating_add(bytes) <= outbox.bytes_max() / PACED_PART
            }
            Carrier::Http(_) => true,
        }
    }

    /// Waits until little waits for the client, or the session ends: for whoever has more to send than may wait. Cancel
    /// safe; for one waiter.
    pub async fn at_pace(&self) {
        if let Carrier::Socket(outbox, _) = &self.carrier {
            outbox
                .drained_to(outbox.bytes_max() / (2 * PACED_PART))
                .await;
        }
    }

    /// Delivers what is being fanned out, as `encoder` writes it.
    pub fn deliver(&self, fanout: &mut Fanout<'_>, encoder: &Arc<dyn Encoder>) {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => {
                fanout.send(outbox, encoder, *framing);
            }
            Carrier::Http(session) => {
                if let Some(frame) = fanout.frame(encoder, Framing::SockJsMessage)
                    && session.push(frame) == Pushed::NeedsFlush
                {
                    fanout.flush_later(session.clone());
                }
            }
        }
    }

    /// Puts a message that is for this session only into its queue, while something is being fanned out.
    pub fn deliver_own(&self, fanout: &mut Fanout<'_>, message: &Message) {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => fanout.push(outbox, framing.frame(message)),
            Carrier::Http(session) => {
                if session.push(Framing::SockJsMessage.frame(message)) == Pushed::NeedsFlush {
                    fanout.flush_later(session.clone());
                }
            }
        }
    }

    /// Sends a message with the number that it has on this session; `body` is what an encoder wrote.
    pub fn send_numbered(&self, body: &[u8], numbering: Numbering, number: u64) {
        match &self.carrier {
            Carrier::Socket(outbox, Framing::WebSocket) => {
                let message = Numbered {
                    body,
                    number,
                    numbering,
                };
                self.flush_if_needed(outbox.push_numbered(&message, None), outbox);
            }
            _ => self.send(&numbering(body.len(), number).message(body)),
        }
    }

    /// Delivers what is being fanned out, as `encoder` writes it, with the number that it has on this session.
    pub fn deliver_numbered(
        &self,
        fanout: &mut Fanout<'_>,
        encoder: &Arc<dyn Encoder>,
        numbering: Numbering,
        number: u64,
    ) {
        match &self.carrier {
            Carrier::Socket(outbox, Framing::WebSocket) => {
                fanout.send_numbered(outbox, encoder, numbering, number);
            }
            _ => {
                if let Some(body) = fanout.kept(encoder) {
                    self.deliver_own(fanout, &numbering(body.len(), number).message(&body));
                }
            }
        }
    }

    /// Ends the session in order: what waits is sent first, then the reason.
    pub fn close(&self, reason: &CloseReason) {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => {
                self.flush_if_needed(outbox.close(framing.close(reason)), outbox);
            }
            Carrier::Http(session) => {
                self.flush_if_needed(session.close(reason), session);
            }
        }
    }

    /// Ends the session because its rights have ended, without what waits; or because the server sends it away, after that.
    pub fn end(&self, why: &EndReason) {
        let reason = why.close_reason();
        if let EndReason::Disconnected(_) = why {
            return self.close(&reason);
        }
        match &self.carrier {
            Carrier::Socket(outbox, framing) => {
                self.flush_if_needed(outbox.cut(framing.close(&reason)), outbox);
            }
            Carrier::Http(session) => self.flush_if_needed(session.cut(&reason), session),
        }
    }

    /// Ends a session on a socket of its own after what waits and these last bytes.
    pub(crate) fn close_with(&self, last: Bytes) {
        if let Carrier::Socket(outbox, _) = &self.carrier {
            self.flush_if_needed(outbox.close(last), outbox);
        }
    }

    fn flush_if_needed<F: Flush>(&self, pushed: Pushed, what: &Arc<F>) {
        if pushed == Pushed::NeedsFlush {
            self.flusher.submit_one(what.clone());
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.carrier {
            Carrier::Socket(outbox, framing) => write!(f, "Link({framing:?}, {outbox:?})"),
            Carrier::Http(session) => write!(f, "Link({session:?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        Channel, Counters, Draft, Limits, Payload, Position,
        delivery::{Around, Few, OutboxOptions},
        publication::Publication,
        transport::Socket,
    };

    struct Texts;

    impl Encoder for Texts {
        fn encode(&self, publication: &Publication) -> Option<Message> {
            match &publication.payload {
                Payload::Text(text) => Some(Message::Text(text.value().clone())),
                _ => None,
            }
        }
    }

    fn numbering(_: usize, number: u64) -> Around {
        let mut behind = Few::default();
        behind.push(b"#");
        behind.push_decimal(number);
        Around::text(Few::default(), behind)
    }

    /// What a client has to get for a text of this number.
    fn frame(text: &str, number: u64) -> Bytes {
        Framing::WebSocket.frame(&Message::Text(format!("{text}#{number}").into()))
    }

    async fn client(flusher: &Arc<Flusher>) -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let options = OutboxOptions {
            bytes_max: 64 << 20,
            stall: Duration::from_secs(60),
            ..OutboxOptions::new(
                &Limits::default(),
                &Counters::default(),
                "test",
                Bytes::new(),
            )
        };
        let socket = Arc::new(Socket::new(accepted.unwrap().0));
        let outbox = Outbox::new(socket, Arc::new(options));
        let link = Link::socket(outbox, Framing::WebSocket, flusher.clone());
        (link, connected.unwrap())
    }

    fn publish(flusher: &Flusher, text: &str, deliver: impl FnOnce(&mut Fanout<'_>)) {
        let payload = Payload::text(text.to_owned());
        let draft = Draft::new(Channel::new("room").unwrap(), payload);
        let publication = draft.at(Position::default());
        flusher.collect(|dirty| deliver(&mut Fanout::new(&publication, flusher, dirty)));
    }

    /// What is sent behind a delayed message waits with it, and what was sent before does not.
    #[tokio::test]
    async fn a_delayed_message_keeps_its_place() {
        let flusher = Flusher::new(1);
        let stop = CancellationToken::new();
        flusher.run(&stop);
        let _stops = stop.drop_guard();
        let line = DelayLine::new(Duration::from_millis(50), flusher.clone());
        let (link, mut stream) = client(&flusher).await;
        let text = |text: &'static str| Message::Text(text.into());
        let encoder: Arc<dyn Encoder> = Arc::new(Texts);
        let began = tokio::time::Instant::now();
        link.send(&text("at once"));
        link.send_delayed(&text("ack 1"), &line);
        publish(&flusher, "news", |fanout| link.deliver(fanout, &encoder));
        link.send_delayed(&text("ack 2"), &line);
        let mut read = async |expected: &[&'static str]| {
            let frames = expected
                .iter()
                .map(|expected| Framing::WebSocket.frame(&text(expected)));
            let expected = frames.collect::<Vec<_>>().concat();
            let mut read = vec![0; expected.len()];
            stream.read_exact(&mut read).await.unwrap();
            assert_eq!(read, expected);
        };
        read(&["at once"]).await;
        // Nobody lets it go yet.
        let running = line.clone();
        let running = tokio::spawn(async move { running.run().await });
        read(&["ack 1", "news", "ack 2"]).await;
        assert!(began.elapsed() >= line.delay());
        // A close lets everything go.
        link.send_delayed(&text("ack 3"), &line);
        link.close(&CloseReason::new(1000, ""));
        running.abort();
        read(&["ack 3"]).await;
    }

    /// One takes nothing for a while, one is told other things in between, one has other numbers; texts too long for
    /// a buffer are among them.
    #[tokio::test]
    async fn each_gets_its_own_numbers_in_order() {
        let flusher = Flusher::new(1);
        let encoder: Arc<dyn Encoder> = Arc::new(Texts);
        let mut clients = Vec::new();
        for first in [0, 9_998, u64::MAX - 3_000] {
            clients.push((client(&flusher).await, first, Vec::new()));
        }
        for n in 0..3_000 {
            let length = if n % 100 == 7 { 40_000 } else { n % 3_000 };
            let text = "x".repeat(length);
            publish(&flusher, &text, |fanout| {
                for ((link, _), first, expected) in &mut clients {
                    let number = *first + n as u64;
                    link.deliver_numbered(fanout, &encoder, numbering, number);
                    expected.extend_from_slice(&frame(&text, number));
                }
            });
            if n % 50 == 3 {
                let ((link, _), _, expected) = &mut clients[1];
                link.send_numbered(b"own", numbering, 5);
                expected.extend_from_slice(&frame("own", 5));
            }
            if n % 16 == 0 {
                flusher.flush_now();
            }
        }
        flusher.flush_now();
        for ((link, mut stream), _, expected) in clients {
            let mut read = vec![0; expected.len()];
            stream.read_exact(&mut read).await.unwrap();
            assert!(read == expected, "the bytes differ");
            drop(link);
        }
    }
}
