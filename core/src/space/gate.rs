//! The gate: whether somebody may do something. All protocols ask it, and none decides for itself.

use std::sync::Arc;

use super::{Action, Space, audit};
use crate::{
    channel::{Channel, RESERVED, SHARE, SYSTEM},
    dispatcher::{Origin, Refusal, RefusalKind},
    domain::{DOMAIN, Domain},
    identity::{ClientId, Grant, Identity, Resource, Scope},
    pattern::Pattern,
};

impl Space {
    /// Whether somebody may do something: the one place where that is decided. What is asked for must have a name that
    /// clients can use, belong to the [domain](Domain) of who asks or of one that is bridged to it, be among what the app is
    /// confined to, and be granted by the identity.
    ///
    /// # Errors
    /// A [`Refusal`]: `LimitExceeded` for a name that is too long, else `Forbidden`. It is written to the audit log.
    pub fn authorize(&self, origin: &Origin, action: Action<'_>) -> Result<(), Refusal> {
        self.judge(origin, action).inspect_err(|refusal| {
            if refusal.kind == RefusalKind::Forbidden {
                audit::refused(origin, action, refusal);
            }
        })
    }

    /// Whether somebody may come in at all: a credential that has ended, or was taken back, lets nobody in. For protocols that
    /// judge credentials of their own; what a policy has judged was asked already.
    ///
    /// # Errors
    /// A [`Refusal`], which is written to the audit log: `Unavailable` where it cannot be known yet.
    pub fn admit(&self, origin: &Origin) -> Result<(), Refusal> {
        let identity = &origin.identity;
        let refusal = if identity.is_expired() {
            Refusal::forbidden("Your credentials have expired.")
        } else {
            match self.check_revoked(identity) {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            }
        };
        audit::not_admitted(origin.app, origin.peer, &refusal.message);
        Err(refusal)
    }

    fn check_revoked(&self, identity: &Identity) -> Result<(), Refusal> {
        if self.revoked.is_quiet() {
            return Ok(());
        }
        if self.revoked.contains(identity) {
            return Err(Refusal::forbidden("Your rights were taken back."));
        }
        if self.revoked.is_unknown_of(identity) {
            let message = "Your rights cannot be checked now; try again later.";
            return Err(Refusal::new(RefusalKind::Unavailable, message));
        }
        Ok(())
    }

    /// The id that a client has that says to be `claimed`: the one that its credential proves, if it proves one.
    ///
    /// # Errors
    /// A [`Refusal`] when the id is too long, or must be the proven one and is another.
    pub fn identify(&self, origin: &Origin, claimed: ClientId) -> Result<ClientId, Refusal> {
        self.check_client(&claimed)?;
        match &origin.identity.client {
            Some(proven) if *proven != claimed && origin.identity.refuses_other_ids => {
                let refusal = Refusal::forbidden("Your credential is for another client id.");
                audit::refused(origin, Action::ReceiveAs(&claimed), &refusal);
                Err(refusal)
            }
            Some(proven) => Ok(proven.clone()),
            None => Ok(claimed),
        }
    }

    /// Whether somebody may do something, for what is left out, and not refused, where they may not.
    pub fn may(&self, origin: &Origin, action: Action<'_>) -> bool {
        self.judge(origin, action).is_ok()
    }

    /// Writes to the audit log that something was done which changes or deletes what others have: for what an app does
    /// on its own after it was [authorized](Self::authorize).
    pub fn audit(&self, origin: &Origin, action: Action<'_>) {
        audit::done(origin, action);
    }

    /// Writes to the audit log what an operator, who may [administer](Action::Administer), does to others: the name of the
    /// call, and whom it is about.
    pub fn audit_call(&self, origin: &Origin, call: &str, of: &str) {
        audit::operated(origin, call, of);
    }

    /// Somebody without credentials, at a door that its protocol leaves open: what the composition says, else everything
    /// but deleting stored messages.
    pub fn anonymous(&self) -> Arc<Identity> {
        match &self.rules.anonymous {
            Some(anonymous) => anonymous.clone(),
            // Where others can reach it such a door was refused when the server was composed.
            None => self.open_door.clone(),
        }
    }

    fn judge(&self, origin: &Origin, action: Action<'_>) -> Result<(), Refusal> {
        if let Action::ActAs(channel, client) = action
            && !self.is_proven_of_another(origin, channel, client)
        {
            // What else it takes was asked.
            return self.check_names(origin, action);
        }
        let (permissions, resource) = (action.permissions(), action.resource());
        // Nearly everything is about such a name, which is nobody's but everybody's.
        let is_plain = matches!(resource, Resource::Channel(channel)
            if origin.identity.domain.is_common() && !channel.as_str().starts_with('$'));
        match resource {
            Resource::Channel(channel) if is_plain => {
                self.check_name(channel.as_str(), "channel name")?;
            }
            _ => self.check_names(origin, action)?,
        }
        let forbidden = || Refusal::forbidden(action.forbidden());
        let confinements = &self.rules.confinements;
        // Mostly there is none.
        if let Some((_, grants)) = confinements.iter().find(|(app, _)| app == origin.app)
            && !grants
                .iter()
                .any(|grant| grant.allows(permissions, resource))
        {
            return Err(forbidden());
        }
        let identity = &origin.identity;
        self.check_revoked(identity)?;
        let is_own = |client| identity.client.as_ref() == Some(client);
        let may = match action {
            _ if is_plain => identity.may(permissions, resource),
            // Private messages are for whom a credential proves, or for whoever says so where everything is open.
            Action::ReceiveAs(client) if is_own(client) => !identity.is_expired(),
            Action::ReceiveAs(_) if identity.client.is_some() => false,
            // The server says of itself what is nobody's to write.
            Action::Publish(channel) if channel.is_system() => {
                return Err(Refusal::forbidden(format!(
                    "On names that begin with {SYSTEM} only the server publishes."
                )));
            }
            // Over a bridge everything is what somebody has at home: there it takes a grant that names it.
            _ if !is_at_home(identity, resource) => {
                let mut grants = identity.grants.iter();
                let names = |grant: &Grant| {
                    grant.scope != Scope::Everything && grant.allows(permissions, resource)
                };
                !identity.is_expired() && grants.any(names)
            }
            _ => identity.may(permissions, resource),
        };
        if may { Ok(()) } else { Err(forbidden()) }
    }

    /// True when somebody counts as this client where it is present: nobody else does whose credential does not prove it.
    pub fn counts_as(&self, origin: &Origin, channel: &Channel, client: &ClientId) -> bool {
        let proves = origin.identity.client.as_ref() == Some(client);
        self.counts(origin.app, proves, channel, client)
    }

    /// The same of somebody whose credential proves it, or not.
    pub(super) fn counts(
        &self,
        app: &'static str,
        proves: bool,
        channel: &Channel,
        client: &ClientId,
    ) -> bool {
        let counts = proves || !self.presence.is_proven(channel, client);
        if !counts {
            let reason = "not counted as present: somebody else has proven to be the client";
            self.runtime.counters().of(app, reason).add();
        }
        counts
    }

    /// True when a credential of another has proven to be this client's, who is there.
    fn is_proven_of_another(&self, origin: &Origin, channel: &Channel, client: &ClientId) -> bool {
        origin.identity.client.as_ref() != Some(client) && self.presence.is_proven(channel, client)
    }

    /// Whether names are such as clients can use, of this domain or a bridged one.
    fn check_names(&self, origin: &Origin, action: Action<'_>) -> Result<(), Refusal> {
        match action.resource() {
            Resource::Channel(channel) => {
                self.check_channel(channel)?;
                self.check_domain(origin, |domain| domain.owns(channel))
            }
            Resource::Pattern(pattern) => {
                self.check_domain(origin, |domain| owns_pattern(domain, pattern))
            }
            Resource::Group(group) => {
                self.check_usable(group, "name of the group")?;
                self.check_domain(origin, |domain| domain.unqualify(group).is_some())
            }
            Resource::Everything => match action {
                Action::SendTo(client) | Action::ReceiveAs(client) => {
                    self.check_client(client)?;
                    // Clients with private messages are those of the common space.
                    self.check_domain(origin, Domain::is_common)
                }
                // The server is nobody's tenant.
                Action::Administer => self.check_domain(origin, Domain::is_common),
                _ => Ok(()),
            },
        }
    }

    fn check_domain(&self, origin: &Origin, owns: impl Fn(&Domain) -> bool) -> Result<(), Refusal> {
        let own = &origin.identity.domain;
        let mut bridges = self.rules.bridges.iter();
        if owns(own) || bridges.any(|(from, to)| from == own && owns(to)) {
            Ok(())
        } else {
            Err(Refusal::forbidden("This name belongs to another tenant."))
        }
    }

    pub(super) fn check_channel(&self, channel: &Channel) -> Result<(), Refusal> {
        self.check_usable(channel.as_str(), "channel name")
    }

    fn check_usable(&self, name: &str, what: &str) -> Result<(), Refusal> {
        if name.starts_with(RESERVED) {
            return Err(Refusal::forbidden(format!(
                "Names that begin with {RESERVED} are the server's own."
            )));
        }
        if name.starts_with(SHARE) {
            return Err(Refusal::forbidden(format!(
                "Names that begin with {SHARE} stand for shared subscriptions of MQTT, and for nothing else."
            )));
        }
        self.check_name(name, what)
    }

    pub(super) fn check_client(&self, client: &ClientId) -> Result<(), Refusal> {
        self.check_name(client.as_str(), "client id")
    }

    fn check_name(&self, name: &str, what: &str) -> Result<(), Refusal> {
        let limit = self.limits().name_bytes_max;
        if name.len() > limit {
            return Err(Refusal::limit_exceeded(format!(
                "The {what} is longer than {limit} bytes."
            )));
        }
        Ok(())
    }
}

/// True when something is in somebody's own domain.
fn is_at_home(identity: &Identity, resource: Resource<'_>) -> bool {
    let own = &identity.domain;
    match resource {
        Resource::Channel(channel) => own.owns(channel),
        Resource::Pattern(pattern) => owns_pattern(own, pattern),
        Resource::Group(group) => own.unqualify(group).is_some(),
        Resource::Everything => true,
    }
}

/// True when a pattern matches names of one domain only, and those that apps use among themselves not at all.
fn owns_pattern(domain: &Domain, pattern: &Pattern) -> bool {
    // A wildcard directly behind it matches what comes behind a separator.
    let begins = format!("{}{}", pattern.begins(), pattern.separator());
    if begins.starts_with(RESERVED) || begins.starts_with(SHARE) {
        return false;
    }
    if !domain.is_common() {
        return begins.starts_with(domain.prefix());
    }
    let is_hidden = pattern.separator() == '/';
    let is_wild = pattern.begins().is_empty();
    !begins.starts_with(DOMAIN) && (is_hidden || !is_wild)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_of_one_domain() {
        let (common, other) = (Domain::COMMON, Domain::new("pubnub", "s2"));
        let mqtt = |text| Pattern::mqtt(text).unwrap();
        let pubnub = |text| Pattern::pubnub(text).unwrap();
        for pattern in [
            mqtt("#"),
            mqtt("a/#"),
            mqtt("+/a"),
            mqtt("$SYS/#"),
            pubnub("a.*"),
        ] {
            assert!(owns_pattern(&common, &pattern), "{pattern:?}");
            assert!(!owns_pattern(&other, &pattern), "{pattern:?}");
        }
        for pattern in [
            mqtt("$domain/#"),
            mqtt("$domain/+/room"),
            mqtt("$domain/pubnub:s3/#"),
            mqtt("$polywire/#"),
            mqtt("$polywire/+"),
            mqtt("$share/#"),
            mqtt("$share/g/+"),
            pubnub("$share/g/a.*"),
            pubnub("$domain/pubnub:s3/a.*"),
            pubnub("$polywire/a.*"),
            Pattern::everything(),
        ] {
            assert!(!owns_pattern(&common, &pattern), "{pattern:?}");
            assert!(!owns_pattern(&other, &pattern), "{pattern:?}");
        }
        for pattern in [mqtt("$domain/pubnub:s2/#"), pubnub("$domain/pubnub:s2/a.*")] {
            assert!(owns_pattern(&other, &pattern), "{pattern:?}");
            assert!(!owns_pattern(&common, &pattern), "{pattern:?}");
        }
    }
}
