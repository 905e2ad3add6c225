//! The laws of an app.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use warp::{Filter, filters::BoxedFilter};

use super::{AllowAll, LocalBackend, within};
use crate::{
    App, AppRunner, Space,
    http::{Response, request_under, text},
    transport::tcp::Recognition,
};

/// An address that no app can call its own.
const NEIGHBOUR: &str = "/testkit-neighbour";

/// Checks the laws of [`App`]: its name is one that a configuration can hold and stays the same; what is not
/// its own it leaves to the app that is asked after it, bodies untouched, and to nobody where there is none;
/// its protocols over TCP claim nothing that HTTP or TLS begin with; and a server with it stops.
///
/// # Panics
/// When a law is broken.
pub async fn app_laws<A: App>(make: impl Fn() -> A) {
    let name = make().name();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(
        !name.is_empty() && name.chars().all(allowed),
        "a name is like `my-app`: {name:?}"
    );
    assert_eq!(name, make().name(), "the name stays the same");

    let server = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .app(make())
        .app(Neighbour)
        .listen(([127, 0, 0, 1], 0).into())
        .build()
        .await
        .expect("a server with the app starts");
    let address = server.address().expect("it listens");
    for protocol in make().tcp(server.space()) {
        for first in [&b"GET / HTTP/1.1\r\n"[..], b"POST", b"\x16\x03\x01"] {
            let claim = protocol.recognise(first);
            assert_ne!(
                claim,
                Recognition::Yes,
                "{} claims {first:?}",
                protocol.name()
            );
        }
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        // Either way it is time to stop.
        let _ = stopped.await;
    }));

    for method in ["GET", "POST", "DELETE"] {
        let answer = within("a request", ask(address, method, NEIGHBOUR)).await;
        assert!(
            answer.ends_with("body"),
            "the app next to it gets {method}: {answer}"
        );
        let answer = within("a request", ask(address, method, "/testkit-nobody/a%2Fb?c")).await;
        assert!(
            answer.starts_with("HTTP/1.1 404"),
            "{method} to nobody's address: {answer}"
        );
    }
    // It fails only when the server has ended, which the next line shows.
    let _ = stop.send(());
    within("a stop", running)
        .await
        .expect("the server ends in order");
}

/// The app that is asked after the one under test: answers with the body that it got.
struct Neighbour;

#[async_trait]
impl App for Neighbour {
    fn name(&self) -> &'static str {
        "testkit-neighbour"
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let limits = *space.limits();
        request_under(NEIGHBOUR)
            .then(move |mut request: crate::http::Request| async move {
                let body = request
                    .body
                    .read(limits.message_bytes_max, limits.body_timeout())
                    .await;
                text(StatusCode::OK, body.unwrap_or_default())
            })
            .boxed()
    }
}

/// The whole answer, as text.
async fn ask(address: SocketAddr, method: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: testkit\r\nConnection: close\r\n\
         Content-Length: 4\r\n\r\nbody"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the server reads");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .expect("the server answers");
    String::from_utf8_lossy(&answer).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_good_neighbour_keeps_them() {
        app_laws(|| Quiet).await;
    }

    #[tokio::test]
    async fn an_app_that_takes_everything_is_found_out() {
        let greedy = tokio::spawn(app_laws(|| Greedy));
        assert!(greedy.await.is_err());
    }

    struct Quiet;

    impl App for Quiet {
        fn name(&self) -> &'static str {
            "quiet"
        }
        fn routes(&self, _: &Arc<Space>) -> BoxedFilter<(Response,)> {
            request_under("/quiet")
                .map(|_| text(StatusCode::OK, "hush"))
                .boxed()
        }
    }

    struct Greedy;

    impl App for Greedy {
        fn name(&self) -> &'static str {
            "greedy"
        }
        fn routes(&self, _: &Arc<Space>) -> BoxedFilter<(Response,)> {
            crate::http::request(|_| true)
                .map(|_| text(StatusCode::OK, "mine"))
                .boxed()
        }
    }
}
