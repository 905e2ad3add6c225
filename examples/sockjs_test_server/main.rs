//! The test services of the SockJS project, and a plain WebSocket echo at `/ws-echo`.
//!
//! `cargo run --example sockjs_test_server`, then point a SockJS client at
//! `http://127.0.0.1:8081/echo`. An app of your own looks the same: an [`Endpoint`] says what happens
//! in a session, [`SockJs`] carries it over every transport, an [`App`] mounts it.

mod services;

use std::{net::SocketAddr, sync::Arc};

use clap::Parser;
use polywire::stop_signal;
use polywire_core::{
    App, AppRunner, Limits, Space,
    http::{AllowedOrigins, Response, request_under},
    testkit,
    transport::{
        Endpoint, Framing,
        sockjs::{SockJs, SockJsOptions},
        websocket::{self, WebSocketOptions},
    },
};
use warp::{Filter, filters::BoxedFilter};

use self::services::{Amplify, Broadcast, Close, Echo};

/// Bytes of the longest message that `/ws-echo` takes.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

#[derive(Parser)]
struct Arguments {
    /// The host to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: std::net::IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8081)]
    port: u16,
}

struct TestServices;

impl App for TestServices {
    fn name(&self) -> &'static str {
        "sockjs-test"
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        // The tests of the SockJS project count on this limit, and on these origins.
        let origins = AllowedOrigins::near().and("test").and("null");
        let options = SockJsOptions::default()
            .response_bytes_max(4096)
            .allowed_origins(origins);
        let echo: Arc<dyn Endpoint> = Arc::new(Echo);
        let mount = |prefix: &str, endpoint: &Arc<dyn Endpoint>, options: &SockJsOptions| {
            SockJs::new(self.name(), prefix, endpoint.clone(), options.clone())
                .routes(space.runtime())
        };
        let no_websocket = options.clone().websocket(false);
        let cookie = options.clone().cookie(true);
        mount("/echo", &echo, &options)
            .or(mount("/disabled_websocket_echo", &echo, &no_websocket))
            .unify()
            .or(mount("/cookie_needed_echo", &echo, &cookie))
            .unify()
            .or(mount("/close", &(Arc::new(Close) as _), &options))
            .unify()
            .or(mount("/amplify", &(Arc::new(Amplify) as _), &options))
            .unify()
            .or(mount(
                "/broadcast",
                &(Arc::<Broadcast>::default() as _),
                &options,
            ))
            .unify()
            .or(plain_websocket(space, echo))
            .unify()
            .boxed()
    }
}

/// WebSocket without SockJS, text and binary.
fn plain_websocket(space: &Arc<Space>, endpoint: Arc<dyn Endpoint>) -> BoxedFilter<(Response,)> {
    let runtime = space.runtime().clone();
    let options = Arc::new(WebSocketOptions::new(
        &runtime,
        "sockjs-test",
        Framing::WebSocket,
    ));
    request_under("/ws-echo")
        .then(move |request| {
            let (runtime, endpoint, options) = (runtime.clone(), endpoint.clone(), options.clone());
            async move {
                websocket::serve(&runtime, &request, "ws-echo", &endpoint, &options)
                    .await
                    .unwrap_or_else(|error| error.response())
            }
        })
        .boxed()
}

#[tokio::main]
async fn main() {
    let Arguments { host, port } = Arguments::parse();
    let limits = Limits {
        message_bytes_max: MESSAGE_BYTES_MAX,
        // Room for some echoes of the longest message.
        outbound_bytes_max: 4 * MESSAGE_BYTES_MAX,
        ..Limits::default()
    };
    let server = AppRunner::builder(testkit::LocalBackend::default())
        .authentication(testkit::AllowAll)
        .app(TestServices)
        .limits(limits)
        .listen(SocketAddr::new(host, port))
        .build()
        .await
        .unwrap_or_else(|error| {
            eprintln!("{error}");
            std::process::exit(2);
        });
    if let Some(address) = server.address() {
        println!("listening on http://{address}");
    }
    server.run(stop_signal()).await;
}
