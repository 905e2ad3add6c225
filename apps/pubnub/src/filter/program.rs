//! Programs: an expression in the order in which it is computed, so that computing it can pause and go on.

use super::{
    expression::{Expression, Field, Operator},
    invalid::InvalidFilter,
    pattern::Pattern,
};

/// Texts that one filter may look for in a message.
const SEARCHES_MAX: usize = 256;

/// Texts that a pattern counts for which a message gives.
const UNKNOWN_PATTERN: usize = 16;

/// One step of a program; it works on a stack of values.
#[derive(Debug)]
pub(super) enum Operation {
    Text(Box<str>),
    Number(f64),
    Truth(bool),
    Field(Field),
    Not,
    Negative,
    /// From two values to one.
    Two(Operator),
    /// `LIKE` with a pattern that the filter says.
    Like(Pattern),
    /// Takes a value: when it is this one it is the result, and so many operations are left out.
    Unless(bool, usize),
    /// Whether a value is true.
    IsTrue,
}

/// The program of an expression.
pub(super) fn compile(expression: Expression) -> Result<Box<[Operation]>, InvalidFilter> {
    let mut program = Vec::new();
    let mut searches = 0;
    append(expression, &mut program, &mut searches);
    if searches > SEARCHES_MAX {
        return Err(InvalidFilter::TooDear);
    }
    Ok(program.into())
}

fn append(expression: Expression, to: &mut Vec<Operation>, searches: &mut usize) {
    match expression {
        Expression::Text(text) => to.push(Operation::Text(text.into())),
        Expression::Number(number) => to.push(Operation::Number(number)),
        Expression::Truth(truth) => to.push(Operation::Truth(truth)),
        Expression::Field(field) => to.push(Operation::Field(field)),
        Expression::Not(inner) => {
            append(*inner, to, searches);
            to.push(Operation::Not);
        }
        Expression::Negative(inner) => {
            append(*inner, to, searches);
            to.push(Operation::Negative);
        }
        Expression::Two(operator @ (Operator::And | Operator::Or), left, right) => {
            append(*left, to, searches);
            let at = to.len();
            let decides = operator == Operator::Or;
            to.push(Operation::Unless(decides, 0));
            append(*right, to, searches);
            to.push(Operation::IsTrue);
            to[at] = Operation::Unless(decides, to.len() - at - 1);
        }
        Expression::Two(Operator::Like, left, right) => {
            append(*left, to, searches);
            if let Expression::Text(pattern) = *right {
                let pattern = Pattern::new(&pattern);
                *searches += pattern.parts();
                to.push(Operation::Like(pattern));
            } else {
                *searches += UNKNOWN_PATTERN;
                append(*right, to, searches);
                to.push(Operation::Two(Operator::Like));
            }
        }
        Expression::Two(operator, left, right) => {
            *searches += usize::from(operator == Operator::Contains);
            append(*left, to, searches);
            append(*right, to, searches);
            to.push(Operation::Two(operator));
        }
    }
}
