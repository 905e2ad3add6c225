//! Connections, groups, users, and what they may do.

use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use polywire_core::http::{Response, json, status};
use serde::Deserialize;
use serde_json::json;

use super::{
    Call,
    error::{bad, error, no_connection},
    send,
};
use crate::{
    control::{Audience, Command, Whose},
    filter::Filter,
    rights::Right,
};

/// Connections on a page, unless fewer are asked for.
const PAGE_MAX: u64 = 200;

pub(super) async fn close(call: Call<'_>, whose: Whose) -> Result<Response, Response> {
    let command = Command::Close {
        whose,
        audience: call.query.audience()?,
        reason: call.query.one("reason").map(str::to_owned),
    };
    call.state.command(&call.hub, command).await;
    Ok(status(StatusCode::NO_CONTENT))
}

pub(super) fn exists(call: &Call<'_>, whose: Whose) -> Response {
    let found = !call.state.those(&call.hub, &whose).is_empty();
    status(if found {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    })
}

/// The connections of a group, in pages.
pub(super) fn list(call: &Call<'_>, group: &str) -> Result<Response, Response> {
    let page = call.query.number("maxpagesize", 1, PAGE_MAX)?;
    let page = page.unwrap_or(PAGE_MAX);
    let top = call.query.number("top", 1, u64::MAX)?;
    let after = call.query.one("continuationToken");
    let mut all = call.state.those(&call.hub, &Whose::Group(group.to_owned()));
    if let Some(after) = after {
        all.retain(|connection| connection.id.as_str() > after);
    }
    let wanted = top.map_or(page, |top| top.min(page));
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let shown = &all[..all.len().min(wanted)];
    let value: Vec<_> = shown
        .iter()
        .map(|connection| match &connection.user {
            Some(user) => json!({"connectionId": connection.id, "userId": user}),
            None => json!({"connectionId": connection.id}),
        })
        .collect();
    let left = top.map(|top| top - shown.len() as u64);
    let next = match (shown.last(), left) {
        (Some(last), left) if all.len() > shown.len() && left != Some(0) => {
            Some(next_link(call, group, &last.id, left))
        }
        _ => None,
    };
    let body = json!({"value": value, "nextLink": next});
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
    let connection = call.state.find(&call.hub, id);
    let connection = connection.ok_or_else(|| no_connection(id))?;
    if call.hub.channel(group).is_none() {
        return Err(bad_group());
    }
    if !call.state.join(&connection, group).await {
        return Err(no_connection(id));
    }
    Ok(status(StatusCode::OK))
}

fn bad_group() -> Response {
    bad("The name of a group has 1 to 1024 characters, not all of them white space.")
}

pub(super) async fn join(
    call: &Call<'_>,
    whose: Whose,
    groups: Vec<String>,
) -> Result<Response, Response> {
    if groups.iter().any(|group| call.hub.channel(group).is_none()) {
        return Err(bad_group());
    }
    let audience = Audience::default();
    let command = Command::Join {
        whose,
        audience,
        groups,
    };
    call.state.command(&call.hub, command).await;
    Ok(status(StatusCode::OK))
}

/// Takes connections out of groups; out of all when none is named.
pub(super) async fn leave(
    call: &Call<'_>,
    whose: Whose,
    groups: Vec<String>,
) -> Result<Response, Response> {
    let audience = Audience::default();
    let command = Command::Leave {
        whose,
        audience,
        groups,
    };
    call.state.command(&call.hub, command).await;
    Ok(status(StatusCode::NO_CONTENT))
}

/// `:addToGroups` and `:removeFromGroups`.
pub(super) async fn change_groups(mut call: Call<'_>, adds: bool) -> Result<Response, Response> {
    #[derive(Deserialize)]
    struct Change {
        groups: Vec<String>,
        #[serde(default)]
        filter: Option<String>,
    }
    let body = send::body(&mut call).await?;
    let change: Change = serde_json::from_slice(&body)
        .map_err(|wrong| bad(&format!("The body is not valid: {wrong}.")))?;
    let Change { groups, filter } = change;
    if groups.is_empty() || groups.iter().any(|group| call.hub.channel(group).is_none()) {
        return Err(bad_group());
    }
    let filter = filter.as_deref().map(Filter::parse).transpose();
    let audience = Audience {
        filter: filter.map_err(|wrong| bad(&wrong))?,
        ..Audience::default()
    };
    let whose = Whose::All;
    let command = match adds {
        true => Command::Join {
            whose,
            audience,
            groups,
        },
        false => Command::Leave {
            whose,
            audience,
            groups,
        },
    };
    call.state.command(&call.hub, command).await;
    Ok(status(StatusCode::OK))
}

/// Grants, revokes or checks a permission.
pub(super) fn permission(call: &Call<'_>, name: &str, id: &str) -> Result<Response, Response> {
    let right = Right::parse(name);
    let right = right.ok_or_else(|| bad("A permission is sendToGroup or joinLeaveGroup."))?;
    let group = call.query.one("targetName");
    let connection = call.state.find(&call.hub, id);
    let method = &call.request.method;
    let Some(connection) = connection else {
        return match *method {
            Method::DELETE => Ok(status(StatusCode::NO_CONTENT)),
            Method::HEAD => Ok(status(StatusCode::NOT_FOUND)),
            _ => {
                let message = format!("Connection `{id}` is not found.");
                let code = "Info.Connection.NotExisted";
                let target = Some("Connection");
                Err(error(StatusCode::NOT_FOUND, code, &message, target))
            }
        };
    };
    let mut rights = connection.rights.lock();
    Ok(status(match *method {
        Method::PUT => {
            rights.grant(right, group);
            StatusCode::OK
        }
        Method::DELETE => {
            rights.revoke(right, group);
            StatusCode::NO_CONTENT
        }
        _ if rights.has(right, group) => StatusCode::OK,
        _ => StatusCode::NOT_FOUND,
    }))
}
