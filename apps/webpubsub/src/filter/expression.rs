//! Expressions: what a filter means.

use std::{cmp::Ordering, collections::BTreeSet};

/// The connection that is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'s> {
    pub(crate) connection: &'s str,
    pub(crate) user: Option<&'s str>,
    /// The subprotocol that was agreed on.
    pub(crate) protocol: Option<&'s str>,
    pub(crate) groups: &'s BTreeSet<String>,
}

/// An expression; the parser has checked its types.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    UserId,
    ConnectionId,
    Protocol,
    Text(String),
    Integer(i64),
    Boolean(bool),
    Null,
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    InGroups(Box<Expression>),
    InList(Box<Expression>, Vec<Expression>),
    GroupCount,
    Call(Function, Vec<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    ToLower,
    ToUpper,
    Trim,
    Substring,
    Concat,
    Contains,
    StartsWith,
    EndsWith,
    IndexOf,
    Length,
}

/// The type of an expression, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Integer,
    Boolean,
    Null,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Null,
}

impl Function {
    pub(super) fn result(self) -> Type {
        match self {
            Self::ToLower | Self::ToUpper | Self::Trim | Self::Substring | Self::Concat => {
                Type::Text
            }
            Self::Contains | Self::StartsWith | Self::EndsWith => Type::Boolean,
            Self::IndexOf | Self::Length => Type::Integer,
        }
    }
}

impl Expression {
    pub(super) fn type_of(&self) -> Type {
        match self {
            Self::UserId | Self::ConnectionId | Self::Protocol | Self::Text(_) => Type::Text,
            Self::Integer(_) | Self::GroupCount => Type::Integer,
            Self::Null => Type::Null,
            Self::Call(function, _) => function.result(),
            _ => Type::Boolean,
        }
    }

    pub(super) fn is_true(&self, subject: &Subject<'_>) -> bool {
        self.value(subject) == Value::Boolean(true)
    }

    fn value(&self, subject: &Subject<'_>) -> Value {
        match self {
            Self::UserId => text_or_null(subject.user),
            Self::Protocol => text_or_null(subject.protocol),
            Self::ConnectionId => Value::Text(subject.connection.to_owned()),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Integer(integer) => Value::Integer(*integer),
            Self::Boolean(boolean) => Value::Boolean(*boolean),
            Self::Null => Value::Null,
            Self::Not(inner) => Value::Boolean(!inner.is_true(subject)),
            Self::And(a, b) => Value::Boolean(a.is_true(subject) && b.is_true(subject)),
            Self::Or(a, b) => Value::Boolean(a.is_true(subject) || b.is_true(subject)),
            Self::Compare(comparison, a, b) => {
                Value::Boolean(compare(*comparison, &a.value(subject), &b.value(subject)))
            }
            Self::InGroups(text) => match text.value(subject) {
                Value::Text(text) => Value::Boolean(subject.groups.contains(&text)),
                _ => Value::Boolean(false),
            },
            Self::InList(what, list) => {
                let what = what.value(subject);
                Value::Boolean(list.iter().any(|item| item.value(subject) == what))
            }
            Self::GroupCount => {
                Value::Integer(i64::try_from(subject.groups.len()).unwrap_or(i64::MAX))
            }
            Self::Call(function, arguments) => {
                let values: Vec<_> = arguments.iter().map(|a| a.value(subject)).collect();
                call(*function, &values).unwrap_or(Value::Null)
            }
        }
    }
}

fn text_or_null(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.to_owned()))
}

/// Null equals null only, and is neither greater nor less than anything.
fn compare(comparison: Comparison, a: &Value, b: &Value) -> bool {
    let order = match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        _ => None,
    };
    match comparison {
        Comparison::Equal => a == b,
        Comparison::NotEqual => a != b,
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
    }
}

/// `None` for a function of null.
fn call(function: Function, arguments: &[Value]) -> Option<Value> {
    let text = |n: usize| match arguments.get(n) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let number = |n: usize| match arguments.get(n) {
        Some(Value::Integer(integer)) => usize::try_from(*integer).ok(),
        _ => None,
    };
    let count = |n: usize| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    let first = text(0)?;
    Some(match function {
        Function::ToLower => Value::Text(first.to_lowercase()),
        Function::ToUpper => Value::Text(first.to_uppercase()),
        Function::Trim => Value::Text(first.trim().to_owned()),
        Function::Substring => {
            let length = match arguments.len() {
                3 => number(2)?,
                _ => usize::MAX,
            };
            Value::Text(first.chars().skip(number(1)?).take(length).collect())
        }
        Function::Concat => Value::Text(first.to_owned() + text(1)?),
        Function::Contains => Value::Boolean(first.contains(text(1)?)),
        Function::StartsWith => Value::Boolean(first.starts_with(text(1)?)),
        Function::EndsWith => Value::Boolean(first.ends_with(text(1)?)),
        Function::IndexOf => match first.find(text(1)?) {
            Some(at) => count(first[..at].chars().count()),
            None => Value::Integer(-1),
        },
        Function::Length => count(first.chars().count()),
    })
}
