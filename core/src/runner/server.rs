//! A composed server.

use std::{
    fmt,
    future::{Future, pending},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tokio::sync::Notify;
use warp::{Filter, Rejection, filters::BoxedFilter};

use super::{Shutdown, listeners::BoundListener};
use crate::{
    backend::PubSubBackend,
    hub::LocalNode,
    net::{
        Slots,
        tls::{self, Certificate},
    },
    persistence::PersistencePolicy,
    runtime::Runtime,
    space::Space,
    transport::{Listening, http::Response},
};

/// How long what outlives connections may take to be handed over: it takes milliseconds where nodes are not overloaded.
const HAND_OVER: Duration = Duration::from_secs(5);

/// A composed server: its addresses are bound and its backend started.
#[must_use = "nothing is served until it is run"]
pub struct Server {
    pub(super) space: Arc<Space>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) backend: Arc<dyn PubSubBackend>,
    pub(super) node: LocalNode,
    pub(super) persistence: Arc<dyn PersistencePolicy>,
    pub(super) listeners: Vec<BoundListener>,
    pub(super) certificates: Vec<Arc<Certificate>>,
    pub(super) look_at_certificates: Arc<Notify>,
    pub(super) routes: BoxedFilter<(Response,)>,
    pub(super) banner: Vec<String>,
    pub(super) grace: Duration,
    pub(super) shutdown: Shutdown,
}

impl Server {
    /// The first address that is listened on; with port 0 the one that was found.
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses().next().map(|listening| listening.address)
    }

    /// Every address that is listened on, in the order of the composition.
    pub fn addresses(&self) -> impl Iterator<Item = Listening> {
        self.listeners.iter().map(|bound| bound.listening)
    }

    /// To have the files of certificates read again at once, by `notify_one`; that they changed is found out
    /// within seconds without it. `None` where there is no TLS.
    pub fn certificates(&self) -> Option<Arc<Notify>> {
        (!self.certificates.is_empty()).then(|| self.look_at_certificates.clone())
    }

    /// What the apps say to a person who has just started the server.
    pub fn banner(&self) -> &[String] {
        &self.banner
    }

    /// The channel space: publish from your own code with it.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// All apps as one warp filter, to be mounted in an application of your own. It rejects what is no
    /// app's with `not_found`.
    pub fn filter(
        &self,
    ) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static {
        self.routes.clone()
    }

    /// Serves until `shutdown` is ready, or an operator asks for the end, then stops: it is not ready any more, accepts nobody,
    /// closes every session with its protocol's own code, one after the other as [`Shutdown`] says, and waits a bounded time.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        self.run_unless_hurried(shutdown, pending()).await;
    }

    /// The same; as soon as `hurry` is ready the times of [`Shutdown`] are not waited for.
    pub async fn run_unless_hurried(
        self,
        shutdown: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) {
        let slots = Arc::new(Slots::default());
        for bound in self.listeners {
            let serve = bound
                .listener
                .serve(self.runtime.clone(), slots.clone(), bound.speakers);
            tokio::spawn(serve);
        }
        if !self.certificates.is_empty() {
            let stop = self.runtime.stopping();
            tokio::spawn(tls::watch(
                self.certificates,
                self.look_at_certificates,
                stop,
            ));
        }
        tokio::select! {
            () = shutdown => {}
            () = self.runtime.drain().requested() => tracing::info!("stopping: an operator asks for it"),
        }
        let drained = async {
            self.runtime.drain().announce();
            tokio::time::sleep(self.shutdown.ready()).await;
            self.runtime.send_away(self.shutdown.drain()).await;
        };
        tokio::select! {
            biased;
            () = hurry => {}
            () = drained => {}
        }
        self.runtime.send_all_away();
        self.runtime.drain().finish(HAND_OVER).await;
        self.runtime.stop();
        if tokio::time::timeout(self.grace, self.runtime.drained())
            .await
            .is_err()
        {
            tracing::info!(grace = ?self.grace, "stopped while some connections were still open");
        }
        // The policies write out what they hold while nothing new comes in.
        let last = async {
            // Who was on this node has gone from it.
            self.space.presence_told().await;
            self.space.tell_summaries().await;
            self.node.settled().await;
            tokio::join!(self.persistence.stop(), self.backend.stop())
        };
        if tokio::time::timeout(self.grace, last).await.is_err() {
            tracing::warn!(grace = ?self.grace, "stopped before everything was written out");
        }
        self.runtime.halt();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
