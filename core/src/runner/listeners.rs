//! Bound listeners, made of addresses and apps: each knows whom it serves.

use std::sync::Arc;

use warp::{Filter, filters::BoxedFilter};

use super::{BindFailure, Listen, StartError};
use crate::{
    app::App,
    net::tls::Certificate,
    space::Space,
    transport::{
        Listener, Listening, Speakers,
        http::{Response, Site, direct::Responder, json, status},
        tcp::TcpProtocol,
    },
};

/// A bound address, and who may speak there.
pub(super) struct BoundListener {
    pub(super) listening: Listening,
    pub(super) listener: Listener,
    pub(super) speakers: Speakers,
}

/// What an app brought.
pub(super) struct AppParts {
    name: &'static str,
    serves_http: bool,
    only_where_named: bool,
    responder: Option<Arc<dyn Responder>>,
    pub(super) routes: BoxedFilter<(Response,)>,
    protocols: Vec<Arc<dyn TcpProtocol>>,
}

impl AppParts {
    pub(super) fn of(app: &dyn App, space: &Arc<Space>) -> Self {
        Self {
            name: app.name(),
            serves_http: app.serves_http(),
            only_where_named: app.only_where_named(),
            routes: app.routes(space),
            responder: app.responder(space),
            protocols: app.tcp(space),
        }
    }
}

/// The certificate of each address that has one, loaded once for all that have the same files; `None` when
/// one is bad.
pub(super) fn load_certificates(
    listen: &[Listen],
    problems: &mut Vec<String>,
) -> Option<Vec<Option<Arc<Certificate>>>> {
    let mut is_complete = true;
    let mut loaded: Vec<Arc<Certificate>> = Vec::new();
    let certificates = listen.iter().map(|listen| {
        let options = listen.tls.as_ref()?;
        if let Some(same) = loaded.iter().find(|other| other.is_of(options)) {
            return Some(same.clone());
        }
        match Certificate::load(options) {
            Ok(certificate) => {
                loaded.push(certificate.clone());
                Some(certificate)
            }
            Err(error) => {
                is_complete = false;
                let all: Vec<_> = options.problems().iter().map(ToString::to_string).collect();
                if all.is_empty() {
                    // The files were being written: now they are good, a moment ago they were not.
                    problems.push(error.to_string());
                }
                problems.extend(all);
                None
            }
        }
    });
    let certificates = certificates.collect();
    is_complete.then_some(certificates)
}

/// Binds all addresses, or says of each one that cannot be bound why.
pub(super) fn bind(listen: &[Listen]) -> Result<Vec<Listener>, StartError> {
    let (mut listeners, mut failures) = (Vec::new(), Vec::new());
    for Listen { address, .. } in listen {
        match Listener::bind(*address) {
            Ok(listener) => listeners.push(listener),
            Err(error) => failures.push(BindFailure {
                address: *address,
                error,
            }),
        }
    }
    if failures.is_empty() {
        Ok(listeners)
    } else {
        Err(StartError::Listen(failures))
    }
}

/// Gives each listener the speakers of its apps.
pub(super) fn bind_apps(
    listen: &[Listen],
    listeners: Vec<Listener>,
    certificates: &[Option<Arc<Certificate>>],
    apps: &[AppParts],
    own_routes: &[BoxedFilter<(Response,)>],
) -> Result<Vec<BoundListener>, StartError> {
    let parts = listen.iter().zip(listeners).zip(certificates);
    parts
        .map(|((listen, listener), certificate)| {
            let is_served = |app: &&AppParts| listen.serves(app.name, app.only_where_named);
            let apps = || apps.iter().filter(is_served);
            // Own routes belong to no app: they are served where everything is.
            let own = || own_routes.iter().filter(|_| listen.apps.is_none());
            // Whoever asks for what is not there is told so, but where a protocol of its own is alone.
            let is_of_others = apps().next().is_some() && !apps().any(|app| app.serves_http);
            let has_http = !is_of_others || own().next().is_some();
            let http = has_http.then(|| Site {
                routes: any_of(apps().map(|app| &app.routes).chain(own()))
                    .recover(not_found)
                    .unify()
                    .boxed(),
                responders: apps().filter_map(|app| app.responder.clone()).collect(),
            });
            let tls = certificate
                .as_ref()
                .map(|certificate| certificate.server_config(has_http))
                .transpose()
                .map_err(|error| StartError::Composition(vec![error.to_string()]))?;
            let listening = Listening {
                address: listener.address(),
                http: has_http,
                tls: tls.is_some(),
                plain: !listen.is_tls_only(),
            };
            let speakers = Speakers {
                http,
                tcp: apps().flat_map(|app| app.protocols.clone()).collect(),
                tls,
                tls_only: listen.is_tls_only(),
            };
            Ok(BoundListener {
                listening,
                listener,
                speakers,
            })
        })
        .collect()
}

/// Where a person finds `app`: the first address without TLS, else the first.
pub(super) fn address_of(
    listen: &[Listen],
    bound: &[BoundListener],
    app: &dyn App,
) -> Option<Listening> {
    let serving = || {
        let bound = listen.iter().zip(bound);
        let (name, only_where_named) = (app.name(), app.only_where_named());
        let serving = bound.filter(move |(listen, _)| listen.serves(name, only_where_named));
        serving.map(|(_, bound)| bound.listening)
    };
    serving().find(|at| at.plain).or_else(|| serving().next())
}

/// All routes as one filter, which rejects what is nobody's with `not_found`.
pub(super) fn any_of<'r>(
    routes: impl Iterator<Item = &'r BoxedFilter<(Response,)>>,
) -> BoxedFilter<(Response,)> {
    let nothing = warp::any()
        .and_then(|| async { Err(warp::reject::not_found()) })
        .boxed();
    routes.fold(nothing, |all, routes| {
        all.or(routes.clone()).unify().boxed()
    })
}

/// What is asked for and is not there.
async fn not_found(rejection: warp::Rejection) -> Result<Response, std::convert::Infallible> {
    Ok(if rejection.is_not_found() {
        json(
            http::StatusCode::NOT_FOUND,
            r#"{"status":404,"message":"Not Found"}"#,
        )
    } else {
        status(http::StatusCode::BAD_REQUEST)
    })
}
