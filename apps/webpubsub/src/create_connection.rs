//! Creation of a connection: the code behind the hub is asked, and rights, user and groups are settled.

use std::sync::Arc;

use http::StatusCode;
use parking_lot::Mutex;
use polywire_core::{
    ClientId, ConnectionId, Credentials, Identity, Origin, RefusalKind,
    http::{Request, Response, text},
    space::Action,
    transport::websocket::upgrade,
};
use rand::distr::{Alphanumeric, SampleString};

use crate::{
    broker::Broker,
    connection::{Connection, NewConnection},
    event::{self, ConnectRequest},
    keys::Claims,
    names::{HubName, NAME},
    protocol::{Protocol, SendTo},
    rights::{self, Rights},
};

/// Makes the connection of somebody whose token is good, and says which groups it begins with.
///
/// # Errors
/// The answer that refuses it.
pub(crate) async fn create_connection(
    broker: &Broker,
    request: &Request,
    hub: HubName,
    protocol: Option<Protocol>,
    offered: Vec<String>,
    claims: Claims,
) -> Result<(Arc<Connection>, Vec<String>), Response> {
    let refuse = |status, message: &str| text(status, format!("{message}\n"));
    let credentials = request.credentials(NAME);
    let mut protocol = match protocol {
        Some(protocol) => protocol,
        None => {
            let send_to = send_to(&credentials);
            let send_to = send_to.map_err(|message| refuse(StatusCode::BAD_REQUEST, message))?;
            Protocol::Simple {
                send_to,
                subprotocol: None,
            }
        }
    };
    let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
    let id = random(24);
    let mut user = claims.sub.clone().filter(|user| !user.is_empty());
    let identity = |user: Option<&str>| Identity {
        client: user.and_then(|user| ClientId::new(user).ok()),
        domain: hub.domain().clone(),
        ..claims.identity()
    };
    // Before the code behind the hub hears of it.
    admit(broker, request, &identity(user.as_deref()))?;
    let mut roles = claims.role.as_slice().to_vec();
    let mut groups = claims.group.as_slice().to_vec();
    let mut kept = None;
    if let Some(handler) = broker.handlers.of(&hub) {
        // Nobody is asked about a request that cannot become a connection.
        upgrade(request, None).map_err(|error| error.response())?;
        let asked = ConnectRequest::new(
            event::Connection::new(
                id.clone(),
                hub.as_str().to_owned(),
                user.clone(),
                protocol.subprotocol().map(str::to_owned),
                None,
            ),
            claims.to_json(),
            without_token(&request.query),
            request.headers.clone(),
            offered.clone(),
        );
        let welcome = handler.connect(&asked).await.map_err(|failure| {
            let status = StatusCode::from_u16(failure.status);
            refuse(status.unwrap_or(StatusCode::UNAUTHORIZED), &failure.message)
        })?;
        user = welcome.user.or(user);
        roles = welcome.roles.unwrap_or(roles);
        if !welcome.groups.is_empty() {
            groups = welcome.groups;
        }
        kept = welcome.state;
        if let Protocol::Simple { subprotocol, .. } = &mut protocol {
            // A browser would not take one that it did not offer.
            *subprotocol = welcome.subprotocol.filter(|name| offered.contains(name));
        }
    }
    let bytes_max = broker.space.limits().name_bytes_max;
    if user.as_ref().is_some_and(|user| user.len() > bytes_max) {
        let message = format!("The id of a user has {bytes_max} bytes at most.");
        return Err(refuse(StatusCode::BAD_REQUEST, &message));
    }
    let rights = Rights::of_roles(roles.iter().map(String::as_str));
    let rights = Arc::new(Mutex::new(rights));
    let identity = Identity {
        grants: rights::grants(&rights, &hub),
        ..identity(user.as_deref())
    };
    // The code behind the hub may have named somebody else.
    admit(broker, request, &identity)?;
    let mut origin = Origin::new(NAME, identity).peer(request.peer);
    let connection = ConnectionId::next(broker.space.hub().node());
    origin.connection = Some(connection);
    if let Protocol::Simple {
        send_to: Some(SendTo { group, .. }),
        ..
    } = &protocol
    {
        let message = "The token has no role to send to this group.";
        let refused = || refuse(StatusCode::FORBIDDEN, message);
        let channel = broker.channel(&hub, group).ok_or_else(refused)?;
        let may = broker.space.authorize(&origin, Action::Publish(&channel));
        may.map_err(|_| refused())?;
    }
    let is_reliable = protocol.is_reliable();
    let connection = Connection::new(NewConnection {
        id,
        formats: broker.hubs.formats(&hub),
        hub,
        user,
        protocol,
        connection,
        reconnection_token: random(48),
        origin,
        rights,
        state: kept,
        ack_delay: loses_fast_answers(request).then(|| broker.ack_delay.clone()),
        hold: is_reliable.then(|| broker.space.runtime().drain().hold()),
        groups_kept: Arc::downgrade(&broker.local) as _,
    });
    Ok((connection, groups))
}

/// True for the vendor's client for Python with threads, and for its other one, which says the same of itself. It sends a
/// request, then begins to wait: of an answer that comes in between it hears nothing, and waits for half a minute.
pub(crate) fn loses_fast_answers(request: &Request) -> bool {
    let agent = request.header("user-agent");
    agent.is_some_and(|agent| agent.contains("azsdk-python-webpubsub-client"))
}

/// Where the frames of a client go that speaks none of the subprotocols; `None` for the code behind the hub.
fn send_to(credentials: &Credentials) -> Result<Option<SendTo>, &'static str> {
    let value = |name| credentials.query_value(name);
    match value("webpubsub_mode").as_deref() {
        None => Ok(None),
        Some(mode) if mode.eq_ignore_ascii_case("sendEvent") => Ok(None),
        Some(mode) if mode.eq_ignore_ascii_case("sendToGroup") => {
            let group = value("group");
            let group = group.ok_or("webpubsub_mode=sendToGroup needs the name of a group.")?;
            let no_echo = value("noEcho").is_some_and(|value| value.eq_ignore_ascii_case("true"));
            Ok(Some(SendTo { group, no_echo }))
        }
        Some(_) => Err("webpubsub_mode is sendEvent or sendToGroup."),
    }
}

/// Refuses a credential that was taken back.
#[allow(clippy::result_large_err, reason = "an answer is as large as it is")]
fn admit(broker: &Broker, request: &Request, identity: &Identity) -> Result<(), Response> {
    let origin = Origin::new(NAME, identity.clone()).peer(request.peer);
    broker.space.admit(&origin).map_err(|refusal| {
        let status = match refusal.kind {
            RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        text(status, format!("{}\n", refusal.message))
    })
}

fn without_token(query: &str) -> String {
    let pairs = query.split('&');
    let others: Vec<_> = pairs
        .filter(|pair| !pair.starts_with("access_token="))
        .collect();
    others.join("&")
}
