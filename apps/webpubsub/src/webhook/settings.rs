//! Settings of one event handler.

use std::{fmt, time::Duration};

use reqwest::header::HeaderValue;

use super::{error::WebhookError, template::Template};

/// Seconds that an event handler has for its answer.
const TIMEOUT_SECS: u64 = 30;

/// An event of the server itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemEvent {
    /// Somebody wants to connect, and waits.
    Connect,
    /// A connection is open.
    Connected,
    /// A connection has ended.
    Disconnected,
}

impl SystemEvent {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }

    /// The event of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Connect, Self::Connected, Self::Disconnected]
            .into_iter()
            .find(|event| event.as_str().eq_ignore_ascii_case(name))
    }
}

/// An event handler over HTTP: a URL, and the events that are posted there as CloudEvents.
///
/// Before the first event the server asks whether it may: `OPTIONS` must be answered with `WebHook-Allowed-Origin`. Redirects
/// are not followed, and an answer is read up to the size of a message.
///
/// # Examples
/// ```
/// use polywire_webpubsub::{SystemEvent, WebPubSub, Webhook};
///
/// let chat = Webhook::new("https://chat.example/hooks/{event}")?
///     .system_events([SystemEvent::Connect, SystemEvent::Disconnected])
///     .user_events("message, typing");
/// let app = WebPubSub::default().webhooks("chat", [chat])?;
/// # Ok::<(), polywire_webpubsub::WebhookError>(())
/// ```
#[derive(Clone)]
pub struct Webhook {
    pub(super) template: Template,
    pub(super) system_events: Vec<SystemEvent>,
    pub(super) user_events: UserEvents,
    pub(super) allow_private_addresses: bool,
    pub(super) timeout: Duration,
    pub(super) authorization: Option<HeaderValue>,
}

/// The names of events of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UserEvents {
    All,
    Named(Vec<String>),
}

impl Webhook {
    /// Posts every event of clients, and no system event, to this URL. `{hub}` and `{event}` in its path and
    /// query stand for their names.
    ///
    /// # Errors
    /// When it is not an HTTP URL, or has places that cannot be filled.
    pub fn new(url: impl Into<String>) -> Result<Self, WebhookError> {
        Ok(Self {
            template: Template::new(url.into())?,
            system_events: Vec::new(),
            user_events: UserEvents::All,
            allow_private_addresses: false,
            timeout: Duration::from_secs(TIMEOUT_SECS),
            authorization: None,
        })
    }

    /// Sets the system events that are posted. Default none.
    #[must_use]
    pub fn system_events(mut self, events: impl IntoIterator<Item = SystemEvent>) -> Self {
        self.system_events = events.into_iter().collect();
        self
    }

    /// Sets the events of clients that are posted: `*` for all, or names with commas between them, whose case does not
    /// count. Default `*`.
    #[must_use]
    pub fn user_events(mut self, names: &str) -> Self {
        let names = names.split(',').map(str::trim);
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        self.user_events = if names.contains(&"*") {
            UserEvents::All
        } else {
            UserEvents::Named(names.into_iter().map(str::to_owned).collect())
        };
        self
    }

    /// Posts also to addresses of this machine and of networks nearby. Default false: whoever may set a URL could
    /// otherwise reach what only this server should.
    #[must_use]
    pub fn allow_private_addresses(mut self, allow: bool) -> Self {
        self.allow_private_addresses = allow;
        self
    }

    /// Sets how long an answer may take. Default 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the `Authorization` header of every request to it, such as `Bearer a-secret`. Default none: an event
    /// handler can tell by the signature of the connection's id who posts.
    ///
    /// # Errors
    /// When it cannot stand in a header.
    pub fn authorization(mut self, value: &str) -> Result<Self, WebhookError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| WebhookError::Authorization)?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    pub(super) fn takes_system(&self, event: SystemEvent) -> bool {
        self.system_events.contains(&event)
    }

    pub(super) fn takes_user(&self, name: &str) -> bool {
        match &self.user_events {
            UserEvents::All => true,
            UserEvents::Named(names) => names.iter().any(|known| known.eq_ignore_ascii_case(name)),
        }
    }
}

impl fmt::Debug for Webhook {
    /// Shows no more of the URL than its host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("host", &self.template.host())
            .field("system_events", &self.system_events)
            .field("user_events", &self.user_events)
            .finish_non_exhaustive()
    }
}
