//! Close reasons: codes and texts that end a session.

use std::borrow::Cow;

/// A close code and a reason, as WebSocket and SockJS clients see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    /// RFC 6455 section 7.4; 3000 to 4999 are free for applications.
    pub code: u16,
    /// One short sentence.
    pub reason: Cow<'static, str>,
}

impl CloseReason {
    /// The server stops: what SockJS servers say.
    pub const GO_AWAY: Self = Self::new(3000, "Go away!");
    /// The client did not answer a ping.
    pub const NO_HEARTBEAT: Self = Self::new(3000, "No response from heartbeat");
    /// More waits for the client than it may; it should reconnect and read faster.
    pub const SLOW_CONSUMER: Self = Self::new(4008, "Too slow: more waits for you than the limit");

    /// A message began and did not come to its end in time.
    pub const LATE_MESSAGE: Self = Self::new(
        1008,
        "The message that began did not come to its end in time",
    );

    /// A reason that is known when the program is built.
    pub const fn new(code: u16, reason: &'static str) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
        }
    }
}
