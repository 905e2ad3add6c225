//! The audit log: one line for each decision about rights, with the target `audit` and no secrets.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Action;
use crate::{
    dispatcher::{Origin, Refusal},
    identity::{CredentialId, Resource},
};

/// What the lines of this log are known by.
pub(super) const TARGET: &str = "audit";

/// Lines in a second about what was refused: whoever is refused decides how often.
const REFUSED_MAX: u64 = 100;

/// Lines of this second.
static LINES: Mutex<Option<(Instant, u64)>> = Mutex::new(None);

/// Refusals without a line, since the last one that had one.
static UNTOLD: AtomicU64 = AtomicU64::new(0);

/// Somebody was refused.
pub(super) fn refused(origin: &Origin, action: Action<'_>, refusal: &Refusal) {
    let Some(untold) = may_write() else {
        return;
    };
    let (client, credential) = who(origin);
    let of = match action.resource() {
        Resource::Channel(channel) => channel.as_str().to_owned(),
        Resource::Pattern(pattern) => format!("{pattern:?}"),
        Resource::Group(group) => group.to_owned(),
        Resource::Everything => match action {
            Action::SendTo(client) | Action::ReceiveAs(client) => client.to_string(),
            _ => String::new(),
        },
    };
    tracing::info!(
        target: TARGET,
        outcome = "refused",
        %action,
        of,
        app = origin.app,
        client,
        credential,
        peer = ?origin.peer,
        domain = %origin.identity.domain,
        why = %refusal,
        untold,
    );
}

/// Somebody was not let in: by an app, from an address, and why.
pub(super) fn not_admitted(app: &str, peer: Option<SocketAddr>, why: &str) {
    let Some(untold) = may_write() else {
        return;
    };
    tracing::info!(
        target: TARGET,
        outcome = "refused",
        action = "connect",
        app,
        ?peer,
        why,
        untold,
    );
}

/// Something was done that changes or deletes what others have.
pub(super) fn done(origin: &Origin, action: Action<'_>) {
    let of = match action.resource() {
        Resource::Channel(channel) => channel.as_str(),
        Resource::Group(group) => group,
        _ => "",
    };
    operated(origin, &action.to_string(), of);
}

/// Something was done, by its name, to what or whom, such as a call of an operator.
pub(super) fn operated(origin: &Origin, call: &str, of: &str) {
    let (client, credential) = who(origin);
    tracing::info!(
        target: TARGET,
        outcome = "done",
        action = call,
        of,
        app = origin.app,
        client,
        credential,
        peer = ?origin.peer,
        domain = %origin.identity.domain,
    );
}

fn who(origin: &Origin) -> (Option<&str>, Option<&str>) {
    let client = origin.client.as_ref().or(origin.identity.client.as_ref());
    let client = client.map(|client| client.as_str());
    let credential = origin.identity.credential.as_ref();
    (client, credential.map(CredentialId::as_str))
}

/// How many refusals had no line since the last one that had; none where there is to be no line now either.
fn may_write() -> Option<u64> {
    let mut lines = LINES.lock();
    let now = Instant::now();
    let may = match &mut *lines {
        Some((since, count)) if now.duration_since(*since).as_secs() == 0 => {
            *count += 1;
            *count <= REFUSED_MAX
        }
        lines => {
            *lines = Some((now, 1));
            true
        }
    };
    drop(lines);
    if may {
        return Some(UNTOLD.swap(0, Ordering::Relaxed));
    }
    UNTOLD.fetch_add(1, Ordering::Relaxed);
    None
}
