//! The app: its settings and its addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use polywire_core::{
    App, Composition, FromSettings, Listening, Space,
    http::{Request, Response, request},
    settings::{Problem, Secret},
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
    settings::WebPubSubSettings,
    webhook::{Caller, Webhook, WebhookError, Webhooks},
};

/// The Azure Web PubSub app.
#[derive(Clone)]
pub struct WebPubSub {
    keys: Keys,
    /// The primary key was made up, and is shown at the start.
    shows_key: bool,
    allowed_origins: Option<Vec<String>>,
    default_hub: String,
    handlers: BTreeMap<String, Behind>,
    anonymous: BTreeSet<String>,
    webhook_origin: String,
    buffer: BufferLimits,
    recovery: Duration,
    /// Those of the servers that serve it.
    brokers: Arc<Mutex<Vec<Weak<Broker>>>>,
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
        Self::without_hubs(&WebPubSubSettings::default())
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

    /// What is set, but for what is behind hubs.
    fn without_hubs(settings: &WebPubSubSettings) -> Self {
        let key = |key: &Option<Secret>| key.as_ref().map(|key| key.reveal().to_owned());
        let origin = settings.webhook_origin.clone();
        let hubs = settings.hubs.iter();
        let anonymous = hubs.filter(|(_, hub)| hub.anonymous);
        Self {
            keys: Keys::new(
                key(&settings.access_key),
                key(&settings.secondary_access_key),
            ),
            shows_key: settings.access_key.is_none(),
            allowed_origins: settings.allowed_origins.clone(),
            default_hub: settings.default_hub.clone(),
            handlers: BTreeMap::new(),
            anonymous: anonymous.map(|(hub, _)| hub.to_ascii_lowercase()).collect(),
            webhook_origin: origin.unwrap_or_else(|| "localhost".into()),
            buffer: BufferLimits {
                messages_max: settings.buffer_messages_max,
                bytes_max: settings.buffer_bytes_max,
            },
            recovery: Duration::from_secs(settings.recovery_secs),
            brokers: Arc::default(),
        }
    }

    /// Sets a second access key, which is as good as the first.
    #[must_use]
    pub fn secondary_access_key(mut self, key: impl Into<String>) -> Self {
        self.keys = Keys::new(Some(self.keys.primary().to_owned()), Some(key.into()));
        self
    }

    /// Sets [`allowed_origins`](WebPubSubSettings::allowed_origins).
    #[must_use]
    pub fn allowed_origins(mut self, origins: Option<Vec<String>>) -> Self {
        self.allowed_origins = origins;
        self
    }

    /// Sets [`default_hub`](WebPubSubSettings::default_hub).
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

    /// Sets [`recovery_secs`](WebPubSubSettings::recovery_secs).
    #[must_use]
    pub fn recovery(mut self, time: Duration) -> Self {
        self.recovery = time;
        self
    }

    /// Sets [`buffer_messages_max`](WebPubSubSettings::buffer_messages_max) and
    /// [`buffer_bytes_max`](WebPubSubSettings::buffer_bytes_max).
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

impl FromSettings for WebPubSub {
    type Settings = WebPubSubSettings;

    fn from_settings(
        settings: &WebPubSubSettings,
        composition: &Composition,
    ) -> Result<Self, Problem> {
        let mut app = Self::without_hubs(settings);
        if settings.webhook_origin.is_none() {
            app.webhook_origin = composition.address.to_string();
        }
        for (name, hub) in &settings.hubs {
            if hub.event_handlers.is_empty() {
                continue;
            }
            let wrong = |error: String| Problem::new(format!("hubs.{name}.event_handlers"), error);
            let webhooks = hub.event_handlers.iter().map(|handler| handler.webhook());
            let webhooks: Result<Vec<_>, _> = webhooks.collect();
            let webhooks = webhooks.map_err(|problem| wrong(problem.message))?;
            app = app
                .webhooks(name, webhooks)
                .map_err(|error| wrong(error.to_string()))?;
        }
        Ok(app)
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
        self.brokers.lock().push(Arc::downgrade(&broker));
        let sockets = Arc::new(Sockets::new(&broker, self.allowed_origins.as_deref()));
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

    async fn start(&self, space: &Arc<Space>) {
        let mut brokers = std::mem::take(&mut *self.brokers.lock()).into_iter();
        let is_its = |broker: &Arc<Broker>| Arc::ptr_eq(&broker.space, space);
        let broker = brokers.find_map(|broker| broker.upgrade().filter(is_its));
        self.brokers.lock().extend(brokers);
        if let Some(broker) = broker {
            broker.transfers.restore().await;
        }
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
