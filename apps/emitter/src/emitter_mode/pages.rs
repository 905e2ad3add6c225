//! The pages of the Emitter protocol: a form that makes keys, who is there, and a sign of life.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use polywire_core::{
    Origin,
    http::{AllowedOrigins, BodyError, Request, Response, json, request, response, status, text},
};
use warp::{Filter, filters::BoxedFilter};

use super::{
    context::EmitterContext,
    fault::Fault,
    keys::{Permissions, Shown},
    requests::{keygen, presence},
};
use crate::settings::NAME;

const PAGE: &str = include_str!("keygen.html");

/// Bytes of a body, at most: a form, or a small object.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The pages.
pub(crate) fn routes(
    context: &Arc<EmitterContext>,
    origins: AllowedOrigins,
) -> BoxedFilter<(Response,)> {
    let (context, origins) = (context.clone(), Arc::new(origins));
    let is_page = |path: &str| matches!(path, "/keygen" | "/presence" | "/health");
    request(is_page)
        .then(move |mut request: Request| {
            let (context, origins) = (context.clone(), origins.clone());
            async move {
                if let Err(foreign) = origins.check(NAME, &request, context.broker.space.runtime())
                {
                    return foreign.response();
                }
                match (request.method.clone(), &*request.path) {
                    (Method::GET, "/health") => text(StatusCode::OK, "OK"),
                    (Method::GET, "/keygen") => page(""),
                    (Method::POST, "/keygen") => match body(&context, &mut request).await {
                        Ok(form) => made(&context, request.peer, &form),
                        Err(refused) => refused,
                    },
                    (Method::POST, "/presence") => match body(&context, &mut request).await {
                        Ok(body) => present(&context, request.peer, &body),
                        Err(refused) => refused,
                    },
                    _ => status(StatusCode::METHOD_NOT_ALLOWED),
                }
            }
        })
        .boxed()
}

async fn body(context: &EmitterContext, request: &mut Request) -> Result<Bytes, Response> {
    let patience = context.broker.space.limits().body_timeout();
    let body = request.body.read(BODY_BYTES_MAX, patience).await;
    body.map_err(|error| {
        status(match error {
            BodyError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TimedOut => StatusCode::REQUEST_TIMEOUT,
            BodyError::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        })
    })
}

fn page(answer: &str) -> Response {
    let mut page = response(StatusCode::OK, PAGE.replacen("ANSWER", answer, 1));
    let headers = page.headers_mut();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, html);
    // It may show a key.
    let never = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, never);
    let own =
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    let own = HeaderValue::from_static(own);
    headers.insert(header::CONTENT_SECURITY_POLICY, own);
    page
}

/// The page with the key that a form asked for, or why there is none.
fn made(context: &EmitterContext, peer: Option<SocketAddr>, form: &[u8]) -> Response {
    let form = Form::read(form);
    let boxes = [
        ("sub", Permissions::READ),
        ("pub", Permissions::WRITE),
        ("store", Permissions::STORE),
        ("load", Permissions::LOAD),
        ("presence", Permissions::PRESENCE),
        ("extend", Permissions::EXTEND),
    ];
    let checked = boxes.iter().filter(|(name, _)| form.value(name) == "on");
    let permissions = checked.fold(Permissions::of_letters(""), |all, (_, one)| all | *one);
    let ttl = match form.value("ttl") {
        "" => Ok(0),
        digits => digits.parse(),
    };
    let make = |ttl_secs| {
        let with = context.judge(peer, form.value("key"))?;
        keygen::make(
            &context.keyring,
            &keygen::KeyRequest {
                with,
                channel: form.value("channel"),
                permissions,
                ttl_secs,
                connection: None,
            },
        )
    };
    let made = match ttl {
        Ok(ttl_secs) => make(ttl_secs),
        Err(_) => Err(Fault::bad("The seconds are not a number.")),
    };
    page(&match made {
        Ok((key, channel)) => {
            let channel = escape(&channel);
            format!("<output>channel: {channel}<br>key: <code>{key}</code></output>")
        }
        Err(fault) => {
            let body = fault.body();
            let message = body.get("message").and_then(|text| text.as_str());
            format!("<output>{}</output>", escape(message.unwrap_or_default()))
        }
    })
}

fn present(context: &EmitterContext, peer: Option<SocketAddr>, body: &[u8]) -> Response {
    let answered = match serde_json::from_slice::<presence::Body>(body) {
        Ok(body) => {
            let shown = Shown::once(&context.keyring, &body.key);
            let origin = Origin::new(NAME, shown.identity).peer(peer);
            let channel = presence::slashed(&body.channel);
            presence::permitted(context, &origin, &channel)
                .map(|path| presence::status(context, path))
        }
        Err(error) => Err(Fault::bad(format!(
            "The body is not as it should be: {error}."
        ))),
    };
    match answered {
        Ok(answer) => json(StatusCode::OK, answer.to_string()),
        Err(fault) => {
            let code = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
            json(code, serde_json::Value::Object(fault.body()).to_string())
        }
    }
}

/// The fields of a form, decoded; what is not UTF-8 is left out.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(body: &[u8]) -> Self {
        let decode = |raw: &str| {
            let spaced = raw.replace('+', " ");
            percent_decode_str(&spaced)
                .decode_utf8()
                .ok()
                .map(Into::into)
        };
        let body = String::from_utf8_lossy(body);
        let fields = body.split('&').filter_map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            Some((decode(name)?, decode(value)?))
        });
        Self(fields.collect())
    }

    /// The value of a field; empty where it is not there.
    fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value.trim())
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let form = Form::read(b"key=a%2Fb&channel=a%2F+&sub=on&bad=%ff&x");
        assert_eq!(form.value("key"), "a/b");
        assert_eq!(form.value("channel"), "a/");
        assert_eq!((form.value("sub"), form.value("pub")), ("on", ""));
        assert_eq!(escape("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    }
}
