//! The contract of an app.

use std::sync::Arc;

use async_trait::async_trait;
use warp::filters::BoxedFilter;

use crate::{
    space::Space,
    transport::{
        Listening,
        http::{Response, direct::Responder},
        tcp::TcpProtocol,
    },
};

/// A protocol: its addresses, its codec, its sessions.
///
/// # Laws
/// - Its routes reject what is not theirs with `not_found`, so that other apps are asked, and answer
///   everything else themselves, errors included, in the protocol's own form.
/// - It publishes and subscribes through the [`Space`] only, so that every other app's clients are reached.
/// - It knows no other app.
///
/// [`testkit::app_laws`](crate::testkit) checks an implementation.
///
/// # Examples
/// ```
/// use polywire_core::{App, Draft, Identity, Origin, Payload, Space, http};
/// use std::sync::Arc;
/// use warp::{Filter, filters::BoxedFilter};
///
/// /// `POST /hello` publishes a greeting.
/// struct Hello;
///
/// #[async_trait::async_trait]
/// impl App for Hello {
///     fn name(&self) -> &'static str {
///         "hello"
///     }
///     fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(http::Response,)> {
///         let space = space.clone();
///         let greet = move || {
///             let space = space.clone();
///             async move {
///                 let origin = Origin::new("hello", Identity::unrestricted());
///                 let room = polywire_core::Channel::new("room").unwrap();
///                 let sent = space.publish(&origin, Draft::new(room, Payload::text("hello"))).await;
///                 http::status(if sent.is_ok() { 204 } else { 503 }.try_into().unwrap())
///             }
///         };
///         warp::path!("hello").and(warp::post()).then(greet).boxed()
///     }
/// }
/// ```
#[async_trait]
pub trait App: Send + Sync + 'static {
    /// The short name, as in the configuration and in logs.
    fn name(&self) -> &'static str;

    /// The HTTP addresses of the app. Called once, before the server listens.
    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)>;

    /// False for an app whose [`routes`](Self::routes) take nothing: on an address where no app serves HTTP,
    /// a protocol that is alone gets every connection without being recognised first.
    fn serves_http(&self) -> bool {
        true
    }

    /// True for an app that is served only at addresses that name it, and not where everything is.
    fn only_where_named(&self) -> bool {
        false
    }

    /// The protocols of the app that come over bare TCP. Called once, before the server listens.
    fn tcp(&self, space: &Arc<Space>) -> Vec<Arc<dyn TcpProtocol>> {
        let _ = space;
        Vec::new()
    }

    /// Who answers those requests of the app that wait for long, or are many, on a [faster
    /// path](crate::http::direct) than the routes. Called once, before the server listens.
    fn responder(&self, space: &Arc<Space>) -> Option<Arc<dyn Responder>> {
        let _ = space;
        None
    }

    /// Prepares what has to be there before the first client comes, such as what was remembered before a restart.
    /// Awaited once, after everything else was asked for and before anybody is served. What cannot be had now must
    /// not keep the server from starting: wait a bounded time.
    async fn start(&self, space: &Arc<Space>) {
        let _ = space;
    }

    /// What is unsafe about this app's settings on an address that others can reach, as a sentence that
    /// says what to do; such a composition is refused unless told otherwise.
    fn weakness(&self) -> Option<String> {
        None
    }

    /// Lines for a person who has just started the server: what to try at the first address that serves this app
    /// without TLS, or with it where there is none.
    fn banner(&self, at: Listening) -> Vec<String> {
        let _ = at;
        Vec::new()
    }
}

const _: fn(&dyn App) = |_| ();
