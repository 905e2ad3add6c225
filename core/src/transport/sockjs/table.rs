//! The table of the HTTP sessions of one endpoint.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::memory::{Draw, Held};

/// Sessions by session id.
///
/// Its lock is never taken while a session's is held.
pub(crate) struct SessionTable<S> {
    sessions_max: usize,
    sessions: Mutex<Sessions<S>>,
}

/// Bytes that a session takes beside what waits for it, about: with its task and the app's part of it.
const SESSION_BYTES: usize = 4 << 10;

struct Sessions<S> {
    by_id: HashMap<Box<str>, Arc<S>, RandomState>,
    /// What they take, of the memory budget.
    draw: Draw,
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
            sessions: Mutex::new(Sessions {
                by_id: HashMap::default(),
                draw: Draw::new(Held::Requests),
            }),
        })
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<S>> {
        self.sessions.lock().by_id.get(id).cloned()
    }

    pub(super) fn insert(&self, session: &Arc<S>) -> Inserted<S> {
        let mut sessions = self.sessions.lock();
        if let Some(known) = sessions.by_id.get(session.id()) {
            return Inserted::Known(known.clone());
        }
        let count = sessions.by_id.len() + 1;
        if count > self.sessions_max || !sessions.draw.cover(count * SESSION_BYTES) {
            return Inserted::Full;
        }
        sessions.by_id.insert(session.id().into(), session.clone());
        Inserted::New
    }

    /// Takes out this session, not one that has the same id since.
    pub(super) fn remove(&self, session: &S) {
        let mut sessions = self.sessions.lock();
        let is_same = |known: &Arc<S>| std::ptr::eq(Arc::as_ptr(known), session);
        if sessions.by_id.get(session.id()).is_some_and(is_same) {
            sessions.by_id.remove(session.id());
            let bytes = sessions.by_id.len() * SESSION_BYTES;
            // Less can always be held.
            let _ = sessions.draw.cover(bytes);
        }
    }
}
