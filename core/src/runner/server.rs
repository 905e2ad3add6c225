//! A composed server.

use std::{fmt, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use warp::{Filter, Rejection, filters::BoxedFilter};

use super::{Runtime, builder::not_found};
use crate::{
    backend::PubSubBackend,
    persistence::PersistencePolicy,
    space::Space,
    transport::{Listener, http::Response, tcp::TcpProtocol},
};

/// A composed server: its address is bound and its backend started.
#[must_use = "nothing is served until it is run"]
pub struct Server {
    pub(super) space: Arc<Space>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) backend: Arc<dyn PubSubBackend>,
    pub(super) persistence: Arc<dyn PersistencePolicy>,
    pub(super) listener: Option<Listener>,
    pub(super) routes: BoxedFilter<(Response,)>,
    pub(super) protocols: Vec<Arc<dyn TcpProtocol>>,
    pub(super) address: Option<SocketAddr>,
    pub(super) banner: Vec<String>,
    pub(super) grace: Duration,
}

impl Server {
    /// The address that is listened on; with port 0 the one that was found.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
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

    /// Serves until `shutdown` is ready, then stops: accepts no more, closes every session with its
    /// protocol's own code, and waits a bounded time.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        match self.listener {
            Some(listener) => {
                let routes = self.routes.recover(not_found).unify().boxed();
                tokio::spawn(listener.serve(self.runtime.clone(), Some(routes), self.protocols));
                shutdown.await;
            }
            None => shutdown.await,
        }
        self.runtime.stop_accepting();
        if tokio::time::timeout(self.grace, self.runtime.drained())
            .await
            .is_err()
        {
            tracing::info!(grace = ?self.grace, "stopped while some connections were still open");
        }
        // The policies write out what they hold while nothing new comes in.
        let last = async { tokio::join!(self.persistence.stop(), self.backend.stop()) };
        if tokio::time::timeout(self.grace, last).await.is_err() {
            tracing::warn!(grace = ?self.grace, "stopped before everything was written out");
        }
        self.runtime.halt();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
