//! What CONNECT does: who the client is, and which session it gets.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    num::NonZeroU16,
    sync::Arc,
};

use bytes::Bytes;
use bytestring::ByteString;
use polywire_core::{AuthenticationError, ClientId, ConnectionId, Credentials, Identity, Origin};
use rand::distr::{Alphanumeric, SampleString};
use rmqtt_codec::{
    v3,
    v5::{self, ConnectAckReason},
};

use crate::{
    client::Client,
    connect::{Connect, refused},
    contact::{Contact, Terms},
    face::{Face, Faces},
    in_flight::{InFlight, SESSION_COST, Window},
    keys::now,
    outgoing,
    own::Aliases,
    session::{Absence, Session},
    sessions::Seat,
    shared::{ALIASES_MAX, IN_FLIGHT_MAX, NAME, Shared},
    subscription::is_topic,
    version::Version,
};

/// Bytes that a packet may have that says in words what is wrong.
const WORDS_BYTES_MAX: usize = 1 << 10;

/// What is known of the face of a client that connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Undecided,
    Plain,
    Emitter,
}

/// What to send before the connection is closed; empty for nothing.
pub(crate) struct Refused(pub(crate) Bytes);

type Reasons = (v3::ConnectAckReason, ConnectAckReason);

const UNAVAILABLE: Reasons = (
    v3::ConnectAckReason::ServiceUnavailable,
    ConnectAckReason::ServerUnavailable,
);

/// A connection whose client has said CONNECT.
pub(crate) struct Admission<'c> {
    pub(crate) shared: &'c Arc<Shared>,
    pub(crate) contact: &'c Arc<Contact>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) faces: Faces,
}

impl Admission<'_> {
    /// Gives a client its session, and answers it.
    pub(crate) async fn admit(&self, connect: Connect) -> Result<Arc<Seat>, Refused> {
        let version = connect.version;
        let refuse = |(code, reason): Reasons| {
            tracing::debug!(peer = ?self.peer, ?reason, "refused a client");
            Refused(refused(version, code, reason))
        };
        let sight = self.sight(&connect);
        wrong(&connect, sight).map_err(refuse)?;
        let identity = match sight {
            // Its keys say what a client may do.
            Sight::Emitter => Ok(Identity::anybody()),
            Sight::Plain | Sight::Undecided => self.identify(&connect).await,
        };
        let identity = identity.map_err(refuse)?;
        let assigned = connect.client_id.is_empty();
        let id: ByteString = match assigned {
            true => Alphanumeric.sample_string(&mut rand::rng(), 22).into(),
            false => connect.client_id.clone(),
        };
        let limit = self.shared.space.limits().name_bytes_max;
        let client = match ClientId::new(&id) {
            Ok(client) if id.len() <= limit => client,
            _ => {
                let code = v3::ConnectAckReason::IdentifierRejected;
                return Err(refuse((code, ConnectAckReason::ClientIdentifierNotValid)));
            }
        };
        let sessions = &self.shared.sessions;
        let seat = Seat::new(Some(self.contact.clone()), &self.shared.space);
        let mut place = seat.session.lock().await;
        let before = match sessions.sit(&id, seat.clone()) {
            Some(before) => before.give_up().await,
            None => None,
        };
        let before = match before {
            // Where it is not known whether there is an earlier session who asks for none is not kept waiting.
            None => match sessions
                .recall(&id, !connect.clean_start, self.shared)
                .await
            {
                Ok(before) => before,
                Err(_) if connect.clean_start && connect.session_expiry_secs == 0 => None,
                Err(error) => {
                    tracing::warn!(%error, client = %id, "a session cannot be read");
                    sessions.stand_up(&id, &seat);
                    return Err(refuse(UNAVAILABLE));
                }
            },
            before => before,
        };
        let before = match before {
            Some(session) if goes_on(&session, &connect, sight, &identity) => Some(session),
            Some(session) => {
                sessions.end(session, self.shared).await;
                None
            }
            None => None,
        };
        let expiry_secs = match sight {
            Sight::Emitter => 0,
            Sight::Plain | Sight::Undecided => sessions.expiry_secs(connect.session_expiry_secs),
        };
        if expiry_secs > 0 && before.is_none() && !sessions.budget.has_room(SESSION_COST) {
            sessions.stand_up(&id, &seat);
            let code = v3::ConnectAckReason::ServiceUnavailable;
            return Err(refuse((code, ConnectAckReason::QuotaExceeded)));
        }
        let terms = Terms {
            version,
            packet_bytes_max: connect.packet_bytes_max.map(|max| max as usize),
        };
        let keep_alive_secs = self.keep_alive_secs(&connect);
        let is_present = before.is_some();
        let mut session = match before {
            Some(mut session) => {
                session.come_back(self.shared).await;
                session.attachment.renew(identity, self.peer);
                Box::new(Session {
                    version,
                    will: connect.will.clone(),
                    expiry_secs,
                    is_explained: is_explained(terms, &connect),
                    ..*session
                })
            }
            None => self.session(id.clone(), client, terms, &connect, identity, expiry_secs),
        };
        if expiry_secs > 0
            && let Err(error) = sessions.remember(&mut session, &self.shared.space).await
        {
            tracing::warn!(%error, client = %id, "a session cannot be written down");
            // What there was of it stays.
            session.absence = Some(Absence::from_now(expiry_secs));
            *place = Some(session);
            drop(place);
            sessions.part(self.shared, &seat).await;
            return Err(refuse(UNAVAILABLE));
        }
        self.contact.connected(terms, keep_alive_secs);
        self.contact.send(match version {
            Version::V3 => outgoing::v3(v3::Packet::ConnectAck(v3::ConnectAck {
                return_code: v3::ConnectAckReason::ConnectionAccepted,
                session_present: is_present,
            })),
            Version::V5 => outgoing::v5(v5::Packet::ConnectAck(Box::new(v5::ConnectAck {
                session_present: is_present,
                session_expiry_interval_secs: (expiry_secs != connect.session_expiry_secs)
                    .then_some(expiry_secs),
                receive_max: NonZeroU16::new(IN_FLIGHT_MAX).unwrap_or(NonZeroU16::MIN),
                max_packet_size: u32::try_from(self.shared.packet_bytes_max).ok(),
                assigned_client_id: assigned.then(|| id.clone()),
                topic_alias_max: ALIASES_MAX,
                server_keepalive_sec: (keep_alive_secs != connect.keep_alive_secs)
                    .then_some(keep_alive_secs),
                ..v5::ConnectAck::default()
            }))),
        });
        // Behind the answer.
        self.come(&session.client, terms, &connect);
        if sight != Sight::Undecided && matches!(session.face, Face::Undecided(_)) {
            let is_emitter = sight == Sight::Emitter;
            let client = session.client.clone();
            let face = &mut session.face;
            face.choose(is_emitter, self.shared, &client, version).await;
        }
        *place = Some(session);
        drop(place);
        Ok(seat)
    }

    /// Seconds between two packets, where the client can be told of others than it says.
    fn keep_alive_secs(&self, connect: &Connect) -> u16 {
        let (asked, max) = (connect.keep_alive_secs, self.shared.keep_alive_secs_max);
        let is_too_long = asked == 0 || asked > max;
        match connect.version {
            Version::V5 if max > 0 && is_too_long => max,
            Version::V3 | Version::V5 => asked,
        }
    }

    /// A session of a client that has none yet. It is away until it [comes](Self::come), where it may outlive this
    /// connection.
    fn session(
        &self,
        id: ByteString,
        name: ClientId,
        terms: Terms,
        connect: &Connect,
        identity: Arc<Identity>,
        expiry_secs: u32,
    ) -> Box<Session> {
        let client = self.client(&id, name, terms, connect, expiry_secs);
        let mut origin = Origin::new(NAME, identity).peer(self.peer);
        origin.client = None;
        let attachment = self.shared.space.attach(origin, client.clone());
        Box::new(Session {
            version: terms.version,
            id,
            client,
            face: Face::Undecided(connect.username.clone()),
            attachment,
            will: connect.will.clone(),
            received: HashSet::new(),
            aliases: HashMap::new(),
            groups: Vec::new(),
            expiry_secs,
            absence: None,
            is_written: false,
            is_explained: is_explained(terms, connect),
        })
    }

    fn window(&self, terms: Terms, connect: &Connect) -> Window {
        let messages_max = connect.receive_max.unwrap_or(IN_FLIGHT_MAX);
        Window {
            version: terms.version,
            messages_max: usize::from(messages_max.min(IN_FLIGHT_MAX)),
            packet_bytes_max: terms.packet_bytes_max.unwrap_or(usize::MAX),
        }
    }

    fn client(
        &self,
        id: &str,
        name: ClientId,
        terms: Terms,
        connect: &Connect,
        expiry_secs: u32,
    ) -> Arc<Client> {
        let (space, sessions) = (&self.shared.space, &self.shared.sessions);
        let connection = ConnectionId::next(space.hub().node());
        let bytes_max = space.limits().outbound_bytes_max;
        let window = self.window(terms, connect);
        Arc::new(if expiry_secs == 0 {
            let aliases = Aliases::new(connect.aliases_max.min(ALIASES_MAX));
            let in_flight = InFlight::new(window, bytes_max);
            let contact = self.contact.clone();
            Client::new(connection, name, contact, terms, in_flight, aliases)
        } else {
            let (budget, ledger) = (sessions.budget.clone(), sessions.ledgers.begin(id));
            let in_flight = InFlight::lasting(window, bytes_max, budget, ledger);
            let encoders = self.shared.plain(terms.version);
            Client::lasting(connection, name, terms, encoders, in_flight)
        })
    }

    /// A client whose session may outlive this connection has come.
    fn come(&self, client: &Client, terms: Terms, connect: &Connect) {
        let aliases = Aliases::new(connect.aliases_max.min(ALIASES_MAX));
        let encoders = self.shared.plain(terms.version);
        let window = self.window(terms, connect);
        client.come(self.contact, terms, encoders, window, aliases);
    }

    /// What can be told of the face from how a client connects.
    fn sight(&self, connect: &Connect) -> Sight {
        match self.faces {
            Faces::Emitter => Sight::Emitter,
            Faces::Plain => Sight::Plain,
            Faces::Both if self.shared.gate.is_some() => match connect.password {
                Some(_) => Sight::Plain,
                None => Sight::Emitter,
            },
            Faces::Both => match &connect.will {
                Some(will) if self.shared.emitter.is_meant(&will.topic) => Sight::Emitter,
                Some(_) => Sight::Plain,
                None => Sight::Undecided,
            },
        }
    }

    /// Asks the policy who it is, where that is asked.
    async fn identify(&self, connect: &Connect) -> Result<Arc<Identity>, Reasons> {
        let Some(place) = &self.shared.gate else {
            return Ok(Identity::anybody());
        };
        let mut credentials = Credentials::for_app(NAME);
        credentials.peer = self.peer;
        let password = connect.password.as_deref();
        if let Some(Ok(password)) = password.map(std::str::from_utf8) {
            place.put(password, &mut credentials);
        }
        let answer = self.shared.space.authenticate(&credentials).await;
        answer.map(Arc::new).map_err(|error| match error {
            AuthenticationError::Unavailable(_) => UNAVAILABLE,
            _ => (
                v3::ConnectAckReason::BadUserNameOrPassword,
                ConnectAckReason::BadUserNameOrPassword,
            ),
        })
    }
}

/// Whether a client wants to be told in words what is wrong, and has room for them.
fn is_explained(terms: Terms, connect: &Connect) -> bool {
    connect.explained && terms.take(WORDS_BYTES_MAX)
}

/// Whether a client goes on with its earlier session: it must want to, the session must not have ended, and who
/// has come may read all that the session is subscribed to.
fn goes_on(session: &Session, connect: &Connect, sight: Sight, identity: &Identity) -> bool {
    let is_over = |ends_at| ends_at <= now();
    !connect.clean_start
        && sight != Sight::Emitter
        && session.lasts()
        && !session
            .absence
            .is_some_and(|absence| is_over(absence.ends_at))
        && session.may_be_of(identity)
}

/// What a CONNECT asks for that there is not, or that is wrong.
fn wrong(connect: &Connect, sight: Sight) -> Result<(), Reasons> {
    let unavailable = v3::ConnectAckReason::ServiceUnavailable;
    if connect.enhanced {
        return Err((unavailable, ConnectAckReason::BadAuthenticationMethod));
    }
    match &connect.will {
        Some(will) if sight != Sight::Emitter && !is_topic(&will.topic) => {
            Err((unavailable, ConnectAckReason::TopicNameInvalid))
        }
        _ => Ok(()),
    }
}
