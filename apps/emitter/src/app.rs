//! The app: its settings and its protocols.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use parking_lot::Mutex;
use polywire_core::{
    App, Listening, Space, TokenPlace,
    delivery::{Encoder, OutboxOptions},
    http::{Request, Response, request},
    transport::{Endpoint, tcp::TcpProtocol, websocket::serve},
};
use rmqtt_codec::types::QoS;
use warp::{Filter, Rejection, filters::BoxedFilter};

use crate::{
    client::Encoders,
    door::{Door, Mqtt},
    encoder::PublishEncoder,
    session::{NAME, Shared},
    version::Version,
};

/// What a packet may be longer than a message: its topic and the rest.
const PACKET_BYTES_MORE: usize = 8 << 10;

/// The MQTT app.
#[derive(Clone)]
pub struct Emitter {
    authenticate: bool,
    token_place: TokenPlace,
    /// One for both transports: a client id is taken over wherever it comes from.
    shared: OnceLock<Arc<Shared>>,
}

impl Default for Emitter {
    fn default() -> Self {
        Self {
            authenticate: false,
            token_place: TokenPlace::Query("api_key".into()),
            shared: OnceLock::new(),
        }
    }
}

impl Emitter {
    /// Asks the authentication policy for every connection. Default: anybody may connect.
    ///
    /// The policy is shown the address and the password of the client: see
    /// [`password_as_query`](Self::password_as_query). Who is refused gets CONNACK 4, in MQTT 5.0 0x86.
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

    fn shared(&self, space: &Arc<Space>) -> Arc<Shared> {
        let shared = self.shared.get_or_init(|| {
            Arc::new(Shared {
                space: space.clone(),
                gate: self.authenticate.then(|| self.token_place.clone()),
                packet_bytes_max: space.limits().message_bytes_max + PACKET_BYTES_MORE,
                v3: encoders(Version::V3),
                v5: encoders(Version::V5),
                clients: Mutex::new(HashMap::new()),
            })
        });
        shared.clone()
    }
}

async fn wants_websocket(headers: HeaderMap) -> Result<(), Rejection> {
    let upgrade = headers.get(header::UPGRADE);
    match upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        true => Ok(()),
        false => Err(warp::reject::not_found()),
    }
}

fn encoders(version: Version) -> Encoders {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
        .map(|qos| Arc::new(PublishEncoder { version, qos }) as Arc<dyn Encoder>)
}

#[async_trait]
impl App for Emitter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let shared = self.shared(space);
        let options = Arc::new(Door::options(&shared));
        let door: Arc<dyn Endpoint> = Arc::new(Door(shared));
        let space = space.clone();
        let answer = move |request: Request| {
            let (space, door, options) = (space.clone(), door.clone(), options.clone());
            async move {
                let served = serve(space.runtime(), &request, NAME, &door, &options).await;
                served.unwrap_or_else(|error| error.response())
            }
        };
        let named = request(|path| path == "/mqtt").then(answer.clone());
        // Other requests for the root are other apps' business.
        let root = warp::path::end()
            .and(warp::header::headers_cloned())
            .and_then(wants_websocket)
            .untuple_one()
            .and(request(|path| path == "/"))
            .then(answer);
        named.or(root).unify().boxed()
    }

    fn weakness(&self) -> Option<String> {
        (!self.authenticate).then(|| {
            "MQTT lets whoever reaches it subscribe and publish: set apps.emitter.authenticate, listen on \
             127.0.0.1, or serve it on an address of its own that only trusted programs reach."
                .to_owned()
        })
    }

    fn tcp(&self, space: &Arc<Space>) -> Vec<Arc<dyn TcpProtocol>> {
        let limits = space.limits();
        vec![Arc::new(Mqtt {
            shared: self.shared(space),
            outbox: Arc::new(OutboxOptions {
                bytes_max: limits.outbound_bytes_max,
                stall: limits.outbound_stall(),
                // It stands behind a packet that was cut: nothing can be said.
                farewell: Bytes::new(),
            }),
        })]
    }

    fn banner(&self, at: Listening) -> Vec<String> {
        let (ip, port) = (at.address.ip(), at.address.port());
        let tls = if at.plain {
            ""
        } else {
            " --capath /etc/ssl/certs"
        };
        vec![
            format!("MQTT at {ip}:{port}, also over WebSocket at /mqtt; subscribe with"),
            format!("  mosquitto_sub -h {ip} -p {port}{tls} -t '<topic>'"),
        ]
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter")
            .field("authenticate", &self.authenticate)
            .finish_non_exhaustive()
    }
}
