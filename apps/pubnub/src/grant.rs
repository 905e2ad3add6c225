//! Grants of the access manager: tokens are given, and taken back.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Method, StatusCode};
use polywire_core::{
    http::{Answer, Request},
    space::{Action, RESERVED, Revocation},
};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::{
    access::{
        Caller,
        token::{self, Terms, TokenRights},
    },
    context::Context,
    keys::KeySet,
    query::Query,
    reply::{self, Forbidden},
    service,
    text::{decode, quote},
};

/// Bytes of what is asked for.
const BYTES_MAX: usize = 64 << 10;

/// Minutes that a token may count.
const MINUTES: std::ops::RangeInclusive<u64> = 1..=43_200;

/// How much the clocks of nodes may differ, at most, for a revoked token never to count again.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

const NOT_SIGNED: &str = "Only requests that are signed with the secret key may grant access.";

#[derive(Debug, Deserialize)]
struct GrantRequest {
    ttl: u64,
    permissions: Permissions,
}

#[derive(Debug, Deserialize)]
struct Permissions {
    #[serde(default)]
    resources: Names,
    #[serde(default)]
    patterns: Names,
    #[serde(default)]
    meta: Option<Json>,
    #[serde(default)]
    uuid: Option<String>,
}

/// Rights by name. What the SDKs say twice under other names is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Names {
    channels: BTreeMap<String, u64>,
    groups: BTreeMap<String, u64>,
    uuids: BTreeMap<String, u64>,
}

impl From<Names> for TokenRights {
    fn from(names: Names) -> Self {
        Self {
            channels: names.channels,
            groups: names.groups,
            clients: names.uuids,
        }
    }
}

/// Everything below `/v3/pam/{key}`.
pub(crate) async fn route(
    context: &Arc<Context>,
    request: &mut Request,
    query: &Query<'_>,
    key: &str,
    rest: &[&str],
) -> Result<Answer, reply::Refused> {
    let set = context.keys.find(key);
    let set = set.ok_or_else(reply::invalid_subscribe_key)?;
    let body = body(context, request).await?;
    let caller = context
        .admit(set, request, query, &body, service::ACCESS_MANAGER)
        .await?;
    let judged = context.space.authorize(&caller.origin, Action::GiveRights);
    judged.map_err(|refusal| reply::refused_everywhere(&refusal, NOT_SIGNED))?;
    let Some(secret) = set.secret_key() else {
        return Err(reply::error(
            StatusCode::FORBIDDEN,
            service::ACCESS_MANAGER,
            NOT_SIGNED,
        ));
    };
    match (&request.method, rest) {
        (&Method::POST, ["grant"]) => {
            let granted = grant(context, &caller, set, secret, &body)?;
            context.space.audit(&caller.origin, Action::GiveRights);
            Ok(granted)
        }
        (&Method::DELETE, ["grant", token]) => revoke(context, secret, token).await,
        _ => Err(reply::not_found(service::ACCESS_MANAGER)),
    }
}

async fn body(context: &Context, request: &mut Request) -> Result<Bytes, reply::Refused> {
    let timeout = context.space.limits().body_timeout();
    let body = request.body.read(BYTES_MAX, timeout).await;
    body.map_err(|error| {
        let (status, message) = reply::body_problem(error);
        reply::error(status, service::ACCESS_MANAGER, message)
    })
}

fn grant(
    context: &Context,
    caller: &Caller,
    set: &KeySet,
    secret: &str,
    body: &[u8],
) -> Result<Answer, reply::Refused> {
    let bad = |message: &str| reply::bad_request(service::ACCESS_MANAGER, message);
    let asked: GrantRequest = serde_json::from_slice(body).map_err(|_| bad("Invalid JSON"))?;
    if !MINUTES.contains(&asked.ttl) {
        return Err(bad("Invalid ttl: use 1 to 43200 minutes."));
    }
    let permissions = asked.permissions;
    let meta = permissions
        .meta
        .unwrap_or_else(|| Json::Object(Default::default()));
    if !meta.is_object() {
        return Err(bad("Invalid meta: use a JSON object."));
    }
    let resources = &permissions.resources;
    let mut named = resources.channels.keys().chain(resources.groups.keys());
    if named.any(|name| name.starts_with(RESERVED)) {
        return Err(bad(&format!(
            "Names that begin with {RESERVED} are the server's own."
        )));
    }
    check_names(context, caller, set, resources)?;
    let patterns = &permissions.patterns;
    let mut all = patterns.channels.keys().chain(patterns.groups.keys());
    if let Some(pattern) = all.find(|text| token::pattern(text).is_none()) {
        return Err(bad(&format!("Invalid RegExp: {pattern}")));
    }
    let too_many = |count| count > token::PATTERNS_MAX;
    if too_many(patterns.channels.len()) || too_many(patterns.groups.len()) {
        let max = token::PATTERNS_MAX;
        return Err(bad(&format!(
            "Too many patterns: a token has {max} of channels and {max} of groups at most."
        )));
    }
    let terms = Terms {
        minutes: asked.ttl,
        resources: permissions.resources.into(),
        patterns: permissions.patterns.into(),
        meta,
        client: permissions.uuid,
    };
    let token = quote(&token::write(&terms, secret, SystemTime::now()));
    Ok(reply::ok(format!(
        r#"{{"data":{{"message":"Success","token":{token}}},"service":"Access Manager","status":200}}"#
    )))
}

/// Refuses rights to what is of another tenant.
fn check_names(
    context: &Context,
    caller: &Caller,
    set: &KeySet,
    names: &Names,
) -> Result<(), reply::Refused> {
    let mut forbidden = Forbidden::default();
    let (space, origin) = (&context.space, &caller.origin);
    for name in names.channels.keys() {
        if let Some(channel) = set.channel(name) {
            let judged = space.authorize(origin, Action::ManageChannel(&channel));
            forbidden.channel(judged, name, service::ACCESS_MANAGER)?;
        }
    }
    for name in names.groups.keys() {
        if let Some(group) = set.group(name) {
            let judged = space.authorize(origin, Action::ManageGroup(&group));
            forbidden.group(judged, name, service::ACCESS_MANAGER)?;
        }
    }
    forbidden.check()
}

async fn revoke(context: &Context, secret: &str, token: &str) -> Result<Answer, reply::Refused> {
    let text = decode(token).unwrap_or_default();
    let Some(token) = token::read(&text, secret) else {
        return Err(invalid("Invalid token."));
    };
    if token.end <= SystemTime::now() {
        return Err(invalid("Token is expired."));
    }
    let revocation = Revocation::Credential(token.credential);
    // When it has ended it counts for nothing anyway.
    let until = token.end + CLOCKS_DIFFER;
    let revoked = context.space.revoke_until(&revocation, Some(until)).await;
    revoked.map_err(|refusal| {
        reply::error(
            StatusCode::SERVICE_UNAVAILABLE,
            service::ACCESS_MANAGER,
            &refusal.message,
        )
    })?;
    Ok(reply::ok(
        r#"{"data":{"message":"Success"},"service":"Access Manager","status":200}"#,
    ))
}

fn invalid(message: &str) -> reply::Refused {
    let message = quote(message);
    reply::refuse(
        StatusCode::BAD_REQUEST,
        format!(
            r#"{{"error":{{"message":"Invalid token","source":"revoke","details":[{{"message":{message},"location":"token","locationType":"path"}}]}},"service":"Access Manager","status":400}}"#
        ),
    )
}
