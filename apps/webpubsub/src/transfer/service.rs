//! The service by which connections change nodes, and the time for which one waits for its client.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use polywire_core::{
    Asked, Channel, ClusterHandler, ClusterService, Counter, NodeId, Space, Unanswered,
    delivery::DelayLine, space::Attachment, transport::CloseReason,
};
use tokio::sync::{OnceCell, Semaphore, oneshot};

use super::{
    page::Page,
    question::{TransferAnswer, TransferQuestion},
    record::{ChangingState, ConnectionState, Surroundings},
    written::{WrittenConnection, WrittenConnections},
};
use crate::{
    connection::{Connection, Move},
    connection_records::ConnectionRecords,
    event_handlers::EventHandlers,
    hubs::Hubs,
    local_connections::LocalConnections,
    names::{HubName, NAME},
    notices::Notice,
    replay_buffer::{BufferLimits, ReplayState},
};

/// What nodes take part in that connections can come to.
const SERVICE: &str = "webpubsub/transfer";

/// How long a node that takes a connection may take; then another one may.
const MOVE_MAX: Duration = Duration::from_secs(5);

/// Connections that are given away at a time.
const GIVEN_AWAY_MAX: usize = 64;

/// Why a connection ended whose client did not come back.
const LOST: &str = "The client was lost";

/// Connections that may be arriving.
const ARRIVING_MAX: usize = 10_000;

/// What makes it.
pub(crate) struct NewTransfers {
    pub(crate) space: Arc<Space>,
    pub(crate) local: Arc<LocalConnections>,
    pub(crate) hubs: Arc<Hubs>,
    pub(crate) handlers: Arc<EventHandlers>,
    pub(crate) records: Arc<ConnectionRecords>,
    pub(crate) ack_delay: Arc<DelayLine>,
    pub(crate) buffer: BufferLimits,
    pub(crate) recovery: Duration,
    pub(crate) default_hub: String,
}

/// Takes connections from other nodes, and gives those of this one away.
pub(crate) struct Transfers {
    parts: NewTransfers,
    service: OnceCell<ClusterService<TransferHandler>>,
    written: WrittenConnections,
    /// Connections that are on their way here, by their ids.
    arriving: Mutex<HashSet<String>>,
    /// What was kept of connections that this node has left, until it is read.
    left: Mutex<HashMap<String, ReplayState>>,
    giving_away: Semaphore,
    unanswered: Arc<Counter>,
    not_adopted: Arc<Counter>,
}

/// It is not known now whether the connection is somewhere, or it is just changing nodes.
#[derive(Debug)]
pub(crate) struct TryAgain;

/// Answers other nodes.
struct TransferHandler(Weak<Transfers>);

#[async_trait]
impl ClusterHandler for TransferHandler {
    type Question = TransferQuestion;
    type Answer = TransferAnswer;

    async fn answer(&self, question: TransferQuestion, asked: Asked) -> TransferAnswer {
        match self.0.upgrade() {
            Some(transfers) => transfers.answer(question, asked.from).await,
            None => TransferAnswer::Unknown {},
        }
    }
}

impl Transfers {
    /// Answers other nodes from soon on, where there can be any.
    pub(crate) fn new(parts: NewTransfers) -> Arc<Self> {
        let counters = parts.space.runtime().counters();
        let transfers = Arc::new(Self {
            service: OnceCell::new(),
            written: WrittenConnections::new(&parts.space),
            arriving: Mutex::default(),
            left: Mutex::default(),
            giving_away: Semaphore::new(GIVEN_AWAY_MAX),
            unanswered: counters.of(NAME, "a client came back while a node did not say whether it has its connection"),
            not_adopted: counters.of(NAME, "ended a connection that waited for its client: the server stops, and no other node has taken it"),
            parts,
        });
        if transfers.parts.space.is_shared() {
            let serving = transfers.clone();
            transfers.parts.space.runtime().spawn(async move {
                serving.service().await;
            });
        }
        transfers
    }

    async fn service(self: &Arc<Self>) -> &ClusterService<TransferHandler> {
        let handler = Arc::new(TransferHandler(Arc::downgrade(self)));
        let serve = || self.parts.space.cluster(SERVICE).serve(handler);
        self.service.get_or_init(serve).await
    }

    fn hub(&self, name: &str) -> Option<HubName> {
        HubName::new(name, &self.parts.default_hub)
    }

    fn find(&self, hub: &str, id: &str) -> Option<Arc<Connection>> {
        self.parts.local.index.find(&self.hub(hub)?, id)
    }

    /// Gets the connection of a client that has come to this node, from whichever node has it. `None` where none does: it
    /// cannot be recovered.
    ///
    /// # Errors
    /// When the client should try again.
    ///
    /// # Cancel safety
    /// A connection that is on its way arrives all the same, and waits for its client.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        hub: &HubName,
        id: &str,
        token: &str,
        subprotocol: Option<&str>,
    ) -> Result<Option<Arc<Connection>>, TryAgain> {
        if !self.parts.space.is_shared() {
            return Ok(None);
        }
        let service = self.service().await;
        // Looked at first: whoever has it may become known just now.
        let are_all_known = self.parts.space.nodes().is_complete();
        let others = service.others();
        let nobody = || {
            if are_all_known {
                Ok(None)
            } else {
                Err(TryAgain)
            }
        };
        if others.is_empty() {
            return nobody();
        }
        let question = TransferQuestion::Claim {
            hub: hub.as_str().to_owned(),
            connection: id.to_owned(),
            token: token.to_owned(),
            subprotocol: subprotocol.map(str::to_owned),
        };
        let knows = |answer: &TransferAnswer| !matches!(answer, TransferAnswer::Unknown {});
        let answers = match service.ask_until(others, question, knows).await {
            Ok(answers) => answers,
            Err(Unanswered::Unreachable) => return Err(TryAgain),
            Err(_) => {
                // One that was killed is not among the others soon.
                self.unanswered.add();
                return Err(TryAgain);
            }
        };
        let known = answers.into_iter().find(|(_, answer)| knows(answer));
        match known {
            Some((from, TransferAnswer::Claimed(state))) => {
                let (own, (tell, told)) = (self.clone(), oneshot::channel());
                self.parts.space.runtime().spawn(async move {
                    // Whoever asked may have gone.
                    let _ = tell.send(own.take(from, &state).await);
                });
                told.await.map_err(|_| TryAgain)?
            }
            Some(_) => Err(TryAgain),
            None => nobody(),
        }
    }

    /// Takes a connection from the node that has it.
    async fn take(
        self: &Arc<Self>,
        from: NodeId,
        state: &ConnectionState,
    ) -> Result<Option<Arc<Connection>>, TryAgain> {
        {
            let mut arriving = self.arriving.lock();
            if arriving.len() >= ARRIVING_MAX || !arriving.insert(state.id.clone()) {
                return Err(TryAgain);
            }
        }
        let taken = self.take_steps(from, state).await;
        self.arriving.lock().remove(&state.id);
        taken
    }

    async fn take_steps(
        self: &Arc<Self>,
        from: NodeId,
        state: &ConnectionState,
    ) -> Result<Option<Arc<Connection>>, TryAgain> {
        let parts = &self.parts;
        let Some(hub) = self.hub(&state.hub) else {
            return Ok(None);
        };
        if parts.local.index.find(&hub, &state.id).is_some() {
            return Err(TryAgain);
        }
        let around = self.surroundings(&hub);
        let Some(connection) = state.connection(hub, around) else {
            return Ok(None);
        };
        self.attach(&connection, &state.changing).await;
        let Some(kept) = self.read_kept(from, &connection).await else {
            // It is where it was, or has ended there.
            connection.end(None, &CloseReason::new(1000, ""));
            if parts.local.index.remove(&connection) {
                parts.local.left(&connection).await;
            }
            return Err(TryAgain);
        };
        // From now on this node tells of its end, or who misses this node.
        let handler = parts.handlers.of(&connection.hub);
        if handler.is_some_and(|handler| handler.is_told_of_ends()) {
            parts.records.write(&connection).await;
        }
        let is_complete = connection.complete(kept);
        let attachment = connection.attachment.lock().await;
        let has_ended = attachment.as_ref().is_none_or(Attachment::has_ended);
        drop(attachment);
        if !is_complete || has_ended {
            connection.end(None, &CloseReason::new(1000, ""));
            parts.local.ended(&connection, LOST).await;
            return Ok(None);
        }
        self.wait_for_client(connection.clone(), connection.socket());
        Ok(Some(connection))
    }

    /// What a connection has of this node.
    fn surroundings(&self, hub: &HubName) -> Surroundings {
        let parts = &self.parts;
        Surroundings {
            formats: parts.hubs.formats(hub),
            ack_delay: parts.ack_delay.clone(),
            hold: parts.space.runtime().drain().hold(),
            groups_kept: Arc::downgrade(&parts.local) as _,
        }
    }

    /// Lets connections that were written down wait for their clients, before anybody is served.
    pub(crate) async fn restore(self: &Arc<Self>) {
        if self.parts.space.is_shared() {
            return;
        }
        match self.written.take().await {
            Ok(written) => {
                for connection in written {
                    self.restore_one(connection).await;
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "connections of before the restart cannot be read: their clients connect anew"
                );
            }
        }
    }

    async fn restore_one(self: &Arc<Self>, written: WrittenConnection) {
        let WrittenConnection { state, kept, age } = written;
        let Some(hub) = self.hub(&state.hub) else {
            return;
        };
        let around = self.surroundings(&hub);
        let Some(connection) = state.connection(hub, around) else {
            return;
        };
        if age >= self.parts.recovery {
            connection.let_go();
            let notice = Notice::Disconnected(LOST.to_owned());
            return self.parts.local.notices.tell(&connection, notice).await;
        }
        self.attach(&connection, &state.changing).await;
        if connection.complete(kept) {
            self.wait_for_client(connection.clone(), connection.socket());
        } else {
            self.parts.local.ended(&connection, LOST).await;
        }
    }

    /// Writes a connection down, where that is read after a restart; false where it is not.
    async fn write_down(&self, connection: &Arc<Connection>) -> bool {
        if !self.written.outlive().await {
            return false;
        }
        let own = self.parts.space.hub().node();
        *connection.moving.lock() = Some(Move {
            to: own,
            since: Instant::now(),
        });
        let turn = connection.turn.lock().await;
        let state = ConnectionState::of(connection);
        let (Some(state), Some(kept)) = (state, self.hand_over(connection, own)) else {
            return false;
        };
        drop(turn);
        let is_written = self.written.write(state, &kept).await;
        self.parts.local.left(connection).await;
        if !is_written {
            let notice = Notice::Disconnected(LOST.to_owned());
            self.parts.local.notices.tell(connection, notice).await;
        }
        true
    }

    /// Puts a connection where it was: what is published from then on waits.
    async fn attach(&self, connection: &Arc<Connection>, state: &ChangingState) {
        let parts = &self.parts;
        parts.hubs.open(&connection.hub).await;
        connection.arrive(parts.buffer);
        let origin = connection.origin.clone();
        let mut attachment = parts.space.attach(origin, connection.clone());
        if let Some(user) = connection.origin.client.clone() {
            attachment.appear(user, None, Channel::is_place);
        }
        *connection.attachment.lock().await = Some(attachment);
        for group in &state.groups {
            parts.local.join(connection, group).await;
        }
        parts.local.index.insert(connection);
    }

    /// Has the other node leave a connection, and gets what it has kept; `None` where it does not give it.
    async fn read_kept(
        self: &Arc<Self>,
        from: NodeId,
        connection: &Arc<Connection>,
    ) -> Option<ReplayState> {
        let leave = TransferQuestion::Leave {
            hub: connection.hub.as_str().to_owned(),
            connection: connection.id.clone(),
        };
        let Some(TransferAnswer::Left(state, mut page)) = self.ask(from, leave).await else {
            return None;
        };
        state.apply(connection);
        let here = connection.groups.lock().clone();
        for group in state.groups.difference(&here) {
            self.parts.local.join(connection, group).await;
        }
        for group in here.difference(&state.groups) {
            self.parts.local.leave(connection, group).await;
        }
        let mut kept = ReplayState::new(page.first);
        loop {
            let next = page.is_more.then(|| page.next());
            if !page.add_to(&mut kept) {
                return None;
            }
            let Some(next) = next else {
                return Some(kept);
            };
            let read = TransferQuestion::Read {
                connection: connection.id.clone(),
                from: next,
            };
            let Some(TransferAnswer::Page(more)) = self.ask(from, read).await else {
                return None;
            };
            page = more;
        }
    }

    async fn ask(
        self: &Arc<Self>,
        node: NodeId,
        question: TransferQuestion,
    ) -> Option<TransferAnswer> {
        let answers = self.service().await.ask([node].into(), question).await;
        match answers {
            Ok(answers) => answers.into_values().next(),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "a connection does not change nodes");
                None
            }
        }
    }

    async fn answer(self: &Arc<Self>, question: TransferQuestion, from: NodeId) -> TransferAnswer {
        match question {
            TransferQuestion::Claim {
                hub,
                connection,
                token,
                subprotocol,
            } => {
                let found = self.find(&hub, &connection);
                let found = found.filter(|found| found.is_of(&token, subprotocol.as_deref()));
                match found {
                    Some(connection) => self.claim(&connection, from),
                    None if self.arriving.lock().contains(&connection) => TransferAnswer::Busy {},
                    None => TransferAnswer::Unknown {},
                }
            }
            TransferQuestion::Leave { hub, connection } => match self.find(&hub, &connection) {
                Some(connection) => self.leave(&connection, from).await,
                None => TransferAnswer::Unknown {},
            },
            TransferQuestion::Read { connection, from } => self.page(&connection, from),
            TransferQuestion::Adopt(state) => {
                // This one may stop too.
                if self.parts.space.runtime().drain().is_announced() {
                    return TransferAnswer::Unknown {};
                }
                match self.take(from, &state).await {
                    Ok(Some(_)) => TransferAnswer::Adopted {},
                    Ok(None) => TransferAnswer::Unknown {},
                    Err(TryAgain) => TransferAnswer::Busy {},
                }
            }
        }
    }

    /// A client has come to another node.
    fn claim(self: &Arc<Self>, connection: &Arc<Connection>, by: NodeId) -> TransferAnswer {
        if connection.has_ended() {
            return TransferAnswer::Unknown {};
        }
        {
            let mut moving = connection.moving.lock();
            let nodes = self.parts.space.nodes();
            let is_moving = moving.is_some_and(|to| {
                to.to != by && nodes.is_there(to.to) && to.since.elapsed() < MOVE_MAX
            });
            if is_moving || connection.is_arriving() {
                return TransferAnswer::Busy {};
            }
            *moving = Some(Move {
                to: by,
                since: Instant::now(),
            });
        }
        if let Some(socket) = connection.detach() {
            self.wait_for_client(connection.clone(), socket);
        }
        match ConnectionState::of(connection) {
            Some(state) => TransferAnswer::Claimed(Box::new(state)),
            None => TransferAnswer::Unknown {},
        }
    }

    /// Another node gets what this connection gets.
    async fn leave(self: &Arc<Self>, connection: &Arc<Connection>, to: NodeId) -> TransferAnswer {
        // What the code behind the hub is doing with it is done.
        let turn = connection.turn.lock().await;
        let Some(kept) = self.hand_over(connection, to) else {
            // Its client has come back here.
            return TransferAnswer::Unknown {};
        };
        let state = ChangingState::of(connection);
        drop(turn);
        self.parts.local.left(connection).await;
        connection.ends.notify_one();
        let page = Page::of(&kept, kept.first);
        if page.is_more {
            self.left.lock().insert(connection.id.clone(), kept);
            // A node that does not read it has failed.
            let (own, id) = (self.clone(), connection.id.clone());
            tokio::spawn(async move {
                tokio::time::sleep(own.parts.recovery).await;
                own.left.lock().remove(&id);
            });
        }
        TransferAnswer::Left(Box::new(state), page)
    }

    /// What is kept of a connection, which is not here any more then.
    fn hand_over(&self, connection: &Connection, to: NodeId) -> Option<ReplayState> {
        // Whoever would end it waits for this.
        let moving = connection.moving.lock();
        moving.filter(|moving| moving.to == to)?;
        let kept = connection.hand_over()?;
        self.parts.local.index.remove(connection);
        Some(kept)
    }

    fn page(&self, id: &str, from: u64) -> TransferAnswer {
        let mut left = self.left.lock();
        let Some(kept) = left.get(id) else {
            return TransferAnswer::Unknown {};
        };
        let page = Page::of(kept, from);
        if !page.is_more {
            left.remove(id);
        }
        TransferAnswer::Page(page)
    }

    /// Ends a connection whose client does not come back in time. When the server stops another node gets it.
    pub(crate) fn wait_for_client(self: &Arc<Self>, connection: Arc<Connection>, socket: u64) {
        let runtime = self.parts.space.runtime().clone();
        let own = self.clone();
        runtime.clone().spawn(async move {
            let stops = tokio::select! {
                () = tokio::time::sleep(own.parts.recovery) => false,
                // More waits for it than is kept, or its rights have ended.
                () = connection.ends.notified() => false,
                () = runtime.drain().last_call().cancelled() => true,
            };
            if !connection.has_ended() && !connection.is_lost_since(socket) {
                return;
            }
            if stops && own.give_away(&connection).await {
                return;
            }
            drop(connection.moving.lock());
            connection.end(None, &CloseReason::new(1000, ""));
            own.parts.local.ended(&connection, LOST).await;
        });
    }

    /// Has another node wait for the client of a connection; false when none does.
    async fn give_away(self: &Arc<Self>, connection: &Arc<Connection>) -> bool {
        if connection.has_ended() {
            return false;
        }
        let Ok(_turn) = self.giving_away.acquire().await else {
            return false;
        };
        if !self.parts.space.is_shared() {
            return self.write_down(connection).await;
        }
        let others: BTreeSet<_> = self.service().await.others();
        let nodes = others.len();
        if nodes == 0 {
            return false;
        }
        let claim = *connection.moving.lock();
        if let Some(claim) = claim {
            // Its client has come to another node just now.
            let left = MOVE_MAX.saturating_sub(claim.since.elapsed());
            if was_left(connection, left).await {
                return true;
            }
        }
        let first = rand::random_range(0..nodes);
        for node in others.iter().cycle().skip(first).take(nodes) {
            *connection.moving.lock() = Some(Move {
                to: *node,
                since: Instant::now(),
            });
            let Some(state) = ConnectionState::of(connection) else {
                return false;
            };
            let adopt = TransferQuestion::Adopt(Box::new(state));
            let is_taken = match self.ask(*node, adopt).await {
                Some(TransferAnswer::Adopted {}) => true,
                // It is on its way there already.
                Some(TransferAnswer::Busy {}) => was_left(connection, MOVE_MAX).await,
                _ => connection.has_ended(),
            };
            if is_taken {
                return true;
            }
        }
        self.not_adopted.add();
        false
    }
}

/// True when another node has a connection within this time.
async fn was_left(connection: &Connection, within: Duration) -> bool {
    let left = async {
        while !connection.has_ended() {
            connection.ends.notified().await;
        }
    };
    tokio::time::timeout(within, left).await.is_ok()
}
