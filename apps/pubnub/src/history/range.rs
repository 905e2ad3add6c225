//! Ranges of history: from `start`, `end` and `reverse` to what is to be read.

use polywire_core::{Query, Span, Timetoken};

/// What a request asks for: newest first, older than `start` and not older than `end`; or, in reverse, oldest first, newer
/// than `start` and not newer than `end`.
pub(crate) fn query(start: Option<u64>, end: Option<u64>, reverse: bool, limit: usize) -> Query {
    let start = start.map(Timetoken);
    if reverse {
        let after = start.map_or(Span::ALL, Span::after);
        let to = end.map_or(Span::ALL.to, Timetoken);
        Query::new(after.and(Span { to, ..Span::ALL }), limit)
    } else {
        let before = start.map_or(Span::ALL, Span::before);
        let from = end.map_or(Span::ALL.from, Timetoken);
        Query::new(before.and(Span { from, ..Span::ALL }), limit).newest_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: Option<u64>, end: Option<u64>, reverse: bool) -> (u64, u64) {
        let span = query(start, end, reverse, 1).span;
        (span.from.0, span.to.0)
    }

    #[test]
    fn start_is_exclusive_and_end_inclusive() {
        assert_eq!(span(None, None, false), (0, u64::MAX));
        assert_eq!(span(Some(20), Some(10), false), (10, 19));
        assert_eq!(span(Some(10), Some(20), true), (11, 20));
        assert_eq!(span(Some(10), None, true), (11, u64::MAX));
        assert_eq!(span(None, Some(20), true), (0, 20));
        assert!(query(Some(0), None, false, 1).span.is_empty());
        assert!(query(Some(u64::MAX), None, true, 1).span.is_empty());
    }
}
