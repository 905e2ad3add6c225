//! The app: its settings and its protocols.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join;
use http::{HeaderMap, HeaderName, header};
use polywire_core::{
    App, Counter, Listening, Space, TokenPlace,
    delivery::{Encoder, OutboxOptions},
    http::{AllowedOrigins, Request, Response, request},
    transport::{Endpoint, tcp::TcpProtocol, websocket::serve},
};
use rand::distr::{Alphanumeric, SampleString};
use rmqtt_codec::types::QoS;
use tokio::time::timeout;
use warp::{Filter, Rejection, filters::BoxedFilter};

use crate::{
    broker::{
        context::BrokerContext, counters::Counters, refused_filters::RefusedFilters,
        retained::RetainedMessages, shared_subscriptions::SharedSubscriptions,
        sys_topics::SysTopics,
    },
    clock::now,
    codec::{
        encoder::{Encoders, PublishEncoder},
        version::Version,
    },
    delivery::{budget::Budget, queue_log::QueueLogs, subscriber_rules::SubscriberRules},
    emitter_mode::{
        context::EmitterContext,
        keys::{Keyring, Licence, OwnKeys, Pattern, Permissions},
        pages,
    },
    server::{tcp::TcpEndpoint, websocket::WebSocketEndpoint},
    session::context::SessionContext,
    sessions::manager::SessionManager,
    settings::{EmitterSettings, Faces, InvalidSetting, NAME, SessionLimits, check_master_key},
};

/// What a packet may be longer than a message: its topic and the rest.
const PACKET_BYTES_MORE: usize = 8 << 10;

/// How long a start waits for what was there before.
const START: Duration = Duration::from_secs(10);

/// The Emitter app: MQTT, with topics that begin with a key, and with topics as they are.
#[derive(Clone)]
pub struct Emitter {
    authenticate: bool,
    token_place: TokenPlace,
    faces: Faces,
    allowed_origins: Option<Vec<String>>,
    secret: Secret,
    licence: Option<Licence>,
    refused_filters: RefusedFilters,
    session_limits: SessionLimits,
    subscription_bytes_max: usize,
    other_protocols_qos: u8,
    keep_alive_secs_max: u16,
    sys_interval: Duration,
    /// One for all addresses and transports: a client id is taken over wherever it comes from.
    started: Arc<OnceLock<Arc<SessionManager>>>,
}

/// What signs keys.
#[derive(Clone)]
enum Secret {
    Given(String),
    /// Shown at the start.
    Random(String),
}

impl Default for Emitter {
    /// With both protocols, and a random master key, which the server shows when it starts.
    fn default() -> Self {
        let settings = EmitterSettings::default();
        Self {
            authenticate: settings.authenticate,
            token_place: TokenPlace::Query("api_key".into()),
            faces: settings.face,
            allowed_origins: None,
            secret: Secret::Random(Alphanumeric.sample_string(&mut rand::rng(), 32)),
            licence: None,
            refused_filters: RefusedFilters::default(),
            session_limits: SessionLimits::default(),
            subscription_bytes_max: settings.subscription_bytes_max,
            other_protocols_qos: settings.other_protocols_qos,
            keep_alive_secs_max: settings.keep_alive_secs_max,
            sys_interval: Duration::from_secs(settings.sys_interval_secs.into()),
            started: Arc::default(),
        }
    }
}

impl Emitter {
    /// Refuses clients of plain MQTT without credentials. Default: they are anonymous.
    ///
    /// The policy is asked all the same, and shown the address, the user name and the password of the client: see
    /// [`password_as_query`](Self::password_as_query). Who shows wrong ones gets CONNACK 4, in MQTT 5.0 0x86.
    #[must_use]
    pub fn authenticate(mut self, on: bool) -> Self {
        self.authenticate = on;
        self
    }

    /// Shows the password of a client as this query parameter. Default: as `api_key`.
    #[must_use]
    pub fn password_as_query(mut self, name: impl Into<String>) -> Self {
        self.token_place = TokenPlace::Query(name.into());
        self
    }

    /// Shows the password of a client as this header.
    #[must_use]
    pub fn password_as_header(mut self, name: HeaderName) -> Self {
        self.token_place = TokenPlace::Header(name);
        self
    }

    pub(crate) fn token_place(mut self, place: TokenPlace) -> Self {
        self.token_place = place;
        self
    }

    /// Sets which protocols are offered. Default both.
    #[must_use]
    pub fn faces(mut self, faces: Faces) -> Self {
        self.faces = faces;
        self
    }

    /// Sets [`allowed_origins`](EmitterSettings::allowed_origins).
    #[must_use]
    pub fn allowed_origins(mut self, origins: Option<Vec<String>>) -> Self {
        self.allowed_origins = origins;
        self
    }

    /// Sets the key that makes other keys. All nodes have the same; another one ends all keys that were made.
    ///
    /// # Errors
    /// [`InvalidSetting::MasterKey`]
    pub fn master_key(mut self, key: impl Into<String>) -> Result<Self, InvalidSetting> {
        let key = key.into();
        check_master_key(&key)?;
        self.secret = Secret::Given(key);
        Ok(self)
    }

    /// Accepts the keys of an existing Emitter installation, its master keys too. Without a
    /// [`master_key`](Self::master_key) the licence signs what is made here.
    ///
    /// # Errors
    /// [`InvalidSetting::Licence`]
    pub fn licence(mut self, text: &str) -> Result<Self, InvalidSetting> {
        let licence = Licence::parse(text).map_err(|_| InvalidSetting::Licence)?;
        self.licence = Some(licence);
        if let Secret::Random(_) = self.secret {
            self.secret = Secret::Given(format!("licence {}", text.trim()));
        }
        Ok(self)
    }

    /// Sets topic filters that nobody may subscribe to, such as `#`: for Emitter clients without their key.
    #[must_use]
    pub fn refused_filters<F: Into<String>>(
        mut self,
        filters: impl IntoIterator<Item = F>,
    ) -> Self {
        self.refused_filters = filters.into_iter().collect();
        self
    }

    /// Sets what sessions may take that outlive their connections.
    #[must_use]
    pub fn sessions(mut self, limits: SessionLimits) -> Self {
        self.session_limits = limits;
        self
    }

    /// Sets the bytes that the subscriptions of one connection may take, each half a kilobyte and its filter. Default 8 MiB.
    #[must_use]
    pub fn subscription_bytes_max(mut self, bytes: usize) -> Self {
        self.subscription_bytes_max = bytes;
        self
    }

    /// Sets [`other_protocols_qos`](EmitterSettings::other_protocols_qos): 0, or 1 for everything else.
    #[must_use]
    pub fn other_protocols_qos(mut self, qos: u8) -> Self {
        self.other_protocols_qos = qos;
        self
    }

    /// Sets the seconds between two packets that clients of MQTT 5.0 are told to keep to where they would take longer;
    /// 0 for what they say. Others cannot be told. Default 0.
    #[must_use]
    pub fn keep_alive_secs_max(mut self, secs: u16) -> Self {
        self.keep_alive_secs_max = secs;
        self
    }

    /// Sets how often the server says something of itself on `$SYS` topics that somebody subscribed to; zero is never.
    /// Default 10 seconds.
    #[must_use]
    pub fn sys_interval(mut self, every: Duration) -> Self {
        self.sys_interval = every;
        self
    }

    /// Plain MQTT alone, for addresses that serve nothing else.
    pub fn plain(&self) -> PlainMqtt {
        PlainMqtt(self.clone())
    }

    /// A key for a channel with the permissions that these letters name: `r` subscribe, `w` publish, `s` store, `l`
    /// load, `p` presence, `e` extend, `x` execute.
    ///
    /// # Errors
    /// [`InvalidSetting::Target`]
    pub fn make_key(
        &self,
        channel: &str,
        permissions: &str,
        life: Option<Duration>,
    ) -> Result<String, InvalidSetting> {
        let target = Pattern::parse(channel).map_err(|_| InvalidSetting::Target)?;
        let end = |life: Duration| {
            u32::try_from(now().saturating_add(life.as_secs())).unwrap_or(u32::MAX)
        };
        let permissions = Permissions::of_letters(permissions);
        Ok(self.own_keys().make(permissions, &target, life.map(end)))
    }

    fn own_keys(&self) -> OwnKeys {
        match &self.secret {
            Secret::Given(secret) | Secret::Random(secret) => OwnKeys::new(secret),
        }
    }

    fn streams(&self, space: &Arc<Space>, faces: Faces) -> Arc<dyn TcpProtocol> {
        Arc::new(TcpEndpoint {
            sessions: self.session_manager(space),
            faces,
            // It stands behind a packet that was cut: nothing can be said.
            outbox: Arc::new(OutboxOptions::new(
                space.limits(),
                space.runtime().counters(),
                self.name(),
                Bytes::new(),
            )),
        })
    }

    fn is_open(&self) -> Option<String> {
        (!self.authenticate).then(|| {
            "MQTT lets whoever reaches it subscribe and publish: set apps.emitter.authenticate, or say in \
             [anonymous] what clients without credentials may do, or listen on 127.0.0.1, or serve it on an \
             address of its own that only trusted programs reach, or set apps.emitter.face to \"emitter\", which \
             asks for keys."
                .to_owned()
        })
    }

    /// Reads what was there before a restart.
    async fn open(&self, space: &Arc<Space>) {
        let sessions = self.session_manager(space);
        let opening = join(sessions.context.broker.retained.open(), sessions.open());
        if timeout(START, opening).await.is_err() {
            tracing::warn!("what MQTT clients left behind cannot be read yet");
        }
    }

    fn session_manager(&self, space: &Arc<Space>) -> Arc<SessionManager> {
        let started = self.started.get_or_init(|| {
            let broker = Arc::new(self.broker(space));
            let not_taken = broker.not_taken.clone();
            if let Some(topics) = &broker.sys_topics {
                tokio::spawn(SysTopics::run(Arc::downgrade(topics)));
            }
            let emitter = EmitterContext::new(
                broker.clone(),
                Keyring::new(self.own_keys(), self.licence.clone()),
                encoders(Version::V3, "/", &not_taken),
                encoders(Version::V5, "/", &not_taken),
            );
            SessionManager::start(SessionContext { broker, emitter })
        });
        started.clone()
    }

    /// What kept messages of other protocols count as: nothing is where nothing can be read again.
    fn kept_qos(&self, space: &Space) -> QoS {
        if self.other_protocols_qos > 0 && space.history().is_some() {
            QoS::AtLeastOnce
        } else {
            QoS::AtMostOnce
        }
    }

    fn broker(&self, space: &Arc<Space>) -> BrokerContext {
        let (every, limits) = (self.sys_interval, self.session_limits);
        let counters = Arc::new(Counters::default());
        let not_taken = counter(space, "message that the client cannot take");
        let retained = Arc::new(RetainedMessages::new(space));
        let sys_topics = (!every.is_zero()).then(|| {
            let (counters, retained) = (counters.clone(), retained.clone());
            Arc::new(SysTopics::new(space.clone(), counters, retained, every))
        });
        BrokerContext {
            space: space.clone(),
            authenticate: self.authenticate,
            password_place: self.token_place.clone(),
            packet_bytes_max: space.limits().message_bytes_max + PACKET_BYTES_MORE,
            v3: encoders(Version::V3, "", &not_taken),
            v5: encoders(Version::V5, "", &not_taken),
            retained,
            sys_topics,
            shared_subscriptions: SharedSubscriptions::default(),
            refused_filters: self.refused_filters.clone(),
            counters,
            sessions_with_gaps: counter(space, "session begun anew: messages for it were lost"),
            not_taken,
            late_packets: counter(space, "packet that did not come in time"),
            slow: counter(space, "closed a slow consumer: too much waited for it"),
            subscriptions_full: counter(space, "subscription beyond those of one connection"),
            subscriber_rules: SubscriberRules {
                subscription_bytes_max: self.subscription_bytes_max,
                kept_qos: self.kept_qos(space),
            },
            session_limits: limits,
            budget: Arc::new(Budget::new(limits.bytes_max)),
            queue_logs: QueueLogs::new(space),
            ended_sessions: Arc::default(),
            keep_alive_secs_max: self.keep_alive_secs_max,
        }
    }
}

async fn wants_websocket(headers: HeaderMap) -> Result<(), Rejection> {
    let upgrade = headers.get(header::UPGRADE);
    if upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        Ok(())
    } else {
        Err(warp::reject::not_found())
    }
}

/// The counter of this app for `reason`.
fn counter(space: &Space, reason: &'static str) -> Arc<Counter> {
    space.runtime().counters().of(NAME, reason)
}

fn encoders(version: Version, suffix: &'static str, not_taken: &Arc<Counter>) -> Encoders {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| {
        Arc::new(PublishEncoder {
            version,
            qos,
            suffix,
            not_taken: not_taken.clone(),
        }) as Arc<dyn Encoder>
    })
}

#[async_trait]
impl App for Emitter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let sessions = self.session_manager(space);
        // Where anybody may connect, it counts where a page is from.
        let default = match self.faces {
            Faces::Both | Faces::Plain if !self.authenticate => AllowedOrigins::near(),
            _ => AllowedOrigins::any(),
        };
        let listed = self.allowed_origins.as_deref();
        let mut options = WebSocketEndpoint::options(&sessions.context.broker);
        options.allowed_origins = default.or_listed(listed);
        let options = Arc::new(options);
        // What forms send has a key in it.
        let origins = AllowedOrigins::any().or_listed(listed);
        let pages = pages::routes(&sessions.context.emitter, origins);
        let endpoint: Arc<dyn Endpoint> = Arc::new(WebSocketEndpoint {
            sessions,
            faces: self.faces,
        });
        let space = space.clone();
        let answer = move |request: Request| {
            let (space, endpoint) = (space.clone(), endpoint.clone());
            let options = options.clone();
            async move {
                let served = serve(space.runtime(), &request, NAME, &endpoint, &options).await;
                served.unwrap_or_else(|error| error.response())
            }
        };
        let named = request(|path| matches!(path, "/mqtt" | "/mqtt/")).then(answer.clone());
        // Other requests for the root are other apps' business.
        let root = warp::path::end()
            .and(warp::header::headers_cloned())
            .and_then(wants_websocket)
            .untuple_one()
            .and(request(|path| path == "/"))
            .then(answer);
        let sockets = named.or(root).unify();
        match self.faces {
            Faces::Plain => sockets.boxed(),
            Faces::Both | Faces::Emitter => sockets.or(pages).unify().boxed(),
        }
    }

    async fn start(&self, space: &Arc<Space>) {
        self.open(space).await;
    }

    fn weakness(&self) -> Option<String> {
        match self.faces {
            Faces::Emitter => None,
            Faces::Both | Faces::Plain => self.is_open(),
        }
    }

    fn tcp(&self, space: &Arc<Space>) -> Vec<Arc<dyn TcpProtocol>> {
        vec![self.streams(space, self.faces)]
    }

    fn banner(&self, at: Listening) -> Vec<String> {
        let (ip, port) = (at.address.ip(), at.address.port());
        let tls = if at.plain {
            ""
        } else {
            " --capath /etc/ssl/certs"
        };
        let mut lines = Vec::new();
        if self.faces != Faces::Emitter {
            lines.push(format!(
                "MQTT at {ip}:{port}, also over WebSocket at /mqtt; subscribe with"
            ));
            lines.push(format!(
                "  mosquitto_sub -h {ip} -p {port}{tls} -t '<topic>'"
            ));
        }
        if self.faces != Faces::Plain {
            let url = at.http_url();
            lines.push(format!("Emitter at {ip}:{port}; make keys at {url}/keygen"));
            if let Secret::Random(key) = &self.secret {
                lines.push(format!(
                    "  with this server's master key, until it stops: {key}"
                ));
            }
        }
        lines
    }
}

/// MQTT with topics as they are, for addresses that name it, whatever is shown elsewhere: see [`Emitter::plain`].
#[derive(Debug)]
pub struct PlainMqtt(Emitter);

#[async_trait]
impl App for PlainMqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn routes(&self, _: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let nothing = || async { Err::<Response, _>(warp::reject::not_found()) };
        warp::any().and_then(nothing).boxed()
    }

    fn serves_http(&self) -> bool {
        false
    }

    fn only_where_named(&self) -> bool {
        true
    }

    fn tcp(&self, space: &Arc<Space>) -> Vec<Arc<dyn TcpProtocol>> {
        vec![self.0.streams(space, Faces::Plain)]
    }

    async fn start(&self, space: &Arc<Space>) {
        self.0.open(space).await;
    }

    fn weakness(&self) -> Option<String> {
        self.0.is_open()
    }

    fn banner(&self, at: Listening) -> Vec<String> {
        let (ip, port) = (at.address.ip(), at.address.port());
        vec![format!("plain MQTT at {ip}:{port}")]
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter")
            .field("authenticate", &self.authenticate)
            .field("faces", &self.faces)
            .finish_non_exhaustive()
    }
}
