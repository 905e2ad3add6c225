//! The channel space that all apps share.

mod action;
mod announce;
mod attachment;
mod audit;
mod close_on_gap;
mod connectionless;
mod ending;
mod gate;
mod history_reads;
mod joining;
mod listen;
mod live;
mod pending_writes;
mod public_history;
mod publishing;
mod replay;
mod revoked;
mod revoking;
mod rules;
mod who;

pub use self::{
    action::Action,
    attachment::{Attachment, Subscribed},
    close_on_gap::CloseOnGap,
    ending::Whom,
    history_reads::{HeldBytes, HistoryRead, HistoryReads},
    listen::ChannelListener,
    pending_writes::{PendingWrite, PendingWrites},
    publishing::Publishing,
    replay::Replay,
    revoked::Revocation,
    who::ConnectionView,
};
use self::{live::LiveConnections, public_history::PublicHistory, publishing::heard};
pub(crate) use self::{
    revoked::{Kept, RevocationKeeper, Revoked},
    rules::GateRules,
};
pub use crate::{
    channel::{RESERVED, SHARE, SYSTEM},
    cluster::Nodes,
    presence::{Lease, Member, MemberOwner, Presence, Tenant, TouchOutcome},
};

use std::{fmt, future::ready, sync::Arc};

use futures_util::{FutureExt, TryFutureExt, future::Either};

use crate::{
    authentication::{AuthenticationError, AuthenticationPolicy, Credentials, Shown},
    backend::{Attempt, BackendError, BackendStatus, Placed, PubSubBackend},
    dispatcher::{Command, Dispatcher, Event, Origin, Refusal, Verdict},
    hub::Hub,
    identity::{Grant, Identity, Permissions, Scope},
    limits::Limits,
    persistence::{History, PersistencePolicy},
    publication::{Draft, Target},
    receipt::Receipt,
    runtime::Runtime,
};

/// What somebody without credentials may do where nothing is said of it: everything but delete what others have stored.
const OPEN_DOOR: Permissions = Permissions::ALL.without(Permissions::DELETE);

/// The channel space: what apps publish to and subscribe on. It applies limits, grants and the dispatcher,
/// and hands what passes to the backend and the hub.
pub struct Space {
    hub: Arc<Hub>,
    backend: Arc<dyn PubSubBackend>,
    authentication: Arc<dyn AuthenticationPolicy>,
    history: PublicHistory,
    history_reads: Arc<HistoryReads>,
    dispatcher: Arc<dyn Dispatcher>,
    presence: Presence,
    nodes: Nodes,
    rules: GateRules,
    /// Who comes by a door that its protocol leaves open.
    open_door: Arc<Identity>,
    live: LiveConnections,
    revoked: Revoked,
    pending_writes: PendingWrites,
    runtime: Arc<Runtime>,
}

impl Space {
    pub(crate) fn new(
        hub: Arc<Hub>,
        backend: Arc<dyn PubSubBackend>,
        authentication: Arc<dyn AuthenticationPolicy>,
        persistence: Arc<dyn PersistencePolicy>,
        dispatcher: Arc<dyn Dispatcher>,
        rules: GateRules,
        runtime: Arc<Runtime>,
    ) -> Arc<Self> {
        let changes = backend.is_shared().then(Arc::default);
        let presence = Presence::new(hub.node(), runtime.limits(), runtime.counters(), changes);
        let history_reads = HistoryReads::new(runtime.limits(), runtime.counters());
        let nodes = Nodes::new(hub.node(), !backend.is_shared());
        let history = PublicHistory {
            backend: backend.clone(),
            persistence,
        };
        Arc::new(Self {
            hub,
            backend,
            authentication,
            history,
            history_reads,
            dispatcher,
            presence,
            nodes,
            rules,
            open_door: Arc::new(Identity {
                grants: vec![Grant::new(Scope::Everything, OPEN_DOOR)],
                ..Identity::default()
            }),
            live: LiveConnections::default(),
            revoked: Revoked::default(),
            pending_writes: PendingWrites::default(),
            runtime,
        })
    }

    /// Who is on which channel of this node.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Clients that are present on channels, with their state.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Reads of history that are under way, which whoever reads for a client takes part in.
    pub fn history_reads(&self) -> &Arc<HistoryReads> {
        &self.history_reads
    }

    /// What apps write because of publications, which their publishers wait for.
    pub fn pending_writes(&self) -> &PendingWrites {
        &self.pending_writes
    }

    /// What was taken back.
    pub(crate) fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// This node and the others.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        self.runtime.limits()
    }

    /// Timers and tasks of the server.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// How the backend fares.
    pub fn backend_status(&self) -> BackendStatus {
        self.backend.status()
    }

    /// What is kept of channels, to be read again; `None` when nothing is. Who reads for a client has that
    /// [authorized](Self::authorize) first. Of
    /// channels whose names begin with [`RESERVED`] nothing can be read.
    pub fn history(&self) -> Option<&dyn History> {
        self.history.all().map(|_| &self.history as &dyn History)
    }

    /// The same with the channels that apps use among themselves: for what they [keep](Self::publish_reserved) there,
    /// never for what clients ask for.
    pub fn whole_history(&self) -> Option<&dyn History> {
        self.history.all()
    }

    /// Asks the authentication policy, unless too many wrong credentials came from the address. Whoever shows none is
    /// anonymous where the composition says what anonymous clients may do, and refused elsewhere.
    ///
    /// # Errors
    /// See [`AuthenticationError`]; it is never [`Missing`](AuthenticationError::Missing).
    pub async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Arc<Identity>, AuthenticationError> {
        match self.ask_policy(credentials).await {
            Err(AuthenticationError::Missing) => match &self.rules.anonymous {
                Some(anonymous) => Ok(anonymous.clone()),
                None => Err(AuthenticationError::Refused),
            },
            judged => judged.map(Arc::new),
        }
    }

    /// The same at a door that its protocol leaves open: whoever shows no credential is [anonymous](Self::anonymous).
    ///
    /// # Errors
    /// See [`AuthenticationError`]: whoever shows a wrong credential is refused all the same.
    pub async fn authenticate_at_open_door(
        &self,
        credentials: &Credentials,
    ) -> Result<Arc<Identity>, AuthenticationError> {
        match self.ask_policy(credentials).await {
            Err(AuthenticationError::Missing) => Ok(self.anonymous()),
            judged => judged.map(Arc::new),
        }
    }

    async fn ask_policy(&self, credentials: &Credentials) -> Result<Identity, AuthenticationError> {
        let (app, peer, shown) = (credentials.app, credentials.peer, Shown(credentials));
        let attempt = self.runtime.login_attempt(app, peer, &shown)?;
        let judged = match self.authentication.authenticate(credentials).await {
            Ok(identity) if identity.is_expired() || self.revoked.contains(&identity) => {
                Err(AuthenticationError::Refused)
            }
            // What no policy knows is a wrong credential, and does not make its client anonymous.
            Err(AuthenticationError::Missing) if credentials.shows_something() => {
                Err(AuthenticationError::Refused)
            }
            Ok(identity) if self.revoked.is_unknown_of(&identity) => {
                let cause = "what rights were taken back is not known yet";
                Err(AuthenticationError::Unavailable(cause.into()))
            }
            judged => judged,
        };
        match &judged {
            Ok(_) => attempt.right(),
            Err(error @ AuthenticationError::Refused) => {
                audit::not_admitted(app, peer, &error.to_string());
                attempt.wrong();
            }
            Err(_) => {}
        }
        judged
    }

    /// Publishes; `None` when the dispatcher dropped it.
    ///
    /// # Errors
    /// A [`Refusal`] of the sort
    /// - `Forbidden` when the identity has no right to write there, or the dispatcher says so,
    /// - `LimitExceeded` when name or message are too long,
    /// - `Unavailable` when only members on this node got it, nobody because it could not be stored, or when what had to be
    ///   [written](Self::pending_writes) because of it was not.
    ///
    /// # Cancel safety
    /// A dropped future has published or not, never half. What takes no waiting is done by the call.
    pub fn publish<'s>(
        &'s self,
        origin: &'s Origin,
        mut draft: Draft,
    ) -> impl Future<Output = Result<Option<Receipt>, Refusal>> + Send + use<'s> {
        draft.is_proven = draft.publisher.is_some() && draft.publisher == origin.identity.client;
        if let Err(refusal) = self.check_publish(origin, &draft) {
            return Either::Left(ready(Err(refusal)));
        }
        self.hub.traffic().add_published();
        // Boxed, so that a publisher for whom nothing waits does not carry room for it.
        if !self.dispatcher.is_silent() {
            return Either::Right(self.publish_judged(origin, draft).boxed());
        }
        let writes = self.pending_writes.begun();
        match self.backend.publish_now(draft) {
            Attempt::Done(published) if self.pending_writes.begun() == writes => {
                Either::Left(ready(heard(published).map(Some)))
            }
            Attempt::Done(published) => Either::Right(self.written(published).map_ok(Some).boxed()),
            Attempt::Waits(draft) => {
                let publishing = async { self.written(self.backend.publish(draft).await).await };
                Either::Right(publishing.map_ok(Some).boxed())
            }
        }
    }

    /// The same for a publisher that goes on meanwhile: returns as soon as what follows gets a later place, and with what
    /// [tells](Publishing::outcome) what becomes of it. One that publishes much does not wait for the store each time, and
    /// what it publishes is stored together.
    ///
    /// # Errors
    /// See [`publish`](Self::publish), as far as it is known then.
    ///
    /// # Cancel safety
    /// A dropped future has published or not, never half.
    pub fn place<'s>(
        &'s self,
        origin: &'s Origin,
        mut draft: Draft,
    ) -> impl Future<Output = Result<Publishing, Refusal>> + Send + use<'s> {
        draft.is_proven = draft.publisher.is_some() && draft.publisher == origin.identity.client;
        if let Err(refusal) = self.check_publish(origin, &draft) {
            return Either::Left(ready(Err(refusal)));
        }
        self.hub.traffic().add_published();
        if !self.dispatcher.is_silent() {
            let published = self.publish_judged(origin, draft);
            return Either::Right(published.map_ok(Publishing::Done).boxed());
        }
        let writes = self.pending_writes.begun();
        match self.backend.publish_now(draft) {
            Attempt::Done(published) if self.pending_writes.begun() == writes => {
                let done = |receipt| Publishing::Done(Some(receipt));
                Either::Left(ready(heard(published).map(done)))
            }
            Attempt::Done(published) => {
                let writes = self.pending_writes.clone();
                Either::Left(ready(Ok(Publishing::pending(writes, ready(published)))))
            }
            Attempt::Waits(draft) => Either::Right(self.place_waiting(draft, writes).boxed()),
        }
    }

    async fn place_waiting(&self, draft: Draft, begun: u64) -> Result<Publishing, Refusal> {
        let placed = heard(self.backend.place(draft).await)?;
        let writes = self.pending_writes.clone();
        Ok(match placed {
            Placed::Done(receipt) if writes.begun() == begun => Publishing::Done(Some(receipt)),
            Placed::Done(receipt) => Publishing::pending(writes, ready(Ok(receipt))),
            Placed::Pending(outcome) => Publishing::pending(writes, outcome),
        })
    }

    /// Limits and rights.
    fn check_publish(&self, origin: &Origin, draft: &Draft) -> Result<(), Refusal> {
        let limit = self.limits().message_bytes_max;
        if draft.payload.len() > limit {
            return Err(Refusal::limit_exceeded(format!(
                "The message is longer than {limit} bytes."
            )));
        }
        self.authorize(
            origin,
            match &draft.target {
                Target::Channel(channel) => Action::Publish(channel),
                Target::Client(client) => Action::SendTo(client),
            },
        )
    }

    /// Publishes what the dispatcher lets pass, and tells it.
    async fn publish_judged(
        &self,
        origin: &Origin,
        draft: Draft,
    ) -> Result<Option<Receipt>, Refusal> {
        let command = Command::Publish(draft);
        let draft = match self.dispatcher.validate(origin, command).await {
            Verdict::Proceed(Command::Publish(draft)) => draft,
            Verdict::Proceed(_) | Verdict::Drop => return Ok(None),
            Verdict::Refuse(refusal) => return Err(refusal),
        };
        let target = draft.target.clone();
        let receipt = self.written(self.backend.publish(draft).await).await?;
        let event = Event::Published(target, receipt.position);
        self.dispatcher.handle(origin, &event).await;
        Ok(Some(receipt))
    }

    /// What a publisher hears, when what had to be written because of its publication is.
    async fn written(&self, published: Result<Receipt, BackendError>) -> Result<Receipt, Refusal> {
        publishing::written(&self.pending_writes, published).await
    }

    /// Publishes to an app's own channel, whose name begins with [`RESERVED`], without asking anybody.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn publish_reserved(&self, draft: Draft) -> Result<Receipt, BackendError> {
        self.backend.publish(draft).await
    }

    /// Publishes what this server says of itself, on this node only, without asking anybody. It is not kept.
    pub fn publish_here(&self, draft: Draft) {
        self.hub.publish_unstored(draft);
    }

    /// True when there may be other nodes.
    pub fn is_shared(&self) -> bool {
        self.backend.is_shared()
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}
