//! The app: its settings and its addresses.

use std::sync::Arc;

use http::StatusCode;
use polywire_core::{
    App, Composition, FromSettings, Listening, Space,
    http::{AllowedOrigins, Request, Response, request},
    settings::Problem,
    space::CloseOnGap,
    transport::{
        Endpoint,
        sockjs::{SockJs, SockJsOptions},
    },
};
use warp::{Filter, filters::BoxedFilter};

use crate::{
    api::{self, Addressee},
    debug,
    encoder::SethEncoder,
    reply,
    session::Connect,
    settings::SethSettings,
};

/// The Seth-Pusher app.
#[derive(Debug, Clone)]
pub struct Seth {
    debug: bool,
    authenticate_connect: bool,
    name_bytes_max: usize,
    close_on_gap: CloseOnGap,
    prefix: String,
    sockjs: SockJsOptions,
}

impl Default for Seth {
    fn default() -> Self {
        Self::new(&SethSettings::default())
    }
}

impl Seth {
    /// With these settings, and without the debug API.
    pub fn new(settings: &SethSettings) -> Self {
        let mut sockjs = SockJsOptions::default()
            .heartbeat_secs(settings.heartbeat_secs)
            .disconnect_delay_secs(settings.disconnect_delay_secs)
            .websocket(settings.websocket)
            .cookie(settings.cookie)
            .cookie_secure(settings.cookie_secure)
            .same_address(settings.same_address)
            .allowed_origins(AllowedOrigins::near().or_listed(settings.allowed_origins.as_deref()));
        sockjs.cookie_same_site = settings.cookie_same_site;
        sockjs.client_integrity = settings.client_integrity.clone();
        if let Some(url) = &settings.client_url {
            sockjs = sockjs.client_url(url);
        }
        Self {
            debug: false,
            authenticate_connect: settings.authenticate_connect,
            name_bytes_max: settings.name_bytes_max,
            prefix: settings.prefix.clone(),
            close_on_gap: settings.close_on_gap,
            sockjs,
        }
    }

    /// Serves the debug API. Default: it answers 404.
    #[must_use]
    pub fn debug(mut self, on: bool) -> Self {
        self.debug = on;
        self
    }

    /// Sets [`authenticate_connect`](SethSettings::authenticate_connect).
    #[must_use]
    pub fn authenticate_connect(mut self, on: bool) -> Self {
        self.authenticate_connect = on;
        self
    }

    /// Sets [`name_bytes_max`](SethSettings::name_bytes_max).
    #[must_use]
    pub fn name_bytes_max(mut self, bytes: usize) -> Self {
        self.name_bytes_max = bytes;
        self
    }

    /// Sets [`close_on_gap`](SethSettings::close_on_gap).
    #[must_use]
    pub fn close_on_gap(mut self, when: CloseOnGap) -> Self {
        self.close_on_gap = when;
        self
    }

    /// Has a function decide of which origins pages may use the app: it is shown the origin and the request, and takes the place
    /// of [`allowed_origins`](SethSettings::allowed_origins). Requests without an origin come from no page, and pass.
    ///
    /// # Examples
    /// ```
    /// use polywire_seth::Seth;
    ///
    /// let seth = Seth::default().check_origin(|origin, _| origin.ends_with(".chat.example"));
    /// ```
    #[must_use]
    pub fn check_origin(
        mut self,
        check: impl Fn(&str, &Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.sockjs.allowed_origins = AllowedOrigins::checked_by(check);
        self
    }

    /// Sets how SockJS is spoken.
    #[must_use]
    pub fn sockjs(mut self, options: SockJsOptions) -> Self {
        self.sockjs = options;
        self
    }
}

impl FromSettings for Seth {
    type Settings = SethSettings;

    fn from_settings(settings: &SethSettings, composition: &Composition) -> Result<Self, Problem> {
        Ok(Self::new(settings).debug(composition.debug))
    }
}

#[async_trait::async_trait]
impl App for Seth {
    fn name(&self) -> &'static str {
        "seth"
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let endpoint: Arc<dyn Endpoint> = Arc::new(Connect {
            space: space.clone(),
            encoder: Arc::new(SethEncoder {
                only_proven: self.authenticate_connect,
            }),
            authenticate: self.authenticate_connect,
            name_bytes_max: self.name_bytes_max,
            close_on_gap: self.close_on_gap,
        });
        let connect = SockJs::new("seth", &self.prefix, endpoint, self.sockjs.clone())
            .routes(space.runtime());
        let (space, debug) = (space.clone(), self.debug);
        let origins = Arc::new(self.sockjs.allowed_origins.clone());
        let api = request(is_api).then(move |request: Request| {
            let (space, origins) = (space.clone(), origins.clone());
            async move {
                // A page can send a form to any address: what it may see of the answer comes too late.
                match origins.check("seth", &request, space.runtime()) {
                    Ok(_) => route(&space, request, debug).await,
                    Err(foreign) => reply::error(StatusCode::FORBIDDEN, &foreign.to_string()),
                }
            }
        });
        connect.or(api).unify().boxed()
    }

    fn weakness(&self) -> Option<String> {
        (!self.authenticate_connect).then(|| {
            "Seth-Pusher lets whoever reaches /connect subscribe: set apps.seth.authenticate_connect, or say in \
             [anonymous] what clients without credentials may do, or listen on 127.0.0.1."
                .to_owned()
        })
    }

    fn banner(&self, at: Listening) -> Vec<String> {
        let url = at.http_url();
        vec![
            format!("Seth-Pusher: SockJS at {url}{}; publish with", self.prefix),
            format!("  curl -d '{{\"my\": \"data\"}}' {url}/api/channels/<channel>/"),
        ]
    }
}

const CHANNELS: &str = "/api/channels/";
const USERS: &str = "/api/users/";
const DEBUG: &str = "/debug";
const DEBUG_CHANNELS: &str = "/debug/channels/";

fn is_api(path: &str) -> bool {
    path.starts_with(CHANNELS)
        || path.starts_with(USERS)
        || path == DEBUG
        || path.starts_with("/debug/")
}

async fn route(space: &Arc<Space>, mut request: Request, debug: bool) -> Response {
    let path = std::mem::take(&mut request.path);
    if let Some(name) = path.strip_prefix(CHANNELS).map(without_slash) {
        api::publish(space, request, Addressee::Channel, name).await
    } else if let Some(name) = path.strip_prefix(USERS).map(without_slash) {
        api::publish(space, request, Addressee::User, name).await
    } else if !debug {
        reply::not_found()
    } else if let Some(name) = path.strip_prefix(DEBUG_CHANNELS).map(without_slash) {
        debug::channel(space, &request, name).await
    } else if without_slash(&path) == DEBUG {
        debug::overview(space, &request).await
    } else {
        reply::not_found()
    }
}

/// A name is everything up to the final slash, which may be left out.
fn without_slash(rest: &str) -> &str {
    rest.strip_suffix('/').unwrap_or(rest)
}
