//! Errors of texts that are no filter expression which is taken.

/// Why a text is not taken as a filter expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidFilter {
    /// It is no expression, or a longer one than anybody needs.
    Syntax,
    /// It looks for too much in every message.
    TooDear,
}
