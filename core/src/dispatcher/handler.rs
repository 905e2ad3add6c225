//! Observers of what happened.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use parking_lot::RwLock;

use super::{Event, Origin};

/// Is told of every command that took effect. Closures are handlers.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Something happened.
    async fn handle(&self, origin: &Origin, event: &Event);
}

#[async_trait]
impl<F: Fn(&Origin, &Event) + Send + Sync + 'static> Handler for F {
    async fn handle(&self, origin: &Origin, event: &Event) {
        self(origin, event);
    }
}

/// The handlers of a dispatcher, in the order of registration.
#[derive(Default)]
pub struct Handlers {
    // Copied on registration, so that telling needs no lock while handlers wait.
    list: RwLock<Arc<[Arc<dyn Handler>]>>,
    /// Set by the first one: while there is none, publishers share no lock.
    any: AtomicBool,
}

impl Handlers {
    /// Adds a handler.
    pub fn add(&self, handler: Arc<dyn Handler>) {
        let mut list = self.list.write();
        *list = list.iter().cloned().chain([handler]).collect();
        self.any.store(true, Ordering::Release);
    }

    /// Calls every handler, one after another.
    pub async fn tell(&self, origin: &Origin, event: &Event) {
        if self.is_empty() {
            return;
        }
        let list = self.list.read().clone();
        for handler in list.iter() {
            handler.handle(origin, event).await;
        }
    }

    /// True when nobody is registered.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handlers({})", self.list.read().len())
    }
}
