//! The error of a text that is no filter expression.

/// The text is no filter expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidFilter;
