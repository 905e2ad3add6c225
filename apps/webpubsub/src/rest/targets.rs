//! Connections, groups, users, and what they may do.

use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use polywire_core::http::{Response, json, status};
use serde::Deserialize;
use serde_json::json;

use super::{
    call::Call,
    error::{bad, error, forbidden, no_connection, no_user, unanswered},
    send,
};
use crate::{
    filter::Filter,
    names::BAD_GROUP,
    operation::{Change, Operation, Outcome},
    recipients::{Audience, Recipients},
    rights::Right,
};

/// Connections on a page, unless fewer are asked for.
const PAGE_MAX: u64 = 200;

pub(super) async fn close(call: Call<'_>, recipients: Recipients) -> Result<Response, Response> {
    let operation = Operation::Close {
        recipients,
        audience: call.query.audience()?,
        reason: call.query.one("reason").map(str::to_owned),
    };
    everywhere(&call, operation).await?;
    Ok(status(StatusCode::NO_CONTENT))
}

async fn everywhere(call: &Call<'_>, operation: Operation) -> Result<Outcome, Response> {
    let done = call.broker.everywhere(&call.hub, operation).await;
    done.map_err(unanswered)
}

pub(super) async fn exists(call: &Call<'_>, recipients: Recipients) -> Result<Response, Response> {
    let outcome = everywhere(call, Operation::Find { recipients }).await?;
    Ok(status(match outcome.found {
        0 => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }))
}

/// The connections of a group, in pages.
pub(super) async fn list(call: &Call<'_>, group: &str) -> Result<Response, Response> {
    let page = call.query.number("maxpagesize", 1, PAGE_MAX)?;
    let page = page.unwrap_or(PAGE_MAX);
    let top = call.query.number("top", 1, u64::MAX)?;
    let wanted = top.map_or(page, |top| top.min(page));
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let operation = Operation::List {
        group: group.to_owned(),
        after: call.query.one("continuationToken").map(str::to_owned),
        // One more tells whether there is a next page.
        count_max: wanted + 1,
    };
    let all = everywhere(call, operation).await?.members;
    let shown = &all[..all.len().min(wanted)];
    let left = top.map(|top| top - shown.len() as u64);
    let next = match (shown.last(), left) {
        (Some(last), left) if all.len() > shown.len() && left != Some(0) => {
            Some(next_link(call, group, &last.connection_id, left))
        }
        _ => None,
    };
    let body = json!({"value": shown, "nextLink": next});
    Ok(json(StatusCode::OK, body.to_string()))
}

/// The SDKs follow it as it is.
fn next_link(call: &Call<'_>, group: &str, last: &str, left: Option<u64>) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let host = call.request.header("host").unwrap_or("127.0.0.1");
    let scheme = call.request.header("x-forwarded-proto").unwrap_or("http");
    let mut link = format!(
        "{scheme}://{host}/api/hubs/{}/groups/{}/connections?continuationToken={}",
        encode(call.hub.as_str()),
        encode(group),
        encode(last)
    );
    for name in ["api-version", "maxpagesize"] {
        if let Some(value) = call.query.one(name) {
            link += &format!("&{name}={}", encode(value));
        }
    }
    if let Some(left) = left {
        link += &format!("&top={left}");
    }
    link
}

pub(super) async fn add_connection(
    call: &Call<'_>,
    group: &str,
    id: &str,
) -> Result<Response, Response> {
    check_group(call, group)?;
    let operation = Operation::Join {
        recipients: Recipients::Connection(id.to_owned()),
        audience: Audience::default(),
        groups: vec![group.to_owned()],
    };
    match everywhere(call, operation).await?.found {
        0 => Err(no_connection(id)),
        _ => Ok(status(StatusCode::OK)),
    }
}

fn bad_group() -> Response {
    bad(BAD_GROUP)
}

/// Refuses a group that cannot be one, or that the service may not use.
fn check_group(call: &Call<'_>, group: &str) -> Result<(), Response> {
    let channel = call.broker.channel(&call.hub, group);
    let channel = channel.ok_or_else(bad_group)?;
    let may = call.broker.may_join(&call.hub, &channel, call.request.peer);
    may.map_err(|refusal| forbidden(&refusal.message))
}

pub(super) async fn add_user(
    call: &Call<'_>,
    group: &str,
    user: &str,
) -> Result<Response, Response> {
    check_group(call, group)?;
    let operation = Operation::Join {
        recipients: Recipients::User(user.to_owned()),
        audience: Audience::default(),
        groups: vec![group.to_owned()],
    };
    match everywhere(call, operation).await?.found {
        0 => Err(no_user(user)),
        _ => Ok(status(StatusCode::OK)),
    }
}

/// Takes connections out of groups; out of all when none is named.
pub(super) async fn leave(
    call: &Call<'_>,
    recipients: Recipients,
    groups: Vec<String>,
) -> Result<Response, Response> {
    let audience = Audience::default();
    let operation = Operation::Leave {
        recipients,
        audience,
        groups,
    };
    everywhere(call, operation).await?;
    Ok(status(StatusCode::NO_CONTENT))
}

/// `:addToGroups` and `:removeFromGroups`.
pub(super) async fn change_groups(call: Call<'_>, adds: bool) -> Result<Response, Response> {
    #[derive(Deserialize)]
    struct Change {
        groups: Vec<String>,
        #[serde(default)]
        filter: Option<String>,
    }
    let body = send::body(&call)?;
    let change: Change = serde_json::from_slice(&body)
        .map_err(|wrong| bad(&format!("The body is not valid: {wrong}.")))?;
    let Change { groups, filter } = change;
    let is_wrong = |group: &String| call.broker.channel(&call.hub, group).is_none();
    if groups.is_empty() || groups.iter().any(is_wrong) {
        return Err(bad_group());
    }
    if adds {
        groups
            .iter()
            .try_for_each(|group| check_group(&call, group))?;
    }
    let filter = filter.as_deref().map(Filter::parse).transpose();
    let audience = Audience {
        filter: filter.map_err(|wrong| bad(&wrong))?,
        ..Audience::default()
    };
    let recipients = Recipients::All;
    let operation = if adds {
        Operation::Join {
            recipients,
            audience,
            groups,
        }
    } else {
        Operation::Leave {
            recipients,
            audience,
            groups,
        }
    };
    everywhere(&call, operation).await?;
    Ok(status(StatusCode::OK))
}

/// Grants, revokes or checks a permission.
pub(super) async fn permission(
    call: &Call<'_>,
    name: &str,
    id: &str,
) -> Result<Response, Response> {
    let right = Right::parse(name);
    let right = right.ok_or_else(|| bad("A permission is sendToGroup or joinLeaveGroup."))?;
    let change = match call.request.method {
        Method::PUT => Change::Grant,
        Method::DELETE => Change::Revoke,
        _ => Change::Check,
    };
    let target = call.query.one("targetName");
    if target.is_some_and(|group| call.broker.channel(&call.hub, group).is_none()) {
        return Err(bad_group());
    }
    let operation = Operation::Permission {
        connection: id.to_owned(),
        change,
        right,
        group: target.map(str::to_owned),
    };
    let outcome = everywhere(call, operation).await?;
    match change {
        Change::Grant if outcome.found == 0 => {
            let message = format!("Connection `{id}` is not found.");
            let code = "Info.Connection.NotExisted";
            let target = Some("Connection");
            Err(error(StatusCode::NOT_FOUND, code, &message, target))
        }
        Change::Grant => Ok(status(StatusCode::OK)),
        Change::Revoke => Ok(status(StatusCode::NO_CONTENT)),
        Change::Check if outcome.is_allowed => Ok(status(StatusCode::OK)),
        Change::Check => Ok(status(StatusCode::NOT_FOUND)),
    }
}
