//! The caller of one event handler: posts to it, and reads what it answers within bounds.

use std::{error::Error, fmt::Write, time::Duration};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use reqwest::{
    Client, Method, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap},
    redirect,
};

use super::{
    address::PublicOnly,
    error::WebhookError,
    post::{ORIGIN, Post, STATE, VERSION},
    settings::Webhook,
    validation::{Validation, allows},
};

/// Time for a connection to a handler.
const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of a connection's state: it travels in a header, and common servers take 16 KiB of all headers.
const STATE_BYTES_MAX: usize = 8 << 10;

/// The name of the event that is none: it stands in the URL that is asked for permission.
const VALIDATE: &str = "validate";

/// One event handler.
pub(crate) struct Caller {
    pub(super) webhook: Webhook,
    client: Client,
    validation: Validation,
}

/// What a handler answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// In lower case, without parameters.
    pub(super) media_type: String,
    pub(super) state: Option<String>,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("The event handler does not take events of this server: {0}.")]
    NotAllowed(String),
    #[error("The event has a name that cannot stand in the URL of its handler.")]
    Name,
    #[error("The event handler did not answer in time.")]
    Late,
    #[error("The event handler could not be reached.")]
    Unreachable(String),
    #[error("The event handler answered more than may be read.")]
    TooLong,
}

impl Caller {
    pub(crate) fn new(webhook: Webhook) -> Result<Self, WebhookError> {
        let template = &webhook.template;
        if template.has_private_address() && !webhook.allow_private_addresses {
            return Err(WebhookError::PrivateAddress);
        }
        polywire_core::cryptography::install();
        let mut builder = Client::builder()
            // A redirect or a proxy could lead to an address that was not checked.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(webhook.timeout);
        if let Some(authorization) = &webhook.authorization {
            let headers = [(AUTHORIZATION, authorization.clone())];
            builder = builder.default_headers(HeaderMap::from_iter(headers));
        }
        if !webhook.allow_private_addresses {
            builder = builder.dns_resolver(PublicOnly);
        }
        if !template.is_secure() {
            // Needs no certificates, so it must not fail on a machine that has none.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self {
            client: builder.build().map_err(|_| WebhookError::Client)?,
            webhook,
            validation: Validation::default(),
        })
    }

    /// Posts an event of a hub. An answer of more than `bytes_max` is not read to its end.
    pub(super) async fn call(
        &self,
        hub: &str,
        origin: &str,
        post: &Post,
        bytes_max: usize,
    ) -> Result<Answer, NoAnswer> {
        let url = |event: &str| self.webhook.template.url(hub, event).ok_or(NoAnswer::Name);
        let (place, permission) = (url(&post.name)?, url(VALIDATE)?);
        self.validation
            .ensure(|| self.ask(permission, origin))
            .await
            .map_err(NoAnswer::NotAllowed)?;
        let request = self
            .client
            .post(place)
            .headers(post.headers.clone())
            .body(post.body.clone());
        let response = request.send().await.map_err(no_answer)?;
        read(response, bytes_max).await
    }

    /// Asks whether this server may post.
    async fn ask(&self, url: Url, origin: &str) -> Result<(), String> {
        let request = self
            .client
            .request(Method::OPTIONS, url)
            .header(ORIGIN, origin)
            .header(VERSION, "1.0");
        let allowed = match request.send().await {
            Ok(answer) if !answer.status().is_success() => {
                Err(format!("it answered OPTIONS with {}", answer.status()))
            }
            Ok(answer) if !allows(answer.headers(), origin) => {
                Err(format!("its WebHook-Allowed-Origin does not name {origin}"))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(causes(&error.without_url())),
        };
        if let Err(why) = &allowed {
            let host = self.webhook.template.host();
            tracing::warn!(
                host,
                why,
                "an event handler may not be used; it is asked again later"
            );
        }
        allowed
    }
}

async fn read(mut response: Response, bytes_max: usize) -> Result<Answer, NoAnswer> {
    let status = response.status();
    let media_type = text(response.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    let state = text(response.headers(), STATE);
    let promised = response.content_length().unwrap_or(0);
    if promised > bytes_max as u64 || state.as_ref().is_some_and(|s| s.len() > STATE_BYTES_MAX) {
        return Err(NoAnswer::TooLong);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(NoAnswer::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status,
        media_type,
        state,
        body: body.freeze(),
    })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn no_answer(error: reqwest::Error) -> NoAnswer {
    if error.is_timeout() {
        return NoAnswer::Late;
    }
    // Without the URL, which may hold a secret.
    NoAnswer::Unreachable(causes(&error.without_url()))
}

/// An error and what caused it.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a text does not fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
