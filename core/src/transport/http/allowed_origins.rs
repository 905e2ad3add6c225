//! Origins of pages: which sites may use an app from a browser.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{Request, Response, text};
use crate::{runtime::Runtime, settings::Problem};

/// Bytes of an origin that a refusal repeats.
const SHOWN_BYTES_MAX: usize = 200;

/// Which sites may use an app from a browser: RFC 6454, and the `Origin` header of the Fetch standard.
///
/// A browser sends requests of any page that it shows, with what it knows: cookies, the network that it is in, the machine that
/// it runs on. What it adds is the origin of the page, and only the server can tell whether that may be. Programs send none, and
/// pass.
///
/// An app begins with one of two: [`any`](Self::any) where whoever asks shows a credential of their own in the request, and
/// [`near`](Self::near) where rights come from where one is. A list in the configuration takes the place of either.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedOrigins {
    /// Takes the place of all that follows.
    hook: Option<OriginHook>,
    any: bool,
    same: bool,
    loopback: bool,
    null: bool,
    listed: Vec<String>,
}

impl AllowedOrigins {
    /// Pages of every site, without cookies: for apps whose requests carry keys or tokens.
    #[must_use]
    pub fn any() -> Self {
        Self {
            any: true,
            ..Self::default()
        }
    }

    /// Pages of the server's own origin; and, for a browser on this machine, pages of every loopback origin and files that are
    /// opened by hand (origin `null`).
    #[must_use]
    pub fn near() -> Self {
        Self {
            same: true,
            loopback: true,
            null: true,
            ..Self::default()
        }
    }

    /// Those of a list, where there is one: origins such as `https://chat.example` or `http://localhost:3000`; `same-origin`;
    /// `loopback`, for browsers on this machine; `null`; or `*` for all, without cookies.
    #[must_use]
    pub fn or_listed<T: AsRef<str>>(self, list: Option<&[T]>) -> Self {
        let Some(list) = list else { return self };
        list.iter()
            .fold(Self::default(), |all, entry| all.and(entry.as_ref()))
    }

    /// Those that a function takes, which is asked for each page: what Tornado calls `check_origin`. Such a page may read answers
    /// and send cookies.
    #[must_use]
    pub fn checked_by(check: impl Fn(&str, &Request) -> bool + Send + Sync + 'static) -> Self {
        Self {
            hook: Some(OriginHook(Arc::new(check))),
            ..Self::default()
        }
    }

    /// One more; see [`or_listed`](Self::or_listed).
    #[must_use]
    pub fn and(mut self, entry: &str) -> Self {
        match entry {
            "*" => self.any = true,
            "same-origin" => self.same = true,
            "loopback" => self.loopback = true,
            origin => self.listed.push(origin.to_ascii_lowercase()),
        }
        self
    }

    /// True when pages of every site may use the app.
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// What is wrong with a list, as a problem of the setting `allowed_origins`.
    pub fn problem<T: AsRef<str>>(list: Option<&[T]>) -> Option<Problem> {
        let mut entries = list?.iter().map(AsRef::as_ref);
        let wrong = entries.find(|entry| !is_entry(entry))?;
        let message = format!(
            "{wrong:?} is no origin: use https://chat.example or http://localhost:3000, without a path; same-origin, loopback, \
             null, or * for all"
        );
        Some(Problem::new("allowed_origins", message))
    }

    /// Judges a request of an app.
    ///
    /// # Errors
    /// When it comes from a page whose origin is not allowed; it is counted.
    pub fn check(
        &self,
        app: &'static str,
        request: &Request,
        runtime: &Runtime,
    ) -> Result<CrossOrigin, ForeignOrigin> {
        let mut origins = request.headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next().filter(|origin| !origin.is_empty()) else {
            return Ok(CrossOrigin::NoPage);
        };
        let text = origin.to_str().unwrap_or_default();
        let is_one = origins.next().is_none();
        if is_one && self.names(text, request) {
            return Ok(CrossOrigin::Allowed(origin.clone()));
        }
        if self.any {
            return Ok(CrossOrigin::Anybody);
        }
        runtime
            .counters()
            .of(app, "refused a page of another origin")
            .add();
        let shown = text.chars().take(SHOWN_BYTES_MAX).collect();
        Err(ForeignOrigin { app, origin: shown })
    }

    /// True for an origin that is allowed by itself, and not as one of all.
    fn names(&self, origin: &str, request: &Request) -> bool {
        if let Some(OriginHook(check)) = &self.hook {
            return check(origin, request);
        }
        let is_here = is_here(request.peer, &request.headers);
        let is_listed = |listed: &String| listed.eq_ignore_ascii_case(origin);
        if self.listed.iter().any(is_listed) {
            return true;
        }
        // What browsers say of files: some have a scheme and no more.
        if matches!(origin, "null" | "file://") {
            return self.null && is_here;
        }
        let Some((scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        if self.loopback && is_here && is_loopback(authority) {
            return true;
        }
        let Some(host) = request.header("host").filter(|_| self.same) else {
            return false;
        };
        let host = host.trim();
        // A name that leads here from this machine, and is none of its own, was made to: by a page that had it lead elsewhere
        // when it was loaded.
        without_port(scheme, authority).eq_ignore_ascii_case(without_port(scheme, host))
            && (!is_here || is_loopback(host))
    }
}

/// Judges the origin of a page.
#[derive(Clone)]
struct OriginHook(Arc<OriginCheck>);

/// True for an origin that is allowed.
type OriginCheck = dyn Fn(&str, &Request) -> bool + Send + Sync;

impl PartialEq for OriginHook {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OriginHook {}

impl fmt::Debug for OriginHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OriginHook")
    }
}

/// True for a client on this machine. What a proxy that is not trusted hands on may come from anywhere.
fn is_here(peer: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
        && !headers.contains_key("x-forwarded-for")
        && !headers.contains_key(header::FORWARDED)
}

/// Leaves the port out where it is that of the scheme.
fn without_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return authority,
    };
    authority.strip_suffix(port).unwrap_or(authority)
}

/// True for `localhost`, names below it, and addresses of this machine, with a port or without.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_entry(entry: &str) -> bool {
    if matches!(entry, "*" | "same-origin" | "loopback" | "null") {
        return true;
    }
    let Some((scheme, authority)) = entry.split_once("://") else {
        return false;
    };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    !scheme.is_empty()
        && scheme.bytes().all(is_scheme)
        && !authority.contains(['@', '*'])
        && authority.parse::<http::uri::Authority>().is_ok()
}

/// What a page may see of the answer to its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrossOrigin {
    /// It is no page that asks.
    NoPage,
    /// Pages of all sites may read the answer, and send no cookies.
    Anybody,
    /// This origin may read it, and send cookies.
    Allowed(HeaderValue),
}

impl CrossOrigin {
    /// Tells the browser so.
    pub fn tell(&self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let origin = match self {
            Self::NoPage | Self::Anybody => HeaderValue::from_static("*"),
            Self::Allowed(origin) => {
                let yes = HeaderValue::from_static("true");
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
                origin.clone()
            }
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// The request comes from a page of a site that may not use the app.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Pages of {origin} may not use this server. If they shall, add the origin to apps.{app}.allowed_origins."
)]
pub struct ForeignOrigin {
    app: &'static str,
    origin: String,
}

impl ForeignOrigin {
    /// The HTTP answer.
    pub fn response(&self) -> Response {
        text(StatusCode::FORBIDDEN, format!("{self}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{drain::DrainPlace, limits::Limits, transport::http::Body};

    const HERE: &str = "127.0.0.1:4000";
    const ELSEWHERE: &str = "192.0.2.1:4000";

    fn request(peer: &str, host: &str, headers: &[(&'static str, &str)]) -> Request {
        let mut map = HeaderMap::new();
        map.insert("host", host.parse().unwrap());
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Request {
            method: http::Method::GET,
            is_head: false,
            path: "/".into(),
            query: "".into(),
            is_cut: false,
            headers: map,
            peer: Some(peer.parse().unwrap()),
            place: DrainPlace::FIRST,
            on_upgrade: None,
            body: Body::empty(),
        }
    }

    fn judge(allowed: &AllowedOrigins, request: &Request) -> Result<CrossOrigin, ForeignOrigin> {
        let runtime = Runtime::start(Limits::default(), Default::default());
        let judged = allowed.check("seth", request, &runtime);
        let counters = runtime.counters().all();
        assert_eq!(counters.len(), usize::from(judged.is_err()));
        runtime.halt();
        judged
    }

    #[tokio::test]
    async fn a_page_that_is_near_may() {
        let near = AllowedOrigins::near();
        let may = |peer, host, headers: &[(&'static str, &str)]| {
            judge(&near, &request(peer, host, headers)).is_ok()
        };
        let from = |peer, host, origin| may(peer, host, &[("origin", origin)]);
        // No page, or the server's own.
        assert!(may(ELSEWHERE, "chat.example", &[]));
        assert!(from(ELSEWHERE, "chat.example", "https://chat.example"));
        assert!(from(ELSEWHERE, "chat.example:443", "https://Chat.example"));
        assert!(from(ELSEWHERE, "10.0.0.5:8080", "http://10.0.0.5:8080"));
        // Others.
        assert!(!from(ELSEWHERE, "chat.example", "https://evil.example"));
        assert!(!from(
            ELSEWHERE,
            "chat.example",
            "https://chat.example:8443"
        ));
        assert!(!from(ELSEWHERE, "chat.example", "http://localhost:3000"));
        assert!(!from(ELSEWHERE, "chat.example", "null"));
        // On this machine.
        for origin in [
            "http://localhost:5173",
            "https://app.localhost",
            "http://127.0.0.1",
            "http://[::1]:3000",
            "null",
            "file://",
        ] {
            assert!(from(HERE, "127.0.0.1:8080", origin), "{origin}");
            assert!(from("[::ffff:127.0.0.1]:1", "localhost:8080", origin));
            let forwarded = [("origin", origin), ("x-forwarded-for", "192.0.2.1")];
            assert!(!may(HERE, "chat.example", &forwarded), "{origin}");
        }
        for origin in [
            "http://evil.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example:8080",
            "localhost",
            "",
        ] {
            assert_eq!(from(HERE, "127.0.0.1:8080", origin), origin.is_empty());
        }
        // Its name was made to lead here.
        assert!(!from(HERE, "evil.example:8080", "http://evil.example:8080"));
        let two = [("origin", "null"), ("origin", "https://evil.example")];
        assert!(!may(HERE, "127.0.0.1", &two));
    }

    #[tokio::test]
    async fn a_list_takes_the_place_of_a_default() {
        let list = ["https://chat.example", "same-origin"];
        let listed = AllowedOrigins::near().or_listed(Some(&list));
        let from = |origin| {
            judge(
                &listed,
                &request(HERE, "127.0.0.1:8080", &[("origin", origin)]),
            )
        };
        let Ok(CrossOrigin::Allowed(origin)) = from("https://chat.example") else {
            panic!("it is listed");
        };
        assert_eq!(origin, "https://chat.example");
        assert!(from("http://127.0.0.1:8080").is_ok());
        let refused = from("http://localhost:3000").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Pages of http://localhost:3000 may not use this server. If they shall, add the origin to \
             apps.seth.allowed_origins."
        );
        let any = AllowedOrigins::near().or_listed(Some(&["*"]));
        let from = |origin| judge(&any, &request(HERE, "h", &[("origin", origin)]));
        assert_eq!(from("https://evil.example"), Ok(CrossOrigin::Anybody));
        let none: Option<&[String]> = None;
        assert_eq!(AllowedOrigins::any().or_listed(none), AllowedOrigins::any());
    }

    #[tokio::test]
    async fn a_function_takes_the_place_of_all() {
        let checked = AllowedOrigins::checked_by(|origin, request| {
            origin.ends_with(".example") && request.header("host") == Some("chat")
        });
        let from = |host, origin| judge(&checked, &request(HERE, host, &[("origin", origin)]));
        let allowed = from("chat", "https://a.example");
        assert!(
            matches!(allowed, Ok(CrossOrigin::Allowed(_))),
            "{allowed:?}"
        );
        assert!(from("other", "https://a.example").is_err());
        assert!(from("chat", "http://localhost").is_err());
        assert_eq!(
            judge(&checked, &request(HERE, "chat", &[])),
            Ok(CrossOrigin::NoPage)
        );
        assert_eq!(checked, checked.clone());
    }

    #[test]
    fn only_listed_origins_may_send_cookies() {
        let told = |cross_origin: CrossOrigin| {
            let mut headers = HeaderMap::new();
            cross_origin.tell(&mut headers);
            let text = |name| Some(headers.get(name)?.to_str().unwrap().to_owned());
            (
                text(header::ACCESS_CONTROL_ALLOW_ORIGIN),
                text(header::ACCESS_CONTROL_ALLOW_CREDENTIALS),
            )
        };
        assert_eq!(told(CrossOrigin::Anybody), (Some("*".into()), None));
        assert_eq!(told(CrossOrigin::NoPage), (Some("*".into()), None));
        let allowed = CrossOrigin::Allowed(HeaderValue::from_static("null"));
        assert_eq!(told(allowed), (Some("null".into()), Some("true".into())));
    }

    #[test]
    fn a_list_is_checked() {
        let problem = |entry: &str| AllowedOrigins::problem(Some(&[entry])).is_some();
        for entry in [
            "*",
            "null",
            "loopback",
            "https://a.example",
            "http://[::1]:1",
            "app://x",
        ] {
            assert!(!problem(entry), "{entry}");
        }
        for entry in [
            "",
            "a.example",
            "https://",
            "https://a/b",
            "https://*.a",
            "https://a@b",
        ] {
            assert!(problem(entry), "{entry}");
        }
    }
}
