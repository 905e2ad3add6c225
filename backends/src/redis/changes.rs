//! Changed interests that somebody asked to look at again.

use std::collections::HashMap;

use parking_lot::Mutex;
use polywire_core::Interest;
use tokio::sync::{Notify, oneshot};

/// Hears that an interest is as Redis should have it. Dropped when the connection is lost.
pub(super) type Waiter = oneshot::Sender<()>;

/// Interests that changed since the actor looked last, each once, so that it is bounded by the number of
/// interests. Nothing is taken in while there is no connection: the actor then starts from all interests
/// of the node.
#[derive(Debug, Default)]
pub(super) struct Changes {
    state: Mutex<ChangesState>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct ChangesState {
    open: bool,
    interests: HashMap<Interest, Vec<Waiter>>,
}

impl Changes {
    /// Asks for a look at `interest`; the receiver hears when it was taken. `None` without a connection.
    pub(super) fn look_and_tell(&self, interest: &Interest) -> Option<oneshot::Receiver<()>> {
        let (waiter, told) = oneshot::channel();
        self.add(interest, Some(waiter)).then_some(told)
    }

    /// Asks for a look at `interest`.
    pub(super) fn look(&self, interest: &Interest) {
        self.add(interest, None);
    }

    fn add(&self, interest: &Interest, waiter: Option<Waiter>) -> bool {
        {
            let mut state = self.state.lock();
            if !state.open {
                return false;
            }
            let waiters = state.interests.entry(interest.clone()).or_default();
            waiters.retain(|waiter| !waiter.is_closed());
            waiters.extend(waiter);
        }
        self.wake.notify_one();
        true
    }

    /// Begins to take changes in.
    pub(super) fn open(&self) {
        self.state.lock().open = true;
    }

    /// Forgets all and takes no more in; who waits is told that the connection is lost.
    pub(super) fn close(&self) {
        *self.state.lock() = ChangesState::default();
    }

    /// Takes all changes out.
    pub(super) fn take(&self) -> HashMap<Interest, Vec<Waiter>> {
        std::mem::take(&mut self.state.lock().interests)
    }

    /// Waits for a change.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }
}
