//! The sender of a message, as clients see it.

/// Where a message comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sender<'f> {
    Group {
        group: &'f str,
        publisher: Option<&'f str>,
    },
    Server,
}
