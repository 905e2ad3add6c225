//! The app: its address, and what it answers.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream;
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use polywire_core::{
    App, AuthenticationError, Channel, Composition, ConnectionId, FromSettings, HistoryError,
    Identity, Listening, Origin, Query, Refusal, RefusalKind, Space, Span, Target, Timetoken,
    http::{AllowedOrigins, Request, Response, request_under, stream as streamed},
    settings::Problem,
    space::{Action, Replay},
};
use warp::{Filter, filters::BoxedFilter};

use crate::{
    error::{error, error_line},
    follow::Lines,
    query::{From, Wanted},
    reading::{FIRST_PAGE, NotRead, in_turn, rest},
    settings::HistoryApiSettings,
};

const NAME: &str = "history";
const CHANNELS: &str = "/history/v1/channels/";
/// Publications that are read at once for a client that follows.
const REPLAY_PAGE: usize = 64;

/// The app that reads history over HTTP.
///
/// `GET /history/v1/channels/{channel}` answers with one JSON object a line, the oldest first; see
/// [`Line`](crate::Line). Parameters:
/// - `last=N`: the last so many; 100 without any of these,
/// - `since=TIME` and `limit=N`: from a time on (see [`timetoken`](crate::timetoken())), 100 at most or as many as
///   said,
/// - `follow=true`: goes on with what is published from then on, without a seam, until the client leaves.
///
/// An answer that breaks off ends with a line that has an `error` and nothing else.
#[derive(Debug, Clone)]
pub struct HistoryApi {
    origins: AllowedOrigins,
}

impl Default for HistoryApi {
    fn default() -> Self {
        Self {
            origins: AllowedOrigins::near(),
        }
    }
}

impl HistoryApi {
    /// Sets pages of which sites may read. Default: [those that are near](AllowedOrigins::near).
    #[must_use]
    pub fn allowed_origins(mut self, origins: AllowedOrigins) -> Self {
        self.origins = origins;
        self
    }
}

impl FromSettings for HistoryApi {
    type Settings = HistoryApiSettings;

    fn from_settings(settings: &HistoryApiSettings, _: &Composition) -> Result<Self, Problem> {
        let list = settings.allowed_origins.as_deref();
        Ok(Self {
            origins: AllowedOrigins::near().or_listed(list),
        })
    }
}

#[async_trait]
impl App for HistoryApi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let (space, origins) = (space.clone(), Arc::new(self.origins.clone()));
        request_under("/history/v1")
            .then(move |request: Request| answer(space.clone(), origins.clone(), request))
            .boxed()
    }

    fn banner(&self, at: Listening) -> Vec<String> {
        let url = at.http_url();
        vec![format!("History: curl '{url}{CHANNELS}<channel>?last=10'")]
    }
}

async fn answer(space: Arc<Space>, origins: Arc<AllowedOrigins>, request: Request) -> Response {
    let allowed = match origins.check(NAME, &request, space.runtime()) {
        Ok(allowed) => allowed,
        Err(foreign) => return error(StatusCode::FORBIDDEN, &foreign.to_string()),
    };
    let (Ok(mut response) | Err(mut response)) = read(&space, &request).await;
    allowed.tell(response.headers_mut());
    response
}

async fn read(space: &Arc<Space>, request: &Request) -> Result<Response, Response> {
    let name = request.path.strip_prefix(CHANNELS);
    let name = name.ok_or_else(|| {
        let message = format!("There is nothing here; history is at {CHANNELS}{{channel}}.");
        error(StatusCode::NOT_FOUND, &message)
    })?;
    if request.method != Method::GET {
        let mut refused = error(StatusCode::METHOD_NOT_ALLOWED, "Use GET.");
        let headers = refused.headers_mut();
        headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
        return Err(refused);
    }
    let bad = |message: &str| error(StatusCode::BAD_REQUEST, message);
    let name = percent_decode_str(name.strip_suffix('/').unwrap_or(name))
        .decode_utf8()
        .map_err(|_| bad("The channel name is not UTF-8."))?;
    let channel = Channel::new(&name).map_err(|_| bad("Name a channel."))?;
    let wanted = Wanted::parse(&request.query).map_err(|message| bad(&message))?;
    let identity = authenticate(space, request).await?;
    let origin = Origin::new(NAME, identity).peer(request.peer);
    space
        .authorize(&origin, Action::ReadHistory(&channel))
        .map_err(|refusal| refused(&refusal))?;
    let target = Target::from(channel.clone());
    let since = begin(space, &origin, &target, &wanted).await;
    let since = since.map_err(|why| why.answer())?;
    let bytes_max = space.limits().outbound_bytes_max;
    let connection = ConnectionId::next(space.hub().node());
    let (lines, taker) = Lines::new(connection, bytes_max);
    if wanted.follow {
        let mut attachment = space.attach(origin, lines.clone());
        let query = Query::new(Span::from(since..=Timetoken(u64::MAX)), REPLAY_PAGE);
        let subscribed = attachment.subscribe_with_history(channel, query).await;
        let (_, replay) = subscribed.map_err(|refusal| refused(&refusal))?;
        let (runtime, stall) = (space.runtime().clone(), space.limits().outbound_stall_secs);
        let place = request.place;
        runtime.clone().spawn(async move {
            let ended = tokio::select! {
                ended = follow(replay, attachment.origin(), &lines) => ended,
                () = runtime.drain().turn(place) => Some("The server stops; ask again from here.".to_owned()),
            };
            if let Some(why) = ended {
                let patience = Duration::from_secs(stall);
                // Whoever reads nothing at all need not be told.
                let _ = tokio::time::timeout(patience, lines.send_last(error_line(&why))).await;
            }
            attachment.disconnect().await;
        });
    } else {
        let space = space.clone();
        let stopping = space.runtime().stopping();
        space.runtime().clone().spawn(async move {
            tokio::select! {
                () = once(&space, &origin, &channel, since, wanted.limit, &lines) => {}
                () = stopping.cancelled() => {}
            }
        });
    }
    let body = stream::unfold(taker, async |mut taker| {
        let line = taker.next().await?;
        Some((Ok(line), taker))
    });
    let mut response = streamed(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    Ok(response)
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.kind {
        RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    error(status, &refusal.message)
}

async fn authenticate(space: &Space, request: &Request) -> Result<Arc<Identity>, Response> {
    match space.authenticate(&request.credentials(NAME)).await {
        Ok(identity) => Ok(identity),
        Err(AuthenticationError::Refused) => Err(error(
            StatusCode::UNAUTHORIZED,
            "The credentials are missing or wrong.",
        )),
        Err(cause @ AuthenticationError::Throttled(_)) => {
            Err(error(StatusCode::TOO_MANY_REQUESTS, &format!("{cause}.")))
        }
        Err(cause) => {
            let cause = &cause as &dyn std::error::Error;
            tracing::warn!(error = cause, "could not authenticate");
            Err(error(
                StatusCode::SERVICE_UNAVAILABLE,
                "The credentials cannot be checked now; try again later.",
            ))
        }
    }
}

/// The timetoken of the first publication that is wanted.
async fn begin(
    space: &Space,
    origin: &Origin,
    target: &Target,
    wanted: &Wanted,
) -> Result<Timetoken, NotRead> {
    let history = space
        .history()
        .ok_or(NotRead::Failed(HistoryError::NotKept))?;
    let mut left = match wanted.from {
        From::Since(since) => return Ok(since),
        From::Last(last) => last,
    };
    // What is published later is wanted too by whoever follows.
    let mut first = Timetoken(space.hub().clock().last().0.saturating_add(1));
    let mut query = Some(Query::last(FIRST_PAGE));
    while let (Some(mut next), true) = (query, left > 0) {
        next.limit = next.limit.min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = async { history.read(target, &next).await.map(Some) };
        let Some((page, _held)) = in_turn(space, origin, read).await? else {
            break;
        };
        left = left.saturating_sub(page.entries.len() as u64);
        if let Some(oldest) = page.entries.last() {
            first = oldest.publication.position().timetoken;
        }
        query = rest(&page, &next);
    }
    Ok(first)
}

/// Sends up to `limit` publications.
async fn once(
    space: &Space,
    origin: &Origin,
    channel: &Channel,
    since: Timetoken,
    limit: u64,
    lines: &Lines,
) {
    let target = Target::from(channel.clone());
    let Some(history) = space.history() else {
        return;
    };
    let mut left = limit;
    let span = Span::from(since..=Timetoken(u64::MAX));
    let mut query = Some(Query::new(span, FIRST_PAGE));
    while let (Some(mut next), true) = (query, left > 0) {
        next.limit = next.limit.min(usize::try_from(left).unwrap_or(usize::MAX));
        // They may end while the client reads.
        if let Err(refusal) = space.authorize(origin, Action::ReadHistory(channel)) {
            return lines.send_last(error_line(&refusal.message)).await;
        }
        let read = async { history.read(&target, &next).await.map(Some) };
        let (page, _held) = match in_turn(space, origin, read).await {
            Ok(Some(read)) => read,
            Ok(None) => return,
            Err(why) => {
                return lines.send_last(error_line(&why.message())).await;
            }
        };
        if !lines.send_page(&page).await {
            return;
        }
        left = left.saturating_sub(page.entries.len() as u64);
        query = rest(&page, &next);
    }
}

/// Sends history and then what comes; says why it ended, where the client is to be told.
async fn follow(replay: Option<Replay>, origin: &Origin, lines: &Lines) -> Option<String> {
    let mut replay = replay?;
    let space = replay.space().clone();
    let reading = async {
        loop {
            match in_turn(&space, origin, replay.next_page()).await {
                Ok(Some((page, _held))) => {
                    if !lines.send_page(&page).await {
                        return None;
                    }
                }
                Ok(None) => return None,
                Err(why) => return Some(why.message()),
            }
        }
    };
    tokio::select! {
        Some(why) = reading => Some(why),
        ended = lines.ended() => ended,
    }
}
