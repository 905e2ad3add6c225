//! The session of one connection.

use std::{net::SocketAddr, ops::ControlFlow, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use memchr::memmem;
use polywire_core::{
    ConnectionId, Counter, Draft, Identity, Origin, Refusal, Space, Target, Turn,
    delivery::{Encoder, EndReason, Fanout, Link, Receiver},
    space::{Attachment, CloseOnGap, Publishing},
    transport::tcp::StreamHandler,
};

use crate::{Action, Command, Hook, line::LineDecoder, line_deadline::LineDeadline};

/// Bad lines after which a connection is closed.
const BAD_LINES_MAX: u32 = 100;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) space: Arc<Space>,
    pub(crate) encoder: Arc<dyn Encoder>,
    pub(crate) hook: Option<Arc<dyn Hook>>,
    pub(crate) line_bytes_max: usize,
    pub(crate) topic_bytes_max: usize,
    pub(crate) close_on_gap: CloseOnGap,
    /// Lines that did not end in time.
    pub(crate) late_lines: Arc<Counter>,
}

/// The client, as the hub sees it.
struct Subscriber {
    connection: ConnectionId,
    link: Link,
    shared: Arc<Shared>,
}

impl Receiver for Subscriber {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The protocol has no words for it.
    fn takes_presence(&self) -> bool {
        false
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        self.link.deliver(fanout, &self.shared.encoder);
    }

    /// The protocol has no words for it.
    fn gap(&self, target: &Target) {
        let Shared {
            space,
            close_on_gap,
            ..
        } = &*self.shared;
        if let Some(why) = close_on_gap.reason(space, target) {
            self.link.end(&why);
        }
    }

    /// The protocol has no words for it.
    fn end(&self, why: &EndReason) {
        self.link.end(why);
    }
}

pub(crate) struct Session {
    shared: Arc<Shared>,
    decoder: LineDecoder,
    attachment: Option<Attachment>,
    bad_lines: u32,
    subscriber: Arc<Subscriber>,
    /// Made when a line first comes in parts.
    deadline: Option<Arc<LineDeadline>>,
    /// The last line that was published, where it is still to be stored.
    publishing: Option<Box<Publishing>>,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        link: Link,
        identity: Arc<Identity>,
        peer: Option<SocketAddr>,
    ) -> Self {
        let subscriber = Arc::new(Subscriber {
            connection: ConnectionId::next(shared.space.hub().node()),
            link,
            shared: shared.clone(),
        });
        let origin = Origin::new("knsock", identity).peer(peer);
        Self {
            decoder: LineDecoder::new(shared.line_bytes_max),
            attachment: Some(shared.space.attach(origin, subscriber.clone())),
            shared,
            bad_lines: 0,
            subscriber,
            deadline: None,
            publishing: None,
        }
    }

    /// The end of a line has not come: from when it began it must come in time.
    fn line_has_begun(&mut self) {
        let runtime = self.shared.space.runtime();
        let deadline = self.deadline.get_or_insert_with(|| {
            let (link, late) = (self.subscriber.link.clone(), self.shared.late_lines.clone());
            LineDeadline::start(runtime, link, late)
        });
        deadline.begun(runtime.wheel().now());
    }

    async fn take(&mut self, line: Bytes) -> ControlFlow<()> {
        if is_http(&line) {
            // A page can have a browser post lines to any address; what stands before them gives it away.
            let counters = self.shared.space.runtime().counters();
            counters
                .of("knsock", "closed a connection that speaks HTTP")
                .add();
            return ControlFlow::Break(());
        }
        let command = match Command::parse(line, self.shared.topic_bytes_max) {
            Ok(Some(command)) => command,
            Ok(None) => return ControlFlow::Continue(()),
            Err(reason) => {
                self.bad_lines += 1;
                tracing::debug!(%reason, count = self.bad_lines, "ignored a line");
                return if self.bad_lines < BAD_LINES_MAX {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                };
            }
        };
        if let Err(refusal) = self.execute(command).await {
            // The client would take an answer for a message.
            tracing::debug!(%refusal, "did not do what a line asked for");
        }
        ControlFlow::Continue(())
    }

    async fn execute(&mut self, mut command: Command) -> Result<(), Refusal> {
        let Some(attachment) = &mut self.attachment else {
            return Ok(());
        };
        if let Some(hook) = &self.shared.hook {
            match hook.handle(attachment.origin(), &command).await {
                Action::Continue => {}
                Action::Drop => return Ok(()),
                Action::Replace(other) => command = other,
            }
        }
        if !matches!(command, Command::Publish(..))
            && let Some(before) = self.publishing.take()
        {
            // A topic that it joins now has not what it published before.
            let _ = before.outcome().await;
        }
        match command {
            Command::Subscribe(topic) => attachment.subscribe(topic).await.map(drop),
            Command::Unsubscribe(topic) => attachment.unsubscribe(topic).await.map(drop),
            Command::Publish(topic, payload) => {
                // The client hears nothing of it, and so its next line does not wait for the store.
                self.publishing = match attachment.place(Draft::new(topic, payload)).await? {
                    Publishing::Done(_) => None,
                    pending => Some(Box::new(pending)),
                };
                Ok(())
            }
        }
    }
}

/// True for the request line of HTTP/1.
fn is_http(line: &[u8]) -> bool {
    line.first().is_some_and(u8::is_ascii_uppercase)
        && memmem::find(line.trim_ascii_end(), b" HTTP/1.").is_some()
}

#[async_trait]
impl StreamHandler for Session {
    async fn on_bytes(&mut self, bytes: Bytes, turn: &mut Turn) -> ControlFlow<()> {
        let mut lines = Vec::new();
        let result = self.decoder.decode(&bytes, |line| lines.push(line));
        drop(bytes);
        if let Some(deadline) = &self.deadline
            && !lines.is_empty()
        {
            deadline.ended();
        }
        for line in lines {
            if self.take(line).await.is_break() {
                return ControlFlow::Break(());
            }
            turn.give_way().await;
        }
        if !self.decoder.is_empty() {
            self.line_has_begun();
        }
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                tracing::debug!(%error, "closed a connection");
                ControlFlow::Break(())
            }
        }
    }

    async fn on_close(&mut self) {
        if let Some(attachment) = self.attachment.take() {
            attachment.disconnect().await;
        }
    }
}
