//! The app: its settings and its addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use polywire_core::{
    App, Listening, Space,
    http::{Request, Response, request},
};
use warp::{Filter, filters::BoxedFilter};

use crate::{
    broker::{Broker, NewBroker},
    endpoint::{self, Sockets},
    event::EventHandler,
    keys::{Claims, Keys, Many, now},
    names::NAME,
    replay_buffer::BufferLimits,
    rest,
    webhook::{Caller, Webhook, WebhookError, Webhooks},
};

/// The Azure Web PubSub app.
#[derive(Clone)]
pub struct WebPubSub {
    keys: Keys,
    /// The primary key was made up, and is shown at the start.
    shows_key: bool,
    default_hub: String,
    handlers: BTreeMap<String, Behind>,
    anonymous: BTreeSet<String>,
    webhook_origin: String,
    buffer: BufferLimits,
    recovery: Duration,
}

/// What is behind a hub.
#[derive(Clone)]
enum Behind {
    Code(Arc<dyn EventHandler>),
    Webhooks(Arc<Vec<Caller>>),
}

impl Default for WebPubSub {
    /// With a random access key, which the server shows when it starts.
    fn default() -> Self {
        Self {
            keys: Keys::new(None, None),
            shows_key: true,
            default_hub: "default".into(),
            handlers: BTreeMap::new(),
            anonymous: BTreeSet::new(),
            webhook_origin: "localhost".into(),
            buffer: BufferLimits {
                messages_max: 10_000,
                bytes_max: 16 << 20,
            },
            recovery: Duration::from_secs(30),
        }
    }
}

impl WebPubSub {
    /// With this access key.
    pub fn new(access_key: impl Into<String>) -> Self {
        Self {
            keys: Keys::new(Some(access_key.into()), None),
            shows_key: false,
            ..Self::default()
        }
    }

    /// Sets a second access key, which is as good as the first.
    #[must_use]
    pub fn secondary_access_key(mut self, key: impl Into<String>) -> Self {
        self.keys = Keys::new(Some(self.keys.primary().to_owned()), Some(key.into()));
        self
    }

    /// Sets the hub whose groups are channels as they are. The groups of another hub are channels that begin with
    /// its name and a colon. Default `default`.
    #[must_use]
    pub fn default_hub(mut self, hub: impl Into<String>) -> Self {
        self.default_hub = hub.into();
        self
    }

    /// Sets the code behind a hub.
    #[must_use]
    pub fn event_handler(mut self, hub: &str, handler: impl EventHandler) -> Self {
        let hub = hub.to_ascii_lowercase();
        self.handlers.insert(hub, Behind::Code(Arc::new(handler)));
        self
    }

    /// Sets the event handlers of a hub that are called over HTTP: the first that takes an event gets it.
    ///
    /// # Errors
    /// When one has a private address that is not allowed, or no HTTP client can be made.
    pub fn webhooks(
        mut self,
        hub: &str,
        webhooks: impl IntoIterator<Item = Webhook>,
    ) -> Result<Self, WebhookError> {
        let callers: Result<Vec<_>, _> = webhooks.into_iter().map(Caller::new).collect();
        let behind = Behind::Webhooks(Arc::new(callers?));
        self.handlers.insert(hub.to_ascii_lowercase(), behind);
        Ok(self)
    }

    /// Sets the host, with the port where there is one, by which event handlers know this server: they are asked
    /// whether it may post to them. Default `localhost`.
    #[must_use]
    pub fn webhook_origin(mut self, host: impl Into<String>) -> Self {
        self.webhook_origin = host.into();
        self
    }

    /// Lets clients without a token connect to a hub. They may do what the handler of `connect` allows them.
    #[must_use]
    pub fn anonymous(mut self, hub: &str) -> Self {
        self.anonymous.insert(hub.to_ascii_lowercase());
        self
    }

    fn handler(&self, behind: &Behind, bytes_max: usize) -> Arc<dyn EventHandler> {
        match behind {
            Behind::Code(handler) => handler.clone(),
            Behind::Webhooks(callers) => Arc::new(Webhooks {
                callers: callers.clone(),
                keys: self.keys.clone(),
                origin: self.webhook_origin.clone(),
                bytes_max,
            }),
        }
    }

    /// Sets how long a reliable connection waits for its client. Default 30 s.
    #[must_use]
    pub fn recovery(mut self, time: Duration) -> Self {
        self.recovery = time;
        self
    }

    /// Sets what is kept of a reliable connection until the client has acknowledged it. When there is more, the
    /// connection ends. Default 10,000 messages and 16 MiB.
    #[must_use]
    pub fn buffer(mut self, messages_max: usize, bytes_max: usize) -> Self {
        self.buffer = BufferLimits {
            messages_max,
            bytes_max,
        };
        self
    }

    /// A token for a client of a hub. `None` when it cannot be signed, which does not happen with texts.
    pub fn client_token(&self, hub: &str, access: &ClientAccess) -> Option<String> {
        let claims = Claims {
            aud: Some(Many::One(format!("/client/hubs/{hub}"))),
            exp: now().saturating_add(access.life.as_secs()),
            iat: Some(now()),
            sub: access.user.clone(),
            role: Many::Several(access.roles.clone()),
            group: Many::Several(access.groups.clone()),
            ..Claims::default()
        };
        self.keys.sign(&claims)
    }
}

/// What a client's token gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAccess {
    /// The user; nobody in particular without one.
    pub user: Option<String>,
    /// What the client may do, such as `webpubsub.sendToGroup`, or `webpubsub.sendToGroup.news` for one group.
    pub roles: Vec<String>,
    /// Groups that it is in from the start.
    pub groups: Vec<String>,
    /// How long it may connect with the token.
    pub life: Duration,
}

impl Default for ClientAccess {
    /// Nobody in particular, without a role, for an hour.
    fn default() -> Self {
        Self {
            user: None,
            roles: Vec::new(),
            groups: Vec::new(),
            life: Duration::from_secs(60 * 60),
        }
    }
}

#[async_trait]
impl App for WebPubSub {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let bytes_max = space.limits().message_bytes_max;
        let handlers = self.handlers.iter();
        let handlers = handlers.map(|(hub, behind)| (hub.clone(), self.handler(behind, bytes_max)));
        let broker = Broker::new(NewBroker {
            space: space.clone(),
            keys: self.keys.clone(),
            default_hub: self.default_hub.clone(),
            handlers: handlers.collect(),
            anonymous: self.anonymous.clone(),
            buffer: self.buffer,
            recovery: self.recovery,
        });
        let sockets = Arc::new(Sockets::new(&broker));
        request(|path| endpoint::is_client(path) || rest::is_rest(path))
            .then(move |request: Request| {
                let (broker, sockets) = (broker.clone(), sockets.clone());
                async move {
                    if endpoint::is_client(&request.path) {
                        endpoint::answer(&broker, &sockets, &request).await
                    } else {
                        rest::answer(&broker, request).await
                    }
                }
            })
            .boxed()
    }

    fn banner(&self, at: Listening) -> Vec<String> {
        let url = at.http_url();
        let key = if self.shows_key {
            self.keys.primary()
        } else {
            "<the configured key>"
        };
        vec![
            "Azure Web PubSub: the SDKs connect with".into(),
            format!("  Endpoint={url};AccessKey={key};Version=1.0;"),
        ]
    }
}

impl fmt::Debug for WebPubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebPubSub")
            .field("keys", &self.keys)
            .field("default_hub", &self.default_hub)
            .field("hubs", &self.handlers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
