//! One connection: what its packets do.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    num::NonZeroU16,
    sync::{Arc, Weak},
};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use parking_lot::Mutex;
use polywire_core::{
    AuthenticationError, Channel, ClientId, ConnectionId, Credentials, Draft, Identity, Origin,
    Payload, Space, TokenPlace, delivery::Link,
};
use rand::distr::{Alphanumeric, SampleString};
use rmqtt_codec::{
    v3,
    v5::{self, ConnectAckReason, DisconnectReasonCode},
};

use crate::{
    client::{Client, Encoders, Terms},
    connect::{Connect, refused},
    connected::{Connected, described, publish_plain},
    face::{Face, Faces, Service, zero_id},
    in_flight::InFlight,
    incoming::Incoming,
    outgoing,
    own::Aliases,
    reader::{BadLength, PacketReader},
    retained::Retained,
    subscription::is_topic,
    version::Version,
};

/// The short name of the app.
pub(crate) const NAME: &str = "emitter";

/// Messages of quality 1 and 2 that are on their way in one direction, at most.
pub(crate) const IN_FLIGHT_MAX: u16 = 1000;

/// Short names of topics in one direction, at most.
pub(crate) const ALIASES_MAX: u16 = 32;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) space: Arc<Space>,
    /// Where the password is shown; none when nobody is asked for one.
    pub(crate) gate: Option<TokenPlace>,
    pub(crate) packet_bytes_max: usize,
    pub(crate) v3: Encoders,
    pub(crate) v5: Encoders,
    pub(crate) emitter: Arc<Service>,
    pub(crate) retained: Retained,
    /// Who is connected on this node, by client id.
    pub(crate) clients: Mutex<HashMap<ByteString, Arc<Client>>>,
}

/// What is known of the face of a client that connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Undecided,
    Plain,
    Emitter,
}

enum Stage {
    /// CONNECT has not come.
    New,
    Connected(Box<Connected>),
    Ended,
}

/// One connection.
pub(crate) struct Session {
    shared: Arc<Shared>,
    client: Arc<Client>,
    connection: ConnectionId,
    peer: Option<SocketAddr>,
    faces: Faces,
    reader: PacketReader,
    stage: Stage,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        link: Link,
        peer: Option<SocketAddr>,
        faces: Faces,
    ) -> Self {
        let connection = ConnectionId::next(shared.space.hub().node());
        let wheel = shared.space.runtime().wheel();
        let connect_secs = shared.space.limits().header_secs;
        let client = Arc::new(Client::new(connection, link, wheel.now(), connect_secs));
        let weak: Weak<Client> = Arc::downgrade(&client);
        wheel.add(weak, connect_secs + 1);
        Self {
            reader: PacketReader::new(shared.packet_bytes_max),
            shared,
            client,
            connection,
            peer,
            faces,
            stage: Stage::New,
        }
    }

    /// Takes bytes, cut anywhere.
    pub(crate) async fn take(&mut self, bytes: Bytes) {
        self.client.heard(self.shared.space.runtime().wheel().now());
        self.reader.push(bytes);
        loop {
            if matches!(self.stage, Stage::Ended) {
                return;
            }
            match self.reader.next() {
                Ok(Some(packet)) => self.packet(packet).await,
                Ok(None) => return,
                Err(BadLength::TooLong) => self.fail(DisconnectReasonCode::PacketTooLarge).await,
                Err(BadLength::Malformed) => {
                    self.fail(DisconnectReasonCode::MalformedPacket).await;
                }
            }
        }
    }

    /// The connection has ended.
    pub(crate) async fn closed(&mut self) {
        self.end().await;
    }

    async fn packet(&mut self, mut packet: BytesMut) {
        let Stage::Connected(connected) = &mut self.stage else {
            return match Connect::decode(packet) {
                // Boxed, so that a connected client does not carry room for it.
                Ok(connect) => Box::pin(self.connect(connect)).await,
                Err(last) => self.refuse(last),
            };
        };
        let lent = connected.version == Version::V3 && zero_id::lend(&mut packet);
        let outcome = match Incoming::decode(connected.version, packet) {
            Ok(incoming) => {
                connected
                    .take(incoming, lent, &self.shared, &self.client)
                    .await
            }
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => {
                self.client.close();
                self.end().await;
            }
            Err(reason) => self.fail(reason).await,
        }
    }

    fn refuse(&mut self, last: Bytes) {
        if !last.is_empty() {
            self.client.send(Some(last));
        }
        self.client.close();
        self.stage = Stage::Ended;
    }

    async fn connect(&mut self, connect: Connect) {
        let sight = self.sight(&connect);
        if let Some((code, reason)) = wrong(&connect, sight) {
            tracing::debug!(peer = ?self.peer, ?reason, "refused a client");
            return self.refuse(refused(connect.version, code, reason));
        }
        let admitted = match sight {
            // Its keys say what a client may do.
            Sight::Emitter => Ok(Identity::anybody()),
            Sight::Plain | Sight::Undecided => self.admit(&connect).await,
        };
        let identity = match admitted {
            Ok(identity) => identity,
            Err((code, reason)) => return self.refuse(refused(connect.version, code, reason)),
        };
        let version = connect.version;
        let assigned = connect.client_id.is_empty();
        let id = match assigned {
            true => Alphanumeric.sample_string(&mut rand::rng(), 22).into(),
            false => connect.client_id,
        };
        let limit = self.shared.space.limits().name_bytes_max;
        let client = match ClientId::new(&id) {
            Ok(client) if id.len() <= limit => client,
            _ => {
                let code = v3::ConnectAckReason::IdentifierRejected;
                let reason = ConnectAckReason::ClientIdentifierNotValid;
                return self.refuse(refused(version, code, reason));
            }
        };
        let receive_max = connect.receive_max.unwrap_or(IN_FLIGHT_MAX);
        let in_flight = InFlight::new(
            usize::from(receive_max.min(IN_FLIGHT_MAX)),
            self.shared.space.limits().outbound_bytes_max,
        );
        let terms = Terms {
            version,
            client: client.clone(),
            packet_bytes_max: connect.packet_bytes_max.map(|max| max as usize),
        };
        let aliases = Aliases::new(connect.aliases_max.min(ALIASES_MAX));
        self.client
            .connected(terms, in_flight, aliases, connect.keep_alive_secs);
        let before = self
            .shared
            .clients
            .lock()
            .insert(id.clone(), self.client.clone());
        if let Some(before) = before {
            before.disconnect(DisconnectReasonCode::SessionTakenOver);
        }
        let mut origin = Origin::new(NAME, identity).peer(self.peer);
        origin.client = None;
        let attachment = self.shared.space.attach(origin, self.client.clone());
        let answer = match version {
            Version::V3 => outgoing::v3(v3::Packet::ConnectAck(v3::ConnectAck {
                return_code: v3::ConnectAckReason::ConnectionAccepted,
                session_present: false,
            })),
            Version::V5 => outgoing::v5(v5::Packet::ConnectAck(Box::new(v5::ConnectAck {
                // Sessions end with their connection.
                session_expiry_interval_secs: (connect.session_expiry_secs > 0).then_some(0),
                receive_max: NonZeroU16::new(IN_FLIGHT_MAX).unwrap_or(NonZeroU16::MIN),
                max_packet_size: u32::try_from(self.shared.packet_bytes_max).ok(),
                assigned_client_id: assigned.then(|| id.clone()),
                topic_alias_max: ALIASES_MAX,
                ..v5::ConnectAck::default()
            }))),
        };
        self.client.send(answer);
        let mut face = Face::Undecided(connect.username);
        if sight != Sight::Undecided {
            let is_emitter = sight == Sight::Emitter;
            face.choose(is_emitter, &self.shared, &self.client, version)
                .await;
        }
        self.stage = Stage::Connected(Box::new(Connected {
            version,
            id,
            client,
            face,
            attachment,
            will: connect.will,
            received: HashSet::new(),
            aliases: HashMap::new(),
            groups: Vec::new(),
        }));
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
    async fn admit(
        &self,
        connect: &Connect,
    ) -> Result<Arc<Identity>, (v3::ConnectAckReason, ConnectAckReason)> {
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
            AuthenticationError::Unavailable(_) => (
                v3::ConnectAckReason::ServiceUnavailable,
                ConnectAckReason::ServerUnavailable,
            ),
            _ => (
                v3::ConnectAckReason::BadUserNameOrPassword,
                ConnectAckReason::BadUserNameOrPassword,
            ),
        })
    }

    /// Ends the connection for a fault of the client.
    async fn fail(&mut self, reason: DisconnectReasonCode) {
        tracing::debug!(peer = ?self.peer, ?reason, "closed a client");
        self.client.disconnect(reason);
        self.end().await;
    }

    /// Leaves everything; the will is published unless the client took it back.
    async fn end(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        let Stage::Connected(connected) = stage else {
            return;
        };
        {
            let mut clients = self.shared.clients.lock();
            let is_own = |client: &Arc<Client>| Arc::ptr_eq(client, &self.client);
            if clients.get(&connected.id).is_some_and(is_own) {
                clients.remove(&connected.id);
            }
        }
        let Connected {
            client,
            face,
            attachment,
            will,
            groups,
            ..
        } = *connected;
        for (group, filter) in groups {
            let shares = &self.shared.emitter.groups;
            shares
                .leave(&self.shared.space, &group, &filter, &client)
                .await;
        }
        if let Face::Emitter(speaker) = face {
            Box::pin(speaker.end(will, &attachment)).await;
            return attachment.disconnect().await;
        }
        if let Some(will) = will
            && let Ok(topic) = Channel::new(&will.topic)
        {
            let about = will.about.expires_in(will.expiry_secs);
            let draft = Draft::new(topic, Payload::untyped(will.payload)).publisher(client);
            let draft = described(draft, &about, will.expiry_secs);
            let published = publish_plain(&self.shared, &attachment, draft, about.retain);
            if let Err(refusal) = Box::pin(published).await {
                tracing::debug!(connection = %self.connection, %refusal, "a will was not published");
            }
        }
        attachment.disconnect().await;
    }
}

/// What a CONNECT asks for that there is not, or that is wrong.
fn wrong(connect: &Connect, sight: Sight) -> Option<(v3::ConnectAckReason, ConnectAckReason)> {
    let unavailable = v3::ConnectAckReason::ServiceUnavailable;
    if connect.enhanced {
        return Some((unavailable, ConnectAckReason::BadAuthenticationMethod));
    }
    if connect.persistent {
        return Some((unavailable, ConnectAckReason::ImplementationSpecificError));
    }
    let will = connect.will.as_ref()?;
    if sight == Sight::Emitter {
        return None;
    }
    if !is_topic(&will.topic) {
        return Some((unavailable, ConnectAckReason::TopicNameInvalid));
    }
    None
}
