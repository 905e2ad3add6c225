//! CONNECT: who the client is, and which session it gets. It is authenticated, claims the slot of its client id, resumes
//! its session or gets a new one, and is answered.

use std::{net::SocketAddr, num::NonZeroU16, sync::Arc};

use bytes::Bytes;
use bytestring::ByteString;
use polywire_core::{
    AuthenticationError, ClientId, ConnectionId, Credentials, Identity, Origin, RegistryError,
};
use rand::distr::{Alphanumeric, SampleString};
use rmqtt_codec::{
    v3,
    v5::{self, ConnectAckReason, DisconnectReasonCode},
};

use crate::{
    broker::context::BrokerContext,
    codec::{
        connect::{Connect, refused},
        outgoing,
        text::is_topic,
        topic_aliases::{ALIAS_BYTES, TopicAliases},
        version::Version,
    },
    delivery::{
        client_limits::ClientLimits,
        connection_handle::ConnectionHandle,
        inflight_window::InflightWindow,
        presence::appear,
        publisher::Publisher,
        send_queue::{SESSION_COST, SendQueue},
        subscriber::Subscriber,
    },
    emitter_mode::detect::{DetectedMode, TopicMode, Undecided},
    session::{
        absence::Absence, qos2_deduplication::UnreleasedIds, retained_replay::RetainedReplay,
        state::Session, topic_aliases::ClientTopicAliases,
    },
    sessions::{manager::SessionManager, slot::SessionSlot},
    settings::{Faces, NAME, RECEIVE_MAX, TOPIC_ALIAS_MAX},
};

/// Bytes that a packet may have that says in words what is wrong.
const WORDS_BYTES_MAX: usize = 1 << 10;

/// What to send before the connection is closed; empty for nothing.
pub(crate) struct Refused(pub(crate) Bytes);

/// Why a client is refused, as 3.1.1 and 5.0 say it.
type Reasons = (v3::ConnectAckReason, ConnectAckReason);

const UNAVAILABLE: Reasons = (
    v3::ConnectAckReason::ServiceUnavailable,
    ConnectAckReason::ServerUnavailable,
);

const BAD_CLIENT_ID: Reasons = (
    v3::ConnectAckReason::IdentifierRejected,
    ConnectAckReason::ClientIdentifierNotValid,
);

const WRONG_PASSWORD: Reasons = (
    v3::ConnectAckReason::BadUserNameOrPassword,
    ConnectAckReason::BadUserNameOrPassword,
);

/// A connection whose client has said CONNECT.
pub(crate) struct Admission<'c> {
    pub(crate) sessions: &'c SessionManager,
    pub(crate) handle: &'c Arc<ConnectionHandle>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) faces: Faces,
}

/// A client that may connect.
struct AdmittedClient<'c> {
    connect: &'c Connect,
    mode: DetectedMode,
    identity: Arc<Identity>,
    /// The client id, as it is written.
    id: ByteString,
    /// What its session is known by.
    session: ByteString,
    publisher: Publisher,
    limits: ClientLimits,
    /// Seconds that its session lasts without a connection.
    expiry_secs: u32,
    keep_alive_secs: u16,
}

impl Admission<'_> {
    /// Gives a client its session, and answers it.
    pub(crate) async fn admit(&self, connect: &Connect) -> Result<Arc<SessionSlot>, Refused> {
        let admitted = self.try_admit(connect).await;
        admitted.map_err(|(code, reason)| {
            tracing::debug!(peer = ?self.peer, ?reason, "refused a client");
            Refused(refused(connect.version, code, reason))
        })
    }

    async fn try_admit(&self, connect: &Connect) -> Result<Arc<SessionSlot>, Reasons> {
        let client = self.authenticate(connect).await?;
        let slot = SessionSlot::new(self.handle.clone(), &self.broker().space);
        let mut held = slot.session.lock().await;
        let before = self.claim_slot(&client, &slot).await?;
        let session_present = before.is_some();
        let mut session = match before {
            Some(session) => self.resume(session, &client).await,
            None => self.create(&client),
        };
        if client.expiry_secs > 0
            && let Err(error) = self.sessions.remember(&mut session).await
        {
            warn_of(&error, &client.id, "a session cannot be written down");
            // What there was of it stays.
            let absence = Absence::from_now(client.expiry_secs);
            session.absence = Some(absence);
            *held = Some(session);
            drop(held);
            self.sessions.schedule(&client.session, absence);
            self.sessions.connection_closed(&slot).await;
            return Err(UNAVAILABLE);
        }
        self.answer(&client, session_present);
        self.begin(&mut session, &client);
        let replay = &mut session.retained_replay;
        replay
            .resumed(&session.subscriber, &self.sessions.context.broker)
            .await;
        *held = Some(session);
        drop(held);
        Ok(slot)
    }

    fn broker(&self) -> &BrokerContext {
        &self.sessions.context.broker
    }

    /// Finds out who the client is, and whether it may connect as that.
    async fn authenticate<'c>(&self, connect: &'c Connect) -> Result<AdmittedClient<'c>, Reasons> {
        let mode = DetectedMode::of(connect, self.faces, &self.sessions.context.emitter);
        check(connect, mode)?;
        let (identity, expiry_secs) = match mode {
            // Its keys say what a client may do, and there are no sessions that outlive a connection.
            DetectedMode::Emitter => (Arc::default(), 0),
            DetectedMode::Plain | DetectedMode::Undecided => (
                self.identify(connect).await?,
                self.broker().expiry_secs(connect.session_expiry_secs),
            ),
        };
        let id = if connect.client_id.is_empty() {
            Alphanumeric.sample_string(&mut rand::rng(), 22).into()
        } else {
            connect.client_id.clone()
        };
        let limit = self.broker().space.limits().name_bytes_max;
        let name = match ClientId::new(&id) {
            Ok(name) if id.len() <= limit => name,
            _ => return Err(BAD_CLIENT_ID),
        };
        let origin = Origin::new(NAME, identity.clone()).peer(self.peer);
        // One that is given to it is not claimed.
        if !connect.client_id.is_empty() {
            let identified = self.broker().space.identify(&origin, name.clone());
            identified.map_err(|_| BAD_CLIENT_ID)?;
        }
        let publisher = Publisher::new(&name, &identity);
        Ok(AdmittedClient {
            connect,
            mode,
            identity,
            id,
            session: publisher.session().as_str().into(),
            publisher,
            limits: ClientLimits {
                version: connect.version,
                packet_bytes_max: connect.packet_bytes_max.map(|max| max as usize),
            },
            expiry_secs,
            keep_alive_secs: self.keep_alive_secs(connect),
        })
    }

    /// Asks the policy who it is.
    async fn identify(&self, connect: &Connect) -> Result<Arc<Identity>, Reasons> {
        let broker = self.broker();
        let mut credentials = Credentials::for_app(NAME);
        credentials.peer = self.peer;
        credentials.user = connect.username.as_deref().map(str::to_owned);
        if let Some(password) = &connect.password {
            // What is no text is nobody's password.
            let password = std::str::from_utf8(password).map_err(|_| WRONG_PASSWORD)?;
            broker.password_place.put(password, &mut credentials);
        }
        let answer = if broker.authenticate {
            broker.space.authenticate(&credentials).await
        } else {
            broker.space.authenticate_at_open_door(&credentials).await
        };
        answer.map_err(|error| match error {
            AuthenticationError::Unavailable(_) => UNAVAILABLE,
            AuthenticationError::Throttled(_) => (
                v3::ConnectAckReason::NotAuthorized,
                ConnectAckReason::ConnectionRateExceeded,
            ),
            _ => WRONG_PASSWORD,
        })
    }

    /// Seconds between two packets, where the client can be told of others than it says.
    fn keep_alive_secs(&self, connect: &Connect) -> u16 {
        let (asked, max) = (connect.keep_alive_secs, self.broker().keep_alive_secs_max);
        let is_too_long = asked == 0 || asked > max;
        match connect.version {
            Version::V5 if max > 0 && is_too_long => max,
            Version::V3 | Version::V5 => asked,
        }
    }

    /// Takes the slot of the client id, over from an earlier connection if there is one. Returns the session that the
    /// client goes on with; one that it does not go on with is ended.
    async fn claim_slot(
        &self,
        client: &AdmittedClient<'_>,
        slot: &Arc<SessionSlot>,
    ) -> Result<Option<Box<Session>>, Reasons> {
        let (sessions, connect) = (self.sessions, client.connect);
        let before = match sessions.take_over(&client.session, slot).await {
            Some(session) => Some(session),
            None => match sessions
                .restore(&client.session, !connect.clean_start)
                .await
            {
                Ok(before) => before,
                // Where it is not known whether there is an earlier session who asks for none is not kept waiting.
                Err(_) if connect.clean_start && connect.session_expiry_secs == 0 => None,
                Err(error) => {
                    warn_of(&error, &client.id, "a session cannot be read");
                    sessions.release(&client.session, slot);
                    return Err(UNAVAILABLE);
                }
            },
        };
        let before = match before {
            Some(session) if goes_on(&session, client, self.peer) => Some(session),
            Some(session) => {
                if session.subscriber.has_gap() {
                    self.broker().sessions_with_gaps.add();
                }
                sessions.end(session).await;
                None
            }
            None => None,
        };
        let budget = &self.broker().budget;
        if client.expiry_secs > 0 && before.is_none() && !budget.has_room(SESSION_COST) {
            sessions.release(&client.session, slot);
            let code = v3::ConnectAckReason::ServiceUnavailable;
            return Err((code, ConnectAckReason::QuotaExceeded));
        }
        Ok(before)
    }

    /// The earlier session of a client, which has come back.
    async fn resume(&self, mut session: Box<Session>, client: &AdmittedClient<'_>) -> Box<Session> {
        session.client_returned(&self.sessions.context).await;
        session.attachment.renew(client.identity.clone(), self.peer);
        session.version = client.limits.version;
        session.will.clone_from(&client.connect.will);
        session.expiry_secs = client.expiry_secs;
        session.wants_reason_strings = wants_reason_strings(client);
        session.is_bridge = client.connect.is_bridge;
        session
    }

    /// A session of a client that has none yet. It is away until it [begins](Self::begin), where it may outlive this
    /// connection.
    fn create(&self, client: &AdmittedClient<'_>) -> Box<Session> {
        let subscriber = Arc::new(self.subscriber(client));
        // Nobody, until it is known what it speaks.
        let origin = Origin::new(NAME, Arc::<Identity>::default()).peer(self.peer);
        let mut attachment = self.broker().space.attach(origin, subscriber.clone());
        attachment.bounded_by_app();
        Box::new(Session {
            version: client.limits.version,
            id: client.session.clone(),
            subscriber,
            mode: TopicMode::Undecided(Box::new(Undecided {
                username: client.connect.username.clone(),
                identity: client.identity.clone(),
            })),
            attachment,
            will: client.connect.will.clone(),
            unreleased: UnreleasedIds::default(),
            topic_aliases: ClientTopicAliases::default(),
            shared_subscriptions: Vec::new(),
            expiry_secs: client.expiry_secs,
            absence: None,
            is_written: false,
            wants_reason_strings: wants_reason_strings(client),
            is_bridge: client.connect.is_bridge,
            retained_replay: RetainedReplay::default(),
        })
    }

    fn subscriber(&self, client: &AdmittedClient<'_>) -> Subscriber {
        let broker = self.broker();
        let connection = ConnectionId::next(broker.space.hub().node());
        let bytes_max = broker.space.limits().outbound_bytes_max;
        let rules = broker.subscriber_rules;
        let (window, limits) = (window(client), client.limits);
        let publisher = client.publisher.clone();
        let not_taken = broker.not_taken.clone();
        if client.expiry_secs == 0 {
            let queue = SendQueue::new(window, bytes_max, not_taken);
            let handle = self.handle.clone();
            Subscriber::new(
                connection,
                publisher,
                handle,
                limits,
                queue,
                aliases(client),
                rules,
            )
        } else {
            let log = broker.queue_logs.begin(&client.session);
            let budget = broker.budget.clone();
            let queue = SendQueue::persistent(window, bytes_max, budget, log, not_taken);
            let encoders = broker.encoders(limits.version);
            let ended = broker.ended_sessions.clone();
            Subscriber::persistent(connection, publisher, limits, encoders, queue, ended, rules)
        }
    }

    /// CONNACK.
    fn answer(&self, client: &AdmittedClient<'_>, session_present: bool) {
        self.handle.connected(client.limits, client.keep_alive_secs);
        let connect = client.connect;
        self.handle.send(match client.limits.version {
            Version::V3 => outgoing::v3(v3::Packet::ConnectAck(v3::ConnectAck {
                return_code: v3::ConnectAckReason::ConnectionAccepted,
                session_present,
            })),
            Version::V5 => outgoing::v5(v5::Packet::ConnectAck(Box::new(v5::ConnectAck {
                session_present,
                session_expiry_interval_secs: (client.expiry_secs != connect.session_expiry_secs)
                    .then_some(client.expiry_secs),
                receive_max: NonZeroU16::new(RECEIVE_MAX).unwrap_or(NonZeroU16::MIN),
                max_packet_size: u32::try_from(self.broker().packet_bytes_max).ok(),
                assigned_client_id: connect.client_id.is_empty().then(|| client.id.clone()),
                topic_alias_max: TOPIC_ALIAS_MAX,
                server_keepalive_sec: (client.keep_alive_secs != connect.keep_alive_secs)
                    .then_some(client.keep_alive_secs),
                ..v5::ConnectAck::default()
            }))),
        });
    }

    /// A session begins to use the connection: what waits for its client comes behind the answer.
    fn begin(&self, session: &mut Session, client: &AdmittedClient<'_>) {
        let encoders = self.broker().encoders(client.limits.version);
        let (window, aliases) = (window(client), aliases(client));
        let subscriber = &session.subscriber;
        subscriber.connected(self.handle, client.limits, encoders, window, aliases);
        if subscriber.has_ended() {
            // Before it had this connection.
            self.handle.disconnect(DisconnectReasonCode::NotAuthorized);
        }
        if client.mode != DetectedMode::Undecided {
            let is_emitter = client.mode == DetectedMode::Emitter;
            let context = &self.sessions.context;
            session.choose_mode(is_emitter, context);
        }
        if matches!(session.mode, TopicMode::Plain) {
            let username = client.connect.username.as_ref();
            appear(&mut session.attachment, &session.subscriber, username);
        }
    }
}

fn warn_of(error: &RegistryError, id: &str, what: &str) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, client = id, "{what}");
}

fn window(client: &AdmittedClient<'_>) -> InflightWindow {
    let messages_max = client.connect.receive_max.unwrap_or(RECEIVE_MAX);
    let packet_bytes_max = client.limits.packet_bytes_max.unwrap_or(usize::MAX);
    // An alias is added when a packet is sent.
    let alias_bytes = if aliases(client).is_empty() {
        0
    } else {
        ALIAS_BYTES
    };
    InflightWindow {
        version: client.limits.version,
        messages_max: usize::from(messages_max.min(RECEIVE_MAX)),
        packet_bytes_max: packet_bytes_max.saturating_sub(alias_bytes),
    }
}

fn aliases(client: &AdmittedClient<'_>) -> TopicAliases {
    TopicAliases::new(client.connect.aliases_max.min(TOPIC_ALIAS_MAX))
}

/// Whether a client wants to be told in words what is wrong, and has room for them.
fn wants_reason_strings(client: &AdmittedClient<'_>) -> bool {
    client.connect.wants_reason_strings && client.limits.accepts(WORDS_BYTES_MAX)
}

/// Whether a client goes on with its earlier session: it must want to, the session must not have ended, and who
/// has come may read all that the session is subscribed to.
fn goes_on(session: &Session, client: &AdmittedClient<'_>, peer: Option<SocketAddr>) -> bool {
    let origin = Origin::new(NAME, client.identity.clone()).peer(peer);
    !client.connect.clean_start
        && client.mode != DetectedMode::Emitter
        && session.is_persistent()
        && !session.subscriber.has_gap()
        && !session.absence.is_some_and(|absence| absence.is_over())
        // Of somebody whose rights ended meanwhile it does not come back.
        && session.may_be_of(session.attachment.origin())
        && session.may_be_of(&origin)
}

/// What a CONNECT asks for that there is not, or that is wrong.
fn check(connect: &Connect, mode: DetectedMode) -> Result<(), Reasons> {
    let unavailable = v3::ConnectAckReason::ServiceUnavailable;
    if connect.enhanced {
        return Err((unavailable, ConnectAckReason::BadAuthenticationMethod));
    }
    match &connect.will {
        Some(will) if mode != DetectedMode::Emitter && !is_topic(&will.topic) => {
            Err((unavailable, ConnectAckReason::TopicNameInvalid))
        }
        _ => Ok(()),
    }
}
