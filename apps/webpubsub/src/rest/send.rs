//! Sends of services: to all, a group, a user or a connection.

use bytes::Bytes;
use http::StatusCode;
use polywire_core::{
    JsonText, Payload, RefusalKind,
    http::{BodyError, Response, status},
};

use super::{
    call::Call,
    error::{bad, error, forbidden},
};
use crate::recipients::Recipients;

/// Sends the body.
pub(super) async fn send(call: Call<'_>, recipients: Recipients) -> Result<Response, Response> {
    let (audience, ttl) = (call.query.audience()?, call.query.ttl()?);
    let payload = payload(&call)?;
    let sent = call
        .broker
        .send(&call.hub, recipients, audience, payload, ttl);
    match sent.await {
        Ok(()) => Ok(status(StatusCode::ACCEPTED)),
        Err(refusal) if refusal.kind == RefusalKind::Forbidden => Err(forbidden(&refusal.message)),
        // Not 5xx where it may have been sent: SDKs would send it again.
        Err(refusal) => Err(bad(&refusal.message)),
    }
}

/// The body of a request, if it came whole and within the bounds.
pub(super) fn body(call: &Call<'_>) -> Result<Bytes, Response> {
    call.body.clone().map_err(|wrong| match wrong {
        BodyError::TooLong => {
            let bytes_max = call.broker.space.limits().message_bytes_max;
            let message = format!("The body is longer than {bytes_max} bytes.");
            let code = "PayloadTooLarge";
            error(StatusCode::PAYLOAD_TOO_LARGE, code, &message, None)
        }
        BodyError::TimedOut => status(StatusCode::REQUEST_TIMEOUT),
        BodyError::NoRoom => status(StatusCode::SERVICE_UNAVAILABLE),
        _ => bad("The body did not arrive whole."),
    })
}

fn payload(call: &Call<'_>) -> Result<Payload, Response> {
    let content_type = call.request.header("content-type").unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    let sort = match media.as_str() {
        "text/plain" | "application/json" | "application/octet-stream" => media,
        _ => {
            let message =
                "Use the content type text/plain, application/json or application/octet-stream.";
            let code = "UnsupportedMediaType";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(error(status, code, message, None));
        }
    };
    let bytes = body(call)?;
    match sort.as_str() {
        "text/plain" => {
            let text = String::from_utf8(bytes.into());
            let text = text.map_err(|_| bad("The body is not UTF-8."))?;
            Ok(Payload::text(text))
        }
        "application/json" => {
            let json = JsonText::parse(bytes);
            let json =
                json.map_err(|wrong| bad(&format!("The body is not valid JSON: {wrong}.")))?;
            Ok(Payload::json(json))
        }
        _ => Ok(Payload::Binary(bytes)),
    }
}
