//! A SockJS endpoint as a warp filter.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode;
use warp::{Filter, filters::BoxedFilter};

use super::{
    HttpSession, SockJsOptions, close_frame, headers,
    pages::{self, IframePage},
    payload,
    receiving::Receiving,
    route::Route,
    session::{NotAttached, Receiver, SessionBounds},
    stream::FrameStream,
    table::{Inserted, SessionTable},
    task,
};
use crate::{
    delivery::{Link, OutboxOptions},
    runtime::Runtime,
    transport::{
        CloseReason, Endpoint, Framing, Handshake, HttpRefusal,
        http::{
            BodyError, CrossOrigin, Request, Response, request_under, response, status, stream,
            text,
        },
        websocket::{self, HandshakeError, WebSocketOptions},
    },
};

/// How long a second receiver waits before it is refused: a client that gives up a request and sends the
/// next one at once may be faster than the end of the first connection.
const BUSY_GRACE: Duration = Duration::from_millis(20);

/// What a second receiver is told.
const STILL_OPEN: CloseReason = CloseReason::new(2010, "Another connection still open");

/// A SockJS endpoint: a WebSocket-like channel of texts over whatever the client can do, at a prefix.
///
/// # Examples
/// ```
/// use polywire_core::{Space, http::Response, transport::{Endpoint, sockjs::{SockJs, SockJsOptions}}};
/// use std::sync::Arc;
/// use warp::filters::BoxedFilter;
///
/// fn routes(space: &Arc<Space>, endpoint: Arc<dyn Endpoint>) -> BoxedFilter<(Response,)> {
///     let options = SockJsOptions::default().cookie(true);
///     SockJs::new("my-app", "/connect", endpoint, options).routes(space.runtime())
/// }
/// ```
pub struct SockJs {
    app: &'static str,
    prefix: String,
    endpoint: Arc<dyn Endpoint>,
    options: SockJsOptions,
}

impl SockJs {
    /// Sessions of `endpoint` at `prefix`, such as `/connect`; `app` is who asks the authentication
    /// policy.
    pub fn new(
        app: &'static str,
        prefix: impl Into<String>,
        endpoint: Arc<dyn Endpoint>,
        options: SockJsOptions,
    ) -> Self {
        let mut prefix = prefix.into();
        prefix.truncate(prefix.trim_end_matches('/').len());
        Self {
            app,
            prefix,
            endpoint,
            options,
        }
    }

    /// Answers everything at and under the prefix, and rejects the rest with `not_found`.
    pub fn routes(self, runtime: &Arc<Runtime>) -> BoxedFilter<(Response,)> {
        let prefix = self.prefix.clone();
        let service = Arc::new(Service::new(self, runtime.clone()));
        request_under(prefix)
            .then(move |request| {
                let service = service.clone();
                async move { service.answer(request).await }
            })
            .boxed()
    }
}

impl fmt::Debug for SockJs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SockJs")
            .field("app", &self.app)
            .field("prefix", &self.prefix)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A mounted endpoint.
struct Service {
    app: &'static str,
    prefix: String,
    endpoint: Arc<dyn Endpoint>,
    options: SockJsOptions,
    runtime: Arc<Runtime>,
    sessions: Arc<SessionTable<HttpSession>>,
    bounds: Arc<SessionBounds>,
    framed: Arc<WebSocketOptions>,
    raw: Arc<WebSocketOptions>,
    iframe: IframePage,
    message_bytes_max: usize,
}

impl Service {
    fn new(sockjs: SockJs, runtime: Arc<Runtime>) -> Self {
        let SockJs {
            app,
            prefix,
            endpoint,
            options,
        } = sockjs;
        let limits = runtime.limits();
        let message_bytes_max = options
            .message_bytes_max
            .unwrap_or(limits.message_bytes_max);
        let outbound_bytes_max = options
            .outbound_bytes_max
            .unwrap_or(limits.outbound_bytes_max);
        let websocket = |framing: Framing| {
            let standard = WebSocketOptions::new(&runtime, app, framing);
            Arc::new(WebSocketOptions {
                message_bytes_max,
                heartbeat_secs: options.heartbeat_secs,
                outbox: Arc::new(OutboxOptions {
                    bytes_max: outbound_bytes_max,
                    ..OutboxOptions::clone(&standard.outbox)
                }),
                go_away: Some(options.go_away.clone()),
                allowed_origins: options.allowed_origins.clone(),
                ..standard
            })
        };
        let framed = websocket(Framing::SockJsWebSocket);
        Self {
            app,
            iframe: IframePage::new(&prefix, &options),
            prefix,
            endpoint,
            sessions: SessionTable::new(options.sessions_max),
            bounds: Arc::new(SessionBounds {
                overflown: framed.outbox.overflown.clone(),
                heartbeat_secs: options.heartbeat_secs,
                disconnect_delay_secs: options.disconnect_delay_secs,
                outbound_bytes_max,
                inbound_bytes_max: options.inbound_bytes_max,
                go_away: options.go_away.clone(),
            }),
            framed,
            raw: websocket(Framing::WebSocket),
            message_bytes_max,
            options,
            runtime,
        }
    }

    async fn answer(&self, mut request: Request) -> Response {
        // The path holds the session id, and whoever knows that can take the session over: the app
        // sees the prefix only.
        let path = std::mem::replace(&mut request.path, self.prefix.as_str().into());
        let Some(route) = path.strip_prefix(&*self.prefix).and_then(Route::parse) else {
            return not_found();
        };
        let is_served = match route {
            Route::WebSocket => self.options.websocket,
            Route::RawWebSocket => self.options.websocket && self.options.raw_websocket,
            _ => true,
        };
        if !is_served {
            return not_found();
        }
        if !route.allows(&request.method) {
            let mut answer = status(StatusCode::METHOD_NOT_ALLOWED);
            headers::set(&mut answer, header::ALLOW, route.methods());
            return answer;
        }
        match route {
            Route::Greeting => return pages::greeting(),
            Route::Iframe => return self.iframe.answer(&request),
            Route::Client => return pages::client(),
            // The handshake asks where a page is from.
            Route::RawWebSocket => return self.websocket(&request, &self.raw).await,
            Route::WebSocket => {
                let mut answer = self.websocket(&request, &self.framed).await;
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    self.cookie(&mut answer, &request);
                }
                return answer;
            }
            _ => {}
        }
        let origins = &self.options.allowed_origins;
        let allowed = match origins.check(self.app, &request, &self.runtime) {
            Ok(allowed) => allowed,
            Err(foreign) => return foreign.response(),
        };
        if request.method == Method::OPTIONS {
            return self.preflight(&request, route, &allowed);
        }
        let receiving = match route {
            Route::Xhr(id) => Ok((id, Receiving::Xhr)),
            Route::XhrStreaming(id) => Ok((id, Receiving::XhrStreaming)),
            Route::EventSource(id) => Ok((id, Receiving::EventSource)),
            Route::HtmlFile(id) => Receiving::html_file(&request).map(|receiving| (id, receiving)),
            Route::Jsonp(id) => Receiving::jsonp(&request).map(|receiving| (id, receiving)),
            Route::XhrSend(id) => return self.xhr_send(&mut request, id, &allowed).await,
            Route::JsonpSend(id) => return self.jsonp_send(&mut request, id).await,
            _ => return pages::info(&request, &self.options, &allowed),
        };
        match receiving {
            Ok((id, receiving)) => self.receive(&request, id, receiving, &allowed).await,
            Err(answer) => *answer,
        }
    }

    /// What browsers ask before they send to another origin.
    fn preflight(&self, request: &Request, route: Route<'_>, allowed: &CrossOrigin) -> Response {
        let mut answer = status(StatusCode::NO_CONTENT);
        headers::cacheable(&mut answer);
        headers::cross_origin(&mut answer, request, allowed);
        headers::set(&mut answer, header::ACCESS_CONTROL_MAX_AGE, "31536000");
        headers::set(
            &mut answer,
            header::ACCESS_CONTROL_ALLOW_METHODS,
            route.methods(),
        );
        if route != Route::Info {
            self.cookie(&mut answer, request);
        }
        answer
    }

    fn cookie(&self, answer: &mut Response, request: &Request) {
        if self.options.cookie {
            headers::cookie(answer, request, &self.options);
        }
    }

    async fn websocket(&self, request: &Request, options: &Arc<WebSocketOptions>) -> Response {
        let served =
            websocket::serve(&self.runtime, request, self.app, &self.endpoint, options).await;
        match served {
            Ok(answer) => answer,
            // In the words that SockJS servers use.
            Err(HandshakeError::NotUpgrade) => text(
                StatusCode::BAD_REQUEST,
                "Not a valid websocket request: can \"Upgrade\" only to \"WebSocket\", and \
                 \"Connection\" must be \"Upgrade\".\n",
            ),
            Err(error) => error.response(),
        }
    }

    async fn receive(
        &self,
        request: &Request,
        id: &str,
        receiving: Receiving,
        allowed: &CrossOrigin,
    ) -> Response {
        let body = match self.attach(request, id).await {
            Ok(receiver) => {
                FrameStream::session(receiving.clone(), receiver, self.options.response_bytes_max)
            }
            Err(NotReceiving::Busy) => {
                FrameStream::single(receiving.clone(), close_frame(&STILL_OPEN))
            }
            Err(NotReceiving::Answer(answer)) => return *answer,
        };
        let mut answer = stream(body);
        headers::set(&mut answer, header::CONTENT_TYPE, receiving.content_type());
        headers::no_cache(&mut answer);
        if receiving.is_cross_origin() {
            headers::cross_origin(&mut answer, request, allowed);
        }
        if matches!(receiving, Receiving::Jsonp { .. }) {
            headers::set(&mut answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        }
        self.cookie(&mut answer, request);
        answer
    }

    /// Attaches to the session of this id; opens it where there is none.
    async fn attach(&self, request: &Request, id: &str) -> Result<Receiver, NotReceiving> {
        let mut has_waited = false;
        loop {
            let session = match self.sessions.get(id) {
                Some(session) => session,
                None => self.open(request, id).await?,
            };
            if !self.is_allowed(&session, request) {
                return Err(NotReceiving::answer(not_found()));
            }
            match session.attach() {
                Ok(receiver) => return Ok(receiver),
                Err(NotAttached::Busy) if has_waited => return Err(NotReceiving::Busy),
                Err(NotAttached::Busy) => {
                    has_waited = true;
                    tokio::time::sleep(BUSY_GRACE).await;
                }
                // It ended in this moment; whoever ended it takes it out of the table.
                Err(NotAttached::Gone) => tokio::task::yield_now().await,
            }
        }
    }

    async fn open(&self, request: &Request, id: &str) -> Result<Arc<HttpSession>, NotReceiving> {
        let handshake = Handshake {
            credentials: request.credentials(self.app),
            subprotocol: None,
        };
        let identity = self.endpoint.accept(&handshake).await;
        let identity = identity.map_err(|refusal| NotReceiving::answer(refused(refusal)))?;
        let (session, inbound) = HttpSession::new(
            id,
            request.peer.map(|peer| peer.ip()),
            &self.sessions,
            self.bounds.clone(),
            self.runtime.clone(),
        );
        match self.sessions.insert(&session) {
            Inserted::New => {}
            Inserted::Known(faster) => return Ok(faster),
            Inserted::Full => {
                return Err(NotReceiving::answer(text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Too many sessions are open.\n",
                )));
            }
        }
        let link = Link::http(session.clone(), self.runtime.flusher().clone());
        let handler = self.endpoint.open(link, &handshake, identity);
        self.runtime
            .spawn(task::run(session.clone(), handler, inbound));
        let weak: std::sync::Weak<HttpSession> = Arc::downgrade(&session);
        self.runtime.wheel().add(weak, 1);
        Ok(session)
    }

    fn is_allowed(&self, session: &HttpSession, request: &Request) -> bool {
        !self.options.same_address || session.address() == request.peer.map(|peer| peer.ip())
    }

    async fn xhr_send(&self, request: &mut Request, id: &str, allowed: &CrossOrigin) -> Response {
        let mut answer = match self.read_body(request).await {
            Ok(body) => match self.send(request, id, &body).await {
                Ok(()) => {
                    let mut answer = status(StatusCode::NO_CONTENT);
                    headers::set(
                        &mut answer,
                        header::CONTENT_TYPE,
                        "text/plain; charset=UTF-8",
                    );
                    self.cookie(&mut answer, request);
                    answer
                }
                Err(answer) => *answer,
            },
            Err(error) => refused_body(error),
        };
        headers::cross_origin(&mut answer, request, allowed);
        headers::no_cache(&mut answer);
        answer
    }

    async fn jsonp_send(&self, request: &mut Request, id: &str) -> Response {
        let sent = match self.read_body(request).await {
            Ok(body) if is_form(request) => self.send(request, id, &form_field(&body)).await,
            Ok(body) => self.send(request, id, &body).await,
            Err(error) => Err(Box::new(refused_body(error))),
        };
        let mut answer = match sent {
            Ok(()) => {
                let mut answer = text(StatusCode::OK, "ok");
                self.cookie(&mut answer, request);
                answer
            }
            Err(answer) => *answer,
        };
        headers::no_cache(&mut answer);
        answer
    }

    async fn read_body(&self, request: &mut Request) -> Result<bytes::Bytes, BodyError> {
        let timeout = self.runtime.limits().body_timeout();
        request.body.read(self.message_bytes_max, timeout).await
    }

    /// Hands the messages of a send request to their session.
    async fn send(&self, request: &Request, id: &str, body: &[u8]) -> Result<(), Box<Response>> {
        let messages = payload(body).map_err(|error| {
            let mut answer = text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
            self.cookie(&mut answer, request);
            answer
        })?;
        let session = self.sessions.get(id);
        let session = session
            .filter(|session| self.is_allowed(session, request))
            .ok_or_else(not_found)?;
        if !messages.is_empty() {
            session.receive(messages).await;
        }
        Ok(())
    }
}

/// Why a receive request gets no session.
enum NotReceiving {
    Busy,
    Answer(Box<Response>),
}

impl NotReceiving {
    fn answer(response: Response) -> Self {
        Self::Answer(Box::new(response))
    }
}

fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "Not Found\n")
}

fn refused(refusal: HttpRefusal) -> Response {
    let mut answer = response(refusal.status, refusal.body);
    headers::set(&mut answer, header::CONTENT_TYPE, refusal.content_type);
    headers::no_cache(&mut answer);
    answer
}

fn refused_body(error: BodyError) -> Response {
    let status = match error {
        BodyError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TimedOut => StatusCode::REQUEST_TIMEOUT,
        BodyError::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        BodyError::Broken => StatusCode::BAD_REQUEST,
    };
    text(status, format!("{error}\n"))
}

fn is_form(request: &Request) -> bool {
    let media_type = request
        .headers
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .and_then(|value| value.split(|byte| *byte == b';').next())
        .unwrap_or_default();
    media_type
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// The field `d` of a form; empty when there is none.
fn form_field(body: &[u8]) -> Vec<u8> {
    let field = body
        .split(|byte| *byte == b'&')
        .find_map(|pair| pair.strip_prefix(b"d="));
    let spaced: Vec<u8> = field
        .unwrap_or_default()
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}
