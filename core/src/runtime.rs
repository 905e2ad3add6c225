//! The runtime of a server, shared by all its connections: limits, timers, flusher, stop signals.

use std::{fmt, future::Future, hash::Hash, net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::{
    sync::CancellationToken, task::TaskTracker, task::task_tracker::TaskTrackerToken,
};

use crate::{
    counters::Counters,
    delivery::{DelayLine, Flusher},
    drain::Drain,
    limits::Limits,
    memory,
    net::{SilentConnections, TrustedProxies},
    throttle::{LoginAttempt, NOT_JUDGED, Throttle, Throttled},
    wheel::Wheel,
};

/// What all connections of a server share: limits, timers, the flusher, and the tasks that a stop waits for.
pub struct Runtime {
    limits: Limits,
    trusted_proxies: TrustedProxies,
    counters: Counters,
    throttle: Throttle,
    flusher: Arc<Flusher>,
    wheel: Arc<Wheel>,
    tasks: TaskTracker,
    /// One permit for each TLS handshake that may be under way.
    handshakes: Semaphore,
    silent: Arc<SilentConnections>,
    drain: Drain,
    stopping: CancellationToken,
    stopped: CancellationToken,
}

impl Runtime {
    /// A runtime whose background tasks run on the current tokio runtime.
    pub(crate) fn start(limits: Limits, trusted_proxies: TrustedProxies) -> Arc<Self> {
        memory::bound_process(limits.memory_bytes.bytes());
        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        // None at all would be TLS that is never served.
        let handshakes = limits.tls_handshakes_max.clamp(1, Semaphore::MAX_PERMITS);
        let runtime = Arc::new(Self {
            handshakes: Semaphore::new(handshakes),
            silent: Arc::default(),
            throttle: Throttle::new(limits.wrong_credentials_max),
            limits,
            trusted_proxies,
            counters: Counters::default(),
            flusher: Flusher::new(lanes),
            wheel: Arc::default(),
            tasks: TaskTracker::new(),
            drain: Drain::default(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
        });
        runtime.flusher.run(&runtime.stopped);
        tokio::spawn(runtime.wheel.clone().run(runtime.stopped.clone()));
        let stopped = runtime.stopped.clone();
        tokio::spawn(async move {
            stopped
                .run_until_cancelled_owned(memory::watch_process())
                .await
        });
        runtime
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Proxies that are believed when they say whom they speak for.
    pub fn trusted_proxies(&self) -> &TrustedProxies {
        &self.trusted_proxies
    }

    /// Counters of what was dropped, closed or refused.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Begins to judge what an address shows to `app`, which is hashed: what can be guessed, such as a password or a key that
    /// somebody chose. [`Space::authenticate`](crate::Space::authenticate) does by itself.
    ///
    /// # Errors
    /// [`Throttled`] for what was not judged before, from an address that was wrong too often. It is counted.
    pub fn login_attempt(
        &self,
        app: &'static str,
        peer: Option<SocketAddr>,
        shown: &impl Hash,
    ) -> Result<LoginAttempt<'_>, Throttled> {
        let attempt = self.throttle.attempt(peer, shown);
        attempt.inspect_err(|_| self.counters.of(app, NOT_JUDGED).add())
    }

    /// Counts what an address has shown to `app` that was judged and is wrong: what cannot be guessed, such as a signature.
    /// Whoever shows a right one gets in whatever others do.
    ///
    /// # Errors
    /// [`Throttled`] when the address was wrong too often before.
    pub fn wrong_credential(
        &self,
        app: &'static str,
        peer: Option<SocketAddr>,
        shown: &impl Hash,
    ) -> Result<(), Throttled> {
        self.login_attempt(app, peer, shown)
            .map(LoginAttempt::wrong)
    }

    /// Writes what was enqueued.
    pub fn flusher(&self) -> &Arc<Flusher> {
        &self.flusher
    }

    /// A delay line for connections of this server, with one task for all of them. It runs on the current tokio runtime.
    pub fn delay_line(&self, delay: Duration) -> Arc<DelayLine> {
        let line = DelayLine::new(delay, self.flusher.clone());
        let (running, stopped) = (line.clone(), self.stopped());
        tokio::spawn(async move {
            tokio::select! {
                () = running.run() => {}
                () = stopped.cancelled() => {}
            }
        });
        line
    }

    /// The clock of all connections.
    pub fn wheel(&self) -> &Arc<Wheel> {
        &self.wheel
    }

    /// Permits for TLS handshakes.
    pub(crate) fn handshakes(&self) -> &Semaphore {
        &self.handshakes
    }

    /// Connections that have said nothing yet.
    pub(crate) fn silent(&self) -> &Arc<SilentConnections> {
        &self.silent
    }

    /// How the server sends its clients away before it stops.
    pub fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Is cancelled when the server stops: whoever is still there goes now.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Is cancelled when the server has stopped.
    pub(crate) fn stopped(&self) -> CancellationToken {
        self.stopped.clone()
    }

    /// Spawns a task that a stop waits for.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task);
    }

    /// A stop waits until it is dropped.
    pub(crate) fn hold(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// Sends clients away one after the other, over so long a time at most. Nobody is accepted any more.
    pub(crate) async fn send_away(&self, over: Duration) {
        let over = self.drain.begin(self.tasks.len(), over);
        self.wheel.stop_in_turn(over).await;
    }

    /// Tells every session that is left.
    pub(crate) fn send_all_away(&self) {
        self.drain.end();
        self.wheel.stop_all();
    }

    /// Begins to stop.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
    }

    /// Waits until every task has ended.
    pub(crate) async fn drained(&self) {
        self.tasks.wait().await;
    }

    /// Ends the background tasks.
    pub(crate) fn halt(&self) {
        self.stopping.cancel();
        self.stopped.cancel();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}
