//! The table of the HTTP sessions of one endpoint.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

/// Sessions by session id.
///
/// Its lock is never taken while a session's is held.
pub(crate) struct SessionTable<S> {
    sessions_max: usize,
    sessions: Mutex<HashMap<Box<str>, Arc<S>, RandomState>>,
}

/// What has a session id.
pub(super) trait Identified {
    fn id(&self) -> &str;
}

/// What [`SessionTable::insert`] found.
pub(super) enum Inserted<S> {
    /// The session is in the table now.
    New,
    /// Another request was faster.
    Known(Arc<S>),
    /// There is no room.
    Full,
}

impl<S: Identified> SessionTable<S> {
    pub(super) fn new(sessions_max: usize) -> Arc<Self> {
        Arc::new(Self {
            sessions_max,
            sessions: Mutex::default(),
        })
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<S>> {
        self.sessions.lock().get(id).cloned()
    }

    pub(super) fn insert(&self, session: &Arc<S>) -> Inserted<S> {
        let mut sessions = self.sessions.lock();
        if let Some(known) = sessions.get(session.id()) {
            return Inserted::Known(known.clone());
        }
        if sessions.len() >= self.sessions_max {
            return Inserted::Full;
        }
        sessions.insert(session.id().into(), session.clone());
        Inserted::New
    }

    /// Takes out this session, not one that has the same id since.
    pub(super) fn remove(&self, session: &S) {
        let mut sessions = self.sessions.lock();
        let is_same = |known: &Arc<S>| std::ptr::eq(Arc::as_ptr(known), session);
        if sessions.get(session.id()).is_some_and(is_same) {
            sessions.remove(session.id());
        }
    }
}
