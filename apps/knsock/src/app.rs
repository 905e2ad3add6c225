//! The app: its settings and its protocol.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderName;
use polywire_core::{
    App, Composition, FromSettings, Listening, Space, TokenPlace,
    delivery::OutboxOptions,
    http::Response,
    settings::Problem,
    transport::{
        Socket,
        tcp::{Recognition, StreamOptions, TcpProtocol, serve_stream},
    },
};
use warp::{Filter, filters::BoxedFilter};

use crate::{
    Hook,
    encoder::LineEncoder,
    gate::{Gate, admit},
    session::{Session, Shared},
    settings::KnSockSettings,
};

/// The kn-sock app.
#[derive(Clone)]
pub struct KnSock {
    hook: Option<Arc<dyn Hook>>,
    token_place: TokenPlace,
    settings: KnSockSettings,
}

impl Default for KnSock {
    fn default() -> Self {
        Self::new(KnSockSettings::default())
    }
}

impl KnSock {
    /// With these settings, and without a hook.
    pub fn new(settings: KnSockSettings) -> Self {
        Self {
            hook: None,
            token_place: TokenPlace::Query("api_key".into()),
            settings,
        }
    }

    /// Shows every valid line to `hook` before it has an effect.
    #[must_use]
    pub fn hook(mut self, hook: impl Hook) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Lets only those connect that the authentication policy lets in, once their first line has come. Default: whoever
    /// shows no token is anonymous, as with kn-sock.
    ///
    /// The policy is shown the address and, where the first line is `{"action":"auth","token":"…"}`, that
    /// token: see [`token_as_query`](Self::token_as_query). Who is refused is closed and told nothing.
    #[must_use]
    pub fn authenticate(mut self, on: bool) -> Self {
        self.settings.authenticate = on;
        self
    }

    /// Shows the token of a first line as this query parameter. Default: as `api_key`.
    #[must_use]
    pub fn token_as_query(mut self, name: impl Into<String>) -> Self {
        self.token_place = TokenPlace::Query(name.into());
        self
    }

    /// Shows the token of a first line as this header.
    #[must_use]
    pub fn token_as_header(mut self, name: HeaderName) -> Self {
        self.token_place = TokenPlace::Header(name);
        self
    }

    /// Sets [`line_bytes_max`](KnSockSettings::line_bytes_max).
    #[must_use]
    pub fn line_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.line_bytes_max = bytes;
        self
    }

    /// Sets [`topic_bytes_max`](KnSockSettings::topic_bytes_max).
    #[must_use]
    pub fn topic_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.topic_bytes_max = bytes;
        self
    }
}

impl FromSettings for KnSock {
    type Settings = KnSockSettings;

    fn from_settings(
        settings: &KnSockSettings,
        composition: &Composition,
    ) -> Result<Self, Problem> {
        let mut app = Self::new(settings.clone());
        app.token_place = composition.token_place.clone();
        Ok(app)
    }
}

#[async_trait]
impl App for KnSock {
    fn name(&self) -> &'static str {
        "knsock"
    }

    fn routes(&self, _: &Arc<Space>) -> BoxedFilter<(Response,)> {
        warp::any()
            .and_then(|| async { Err(warp::reject::not_found()) })
            .boxed()
    }

    fn serves_http(&self) -> bool {
        false
    }

    fn weakness(&self) -> Option<String> {
        (!self.settings.authenticate).then(|| {
            "kn-sock lets whoever reaches it subscribe and publish: set apps.knsock.authenticate, or say in \
             [anonymous] what clients without credentials may do, or serve it on an address of its own that only \
             trusted programs reach, such as 127.0.0.1."
                .to_owned()
        })
    }

    fn tcp(&self, space: &Arc<Space>) -> Vec<Arc<dyn TcpProtocol>> {
        vec![Arc::new(Lines {
            shared: Arc::new(Shared {
                space: space.clone(),
                encoder: Arc::new(LineEncoder),
                hook: self.hook.clone(),
                line_bytes_max: self.settings.line_bytes_max,
                topic_bytes_max: self.settings.topic_bytes_max,
                close_on_gap: self.settings.close_on_gap,
                late_lines: space
                    .runtime()
                    .counters()
                    .of("knsock", "line that did not end in time"),
            }),
            gate: Gate {
                is_open: !self.settings.authenticate,
                token_place: self.token_place.clone(),
            },
            // Whatever is sent is taken for a message: a slow client is cut off in silence.
            outbox: Arc::new(OutboxOptions::new(
                space.limits(),
                space.runtime().counters(),
                self.name(),
                Bytes::new(),
            )),
        })]
    }

    fn banner(&self, at: Listening) -> Vec<String> {
        let (address, line) = (at.address, r#"{"action":"subscribe","topic":"<topic>"}"#);
        let (transport, command) = if at.plain {
            let (ip, port) = (address.ip(), address.port());
            ("TCP", format!("echo '{line}' | nc {ip} {port}"))
        } else {
            let client = format!("openssl s_client -quiet -connect {address}");
            ("TLS", format!("(echo '{line}'; cat) | {client}"))
        };
        vec![
            format!("kn-sock: JSON lines over {transport} at {address}; subscribe with"),
            format!("  {command}"),
        ]
    }
}

impl fmt::Debug for KnSock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnSock")
            .field("hook", &self.hook.is_some())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Newline-delimited JSON.
struct Lines {
    shared: Arc<Shared>,
    gate: Gate,
    outbox: Arc<OutboxOptions>,
}

#[async_trait]
impl TcpProtocol for Lines {
    fn name(&self) -> &'static str {
        "knsock"
    }

    fn recognise(&self, first: &[u8]) -> Recognition {
        match first.trim_ascii_start().first() {
            None => Recognition::NeedMore,
            Some(b'{') => Recognition::Yes,
            Some(_) => Recognition::No,
        }
    }

    async fn serve(self: Arc<Self>, socket: Socket, read_ahead: Bytes) {
        let peer = socket.peer();
        let space = &self.shared.space;
        // Boxed, so that an idle connection does not carry room for it.
        let admitted = Box::pin(admit(space, &self.gate, &socket, read_ahead));
        let stopping = space.runtime().stopping();
        let admitted = stopping.run_until_cancelled_owned(admitted).await;
        let Some((identity, read_ahead)) = admitted.flatten() else {
            return;
        };
        // Nothing may be sent to find out whether an idle subscriber is still there.
        socket.keep_alive();
        let shared = self.shared.clone();
        let options = StreamOptions {
            outbox: self.outbox.clone(),
            go_away: Some(Bytes::new()),
        };
        let runtime = shared.space.runtime().clone();
        serve_stream(runtime, socket, read_ahead, options, |link| {
            Session::new(shared, link, identity, peer)
        })
        .await;
    }
}
