//! Queries of a channel's history, and the pages that answer them.

use std::{ops::RangeInclusive, sync::Arc};

use super::Annotation;
use crate::publication::{Publication, Timetoken};

/// A span of time, both ends included. One whose start lies after its end is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first timetoken that belongs to it.
    pub from: Timetoken,
    /// The last timetoken that belongs to it.
    pub to: Timetoken,
}

impl Span {
    /// All of time.
    pub const ALL: Self = Self {
        from: Timetoken(0),
        to: Timetoken(u64::MAX),
    };

    /// Everything later than `timetoken`.
    pub fn after(timetoken: Timetoken) -> Self {
        match timetoken.0.checked_add(1) {
            Some(from) => Self {
                from: Timetoken(from),
                ..Self::ALL
            },
            None => Self::EMPTY,
        }
    }

    /// Everything earlier than `timetoken`.
    pub fn before(timetoken: Timetoken) -> Self {
        match timetoken.0.checked_sub(1) {
            Some(to) => Self {
                to: Timetoken(to),
                ..Self::ALL
            },
            None => Self::EMPTY,
        }
    }

    /// No time at all.
    pub const EMPTY: Self = Self {
        from: Timetoken(1),
        to: Timetoken(0),
    };

    /// True when no timetoken belongs to it.
    pub fn is_empty(&self) -> bool {
        self.from > self.to
    }

    /// True when `timetoken` belongs to it.
    pub fn contains(&self, timetoken: Timetoken) -> bool {
        (self.from..=self.to).contains(&timetoken)
    }

    /// What belongs to both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        }
    }
}

impl From<RangeInclusive<Timetoken>> for Span {
    fn from(range: RangeInclusive<Timetoken>) -> Self {
        Self {
            from: *range.start(),
            to: *range.end(),
        }
    }
}

/// In which order a page is read, and from which end of the span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// From the start of the span on.
    #[default]
    OldestFirst,
    /// From the end of the span back.
    NewestFirst,
}

/// What to read of a channel's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Publications with these timetokens.
    pub span: Span,
    /// The order.
    pub order: Order,
    /// How many at most.
    pub limit: usize,
}

impl Query {
    /// Publications of `span`, the oldest first, `limit` at most.
    pub fn new(span: impl Into<Span>, limit: usize) -> Self {
        Self {
            span: span.into(),
            order: Order::OldestFirst,
            limit,
        }
    }

    /// The last `limit` publications, the newest first.
    pub fn last(limit: usize) -> Self {
        Self::new(Span::ALL, limit).newest_first()
    }

    /// Reads from the end of the span back.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.order = Order::NewestFirst;
        self
    }
}

/// A publication as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The publication.
    pub publication: Arc<Publication>,
    /// What was attached to it, by the time of attaching.
    pub annotations: Vec<Annotation>,
}

impl Stored {
    /// A publication without annotations.
    pub fn new(publication: Arc<Publication>) -> Self {
        Self {
            publication,
            annotations: Vec::new(),
        }
    }

    /// Sets what is attached.
    #[must_use]
    pub fn annotations(mut self, annotations: Vec<Annotation>) -> Self {
        self.annotations = annotations;
        self
    }
}

/// A part of a channel's history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The publications, in the order that was asked for.
    pub entries: Vec<Stored>,
    /// True when the span has more: ask again from the last one on.
    pub more: bool,
}

impl Page {
    /// Bytes of payload after which a page ends though its limit is not reached, so that a page of large
    /// publications cannot fill the memory. A page has always room for one.
    pub const BYTES_MAX: usize = 16 << 20;

    /// The part of `query`'s span that was not read yet; `None` when all was.
    pub fn rest(&self, query: &Query) -> Option<Query> {
        let last = self.entries.last().filter(|_| self.more)?;
        let last = last.publication.position().timetoken;
        let unread = match query.order {
            Order::OldestFirst => Span::after(last),
            Order::NewestFirst => Span::before(last),
        };
        Some(Query {
            span: query.span.and(unread),
            ..*query
        })
    }
}
