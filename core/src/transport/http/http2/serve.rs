//! One connection of HTTP/2: by hyper, handed to warp's filters.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::FutureExt;
use http::Method;
use hyper::{body::Incoming, rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, MissedTickBehavior, interval};
use warp::filters::BoxedFilter;

use super::{
    body::PiecewiseBody,
    streams::{Finding, Streams},
    turns::GivesWay,
    upload,
};
use crate::{
    drain::DrainPlace,
    memory::{Draw, Held},
    runtime::Runtime,
    transport::{
        guarded::{GuardedSocket, Oddities, no_room},
        http::{Response, answering::Answering, watched_body::WatchedBody},
        long_line::LINE_BYTES_MAX,
    },
};

/// Requests of one connection that may be under way; a client waits with one more.
const STREAMS_MAX: u32 = 100;

/// Bytes of the header fields of one request: PubNub puts messages of 32 KiB, percent-encoded, into the path.
const HEAD_BYTES_MAX: u32 = 160 << 10;

/// Bytes of one request body that may come before they are read.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;

/// The same for all bodies of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;

/// Bytes that a connection takes while it has nothing to do: what it reads into, and what names of header fields are kept.
const CONNECTION_BYTES: usize = 48 << 10;

/// The counter of answers that nobody took.
const STALLED: &str =
    "ended an HTTP/2 answer: the client took nothing of it for limits.outbound_stall_secs";

/// How often it is looked whether a connection is of use.
const LOOK: Duration = Duration::from_secs(1);

/// Serves a connection until it ends.
pub(in crate::transport::http) async fn serve(
    runtime: Arc<Runtime>,
    routes: BoxedFilter<(Response,)>,
    io: GuardedSocket,
    peer: SocketAddr,
) {
    let Some(_draw) = Draw::of(Held::Connections, CONNECTION_BYTES) else {
        return no_room(&runtime).add();
    };
    // There is no head to wait for: what is a request is found in frames.
    io.head().complete();
    // Pings would wait behind answers that a slow client takes.
    io.keep_alive();
    let place = DrainPlace::next();
    let answering = Answering {
        routes: warp::service(routes),
        runtime: runtime.clone(),
        peer,
        place,
        slot: io.slot(),
    };
    let streams = Arc::new(Streams::new(runtime.limits()));
    let (of_service, of_requests) = (streams.clone(), runtime.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        let stream = of_service.open();
        // hyper leaves the body out only where HTTP/1.1 asks for the head alone.
        let is_head = request.method() == Method::HEAD;
        // Proxies and browsers have bounds of their own, and what is longer than this has one in HTTP/1.1.
        let target = request.uri().path_and_query();
        let oddities = Oddities {
            is_cut: target.is_some_and(|target| target.as_str().len() > LINE_BYTES_MAX),
            ..Oddities::default()
        };
        let runtime = of_requests.clone();
        let request = request
            .map(|body| WatchedBody::new(body, move |rest| runtime.spawn(upload::read_on(rest))));
        let answer = answering.answer(request, oddities);
        answer.map(move |answer| {
            let wanted = |body| (!is_head).then_some(body);
            Ok::<_, Infallible>(answer.map(|body| PiecewiseBody::new(wanted(body), stream)))
        })
    });
    let executor = StreamTasks {
        runtime: runtime.clone(),
        streams: streams.clone(),
    };
    let connection = http2::Builder::new(executor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .serve_connection(TokioIo::new(GivesWay::new(io)), service);
    tokio::pin!(connection);
    let drain = runtime.drain();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // When what is left to send must be sent.
    let mut end = None;
    let result = loop {
        tokio::select! {
            result = connection.as_mut() => break result,
            () = drain.turn(place), if end.is_none() => {
                connection.as_mut().graceful_shutdown();
                end = Some(Instant::now() + runtime.limits().outbound_stall());
            }
            _ = looks.tick() => match (streams.look(), end) {
                (_, Some(end)) if Instant::now() >= end => break Ok(()),
                (Finding::Idle, None) => {
                    connection.as_mut().graceful_shutdown();
                    end = Some(Instant::now() + runtime.limits().outbound_stall());
                }
                (Finding::Stalled(count), _) => {
                    let stalled = runtime.counters().of("server", STALLED);
                    (0..count).for_each(|_| stalled.add());
                }
                (Finding::Stuck, _) => break Ok(()),
                _ => {}
            },
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, error = &error as &dyn std::error::Error, "an HTTP/2 connection failed");
    }
}

/// Runs each stream as a task of its own, which ends when its client takes nothing.
#[derive(Clone)]
struct StreamTasks {
    runtime: Arc<Runtime>,
    streams: Arc<Streams>,
}

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        match self.streams.take_opened() {
            None => self.runtime.spawn(task),
            Some(stream) => self.runtime.spawn(async move {
                tokio::select! {
                    () = task => {}
                    () = stream.ended() => {}
                }
            }),
        }
    }
}
