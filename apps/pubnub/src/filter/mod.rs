//! Filter expressions: which messages a client wants, decided here.
//!
//! ```text
//! or         = and { ("||" | OR) and }
//! and        = comparison { ("&&" | AND) comparison }
//! comparison = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | LIKE | CONTAINS) sum ]
//! sum        = product { ("+" | "-") product }
//! product    = unary { ("*" | "/" | "%") unary }
//! unary      = ("!" | "-") unary | "(" or ")" | string | number | true | false | field
//! field      = name { "." name | "[" (string | number) "]" }
//! ```
//!
//! A field is `uuid`, the publisher; `meta…`, what the publisher says about the message; `data…`, the message;
//! any other name is one of `meta`. Where a field is not there, or is of another type than what it is compared
//! with, every comparison is false but `!=`.
//!
//! What filters do with messages is bounded: an evaluation gives way to others after so many steps, one long evaluation
//! is under way at a time, and one serves all polls that have the same filter.

mod checked;
mod evaluate;
mod expression;
mod filters;
mod invalid;
mod lexer;
mod message;
mod parser;
mod pattern;
mod program;
mod turns;
mod value;
mod verdicts;

pub(crate) use self::{checked::Filter, filters::Filters, invalid::InvalidFilter, turns::Turns};
