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

mod checked;
mod evaluate;
mod expression;
mod invalid;
mod lexer;
mod parser;
mod value;

pub(crate) use self::{checked::Filter, invalid::InvalidFilter};
