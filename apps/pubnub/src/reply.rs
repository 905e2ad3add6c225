//! Answers, as the SDKs read them: JSON always, with a content type always, errors included.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use polywire_core::{
    Refusal, RefusalKind,
    http::{Answer, BodyError},
};

use crate::{service, text::quote};

/// What the vendor's service says; the SDKs look for `javascript` or `json` in it.
const CONTENT_TYPE: &str = "text/javascript; charset=\"UTF-8\"";

/// An answer that says what is wrong; boxed, so that carrying it costs little where nothing is.
pub(crate) type Refused = Box<Answer>;

/// JSON that is written already.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// An error that is written already.
pub(crate) fn refuse(status: StatusCode, body: impl Into<Bytes>) -> Refused {
    Box::new(json(status, body))
}

/// JSON with status 200.
pub(crate) fn ok(body: impl Into<Bytes>) -> Answer {
    json(StatusCode::OK, body)
}

/// The answer to a browser that asks what it may send.
pub(crate) fn preflight() -> Answer {
    let mut answer = ok(Bytes::new());
    let headers = answer.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE, PATCH, OPTIONS"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Origin, X-Requested-With, Content-Type, Content-Encoding, Accept",
        ),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("86400"),
    );
    answer
}

/// An error in the form of everything but publish and signal.
pub(crate) fn error(status: StatusCode, service: &str, message: &str) -> Refused {
    let (code, service, message) = (status.as_u16(), quote(service), quote(message));
    refuse(
        status,
        format!(r#"{{"message":{message},"error":true,"service":{service},"status":{code}}}"#),
    )
}

/// The request is malformed.
pub(crate) fn bad_request(service: &str, message: &str) -> Refused {
    error(StatusCode::BAD_REQUEST, service, message)
}

/// The subscribe key belongs to nobody here.
pub(crate) fn invalid_subscribe_key() -> Refused {
    bad_request(service::ACCESS_MANAGER, "Invalid Subscribe Key")
}

/// The names that somebody has no right to, for the answer that tells of all of them.
#[derive(Debug, Default)]
pub(crate) struct Forbidden<'n> {
    channels: Vec<&'n str>,
    groups: Vec<&'n str>,
}

impl<'n> Forbidden<'n> {
    /// Notes what the gate said of a channel. What is no lack of rights is answered at once.
    pub(crate) fn channel(
        &mut self,
        judged: Result<(), Refusal>,
        name: &'n str,
        service: &str,
    ) -> Result<(), Refused> {
        note(&mut self.channels, judged, name, service)
    }

    /// The same of a group.
    pub(crate) fn group(
        &mut self,
        judged: Result<(), Refusal>,
        name: &'n str,
        service: &str,
    ) -> Result<(), Refused> {
        note(&mut self.groups, judged, name, service)
    }

    /// Refuses when there is one.
    pub(crate) fn check(self) -> Result<(), Refused> {
        let lists = [
            ("channels", &self.channels),
            ("channel-groups", &self.groups),
        ];
        let lists = lists.iter().filter(|(_, names)| !names.is_empty());
        let lists = lists.map(|(kind, names)| {
            let names = names.iter().map(|name| quote(name));
            let names = names.collect::<Vec<_>>().join(",");
            format!(r#""{kind}":[{names}]"#)
        });
        let payload = lists.collect::<Vec<_>>().join(",");
        if payload.is_empty() {
            return Ok(());
        }
        Err(forbidden(&payload))
    }
}

fn note<'n>(
    names: &mut Vec<&'n str>,
    judged: Result<(), Refusal>,
    name: &'n str,
    service: &str,
) -> Result<(), Refused> {
    match judged {
        Ok(()) => {}
        Err(refusal) if refusal.kind == RefusalKind::Forbidden => names.push(name),
        Err(refusal) => return Err(refused(&refusal, service, name)),
    }
    Ok(())
}

/// No right to what the members of `payload` name.
fn forbidden(payload: &str) -> Refused {
    refuse(
        StatusCode::FORBIDDEN,
        format!(
            r#"{{"message":"Forbidden","payload":{{{payload}}},"error":true,"service":"Access Manager","status":403}}"#
        ),
    )
}

/// A refusal of the space that is about no name.
pub(crate) fn refused_everywhere(refusal: &Refusal, message: &str) -> Refused {
    match refusal.kind {
        RefusalKind::Forbidden => error(StatusCode::FORBIDDEN, service::ACCESS_MANAGER, message),
        _ => refused(refusal, service::ACCESS_MANAGER, message),
    }
}

/// Nothing is there.
pub(crate) fn not_found(service: &str) -> Refused {
    let service = quote(service);
    refuse(
        StatusCode::NOT_FOUND,
        format!(r#"{{"status":404,"error":true,"message":"Not Found","service":{service}}}"#),
    )
}

/// Something is there, but not for this method.
pub(crate) fn method_not_allowed(allow: &'static str) -> Refused {
    let mut answer = error(
        StatusCode::METHOD_NOT_ALLOWED,
        service::BALANCER,
        "Method Not Allowed",
    );
    answer
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allow));
    answer
}

/// A refusal of the space, on a channel.
pub(crate) fn refused(refusal: &Refusal, service: &str, channel: &str) -> Refused {
    match refusal.kind {
        RefusalKind::Forbidden => forbidden(&format!(r#""channels":[{}]"#, quote(channel))),
        RefusalKind::Unavailable => {
            error(StatusCode::SERVICE_UNAVAILABLE, service, &refusal.message)
        }
        _ => bad_request(service, &refusal.message),
    }
}

/// Status and text for a body that did not come as it should.
pub(crate) fn body_problem(error: BodyError) -> (StatusCode, &'static str) {
    match error {
        BodyError::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "Message Too Large"),
        BodyError::TimedOut => (
            StatusCode::REQUEST_TIMEOUT,
            "Request body did not arrive in time",
        ),
        BodyError::NoRoom => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The server has no room for the request body now; try again later",
        ),
        _ => (StatusCode::BAD_REQUEST, "Request body did not arrive whole"),
    }
}
