//! An expression, and a message.

use std::cell::OnceCell;

use polywire_core::{JsonText, Payload, Publication};
use serde_json::Value as Json;

use super::{
    expression::{Expression, Field, Operator, Root, Step},
    value::Value,
};

/// A message under a filter; its parts are parsed when they are asked for.
pub(super) struct Message<'m> {
    publication: &'m Publication,
    meta: OnceCell<Option<Json>>,
    data: OnceCell<Option<Json>>,
}

impl<'m> Message<'m> {
    pub(super) fn new(publication: &'m Publication) -> Self {
        Self {
            publication,
            meta: OnceCell::new(),
            data: OnceCell::new(),
        }
    }

    pub(super) fn test(&self, expression: &Expression) -> bool {
        self.value(expression).is_true()
    }

    fn value<'v>(&'v self, expression: &'v Expression) -> Value<'v> {
        match expression {
            Expression::Text(text) => Value::Text(text.into()),
            Expression::Number(number) => Value::Number(*number),
            Expression::Truth(truth) => Value::Truth(*truth),
            Expression::Field(field) => self.field(field),
            Expression::Not(inner) => Value::Truth(!self.test(inner)),
            Expression::Negative(inner) => {
                let number = self.value(inner).number();
                number.map_or(Value::Missing, |number| Value::Number(-number))
            }
            Expression::Two(Operator::And, left, right) => {
                Value::Truth(self.test(left) && self.test(right))
            }
            Expression::Two(Operator::Or, left, right) => {
                Value::Truth(self.test(left) || self.test(right))
            }
            Expression::Two(operator, left, right) => {
                two(*operator, &self.value(left), &self.value(right))
            }
        }
    }

    fn field(&self, field: &Field) -> Value<'_> {
        let root = match field.root {
            Root::Publisher if field.steps.is_empty() => {
                let publisher = self.publication.publisher.as_ref();
                return publisher.map_or(Value::Missing, |id| Value::Text(id.as_str().into()));
            }
            Root::Publisher => None,
            Root::Meta => self.meta(),
            Root::Data => self.data(),
        };
        let found = field.steps.iter().try_fold(root, |value, step| {
            let value = value?;
            Some(match step {
                Step::Name(name) => value.get(name),
                Step::Index(index) => value.get(index),
            })
        });
        found.flatten().map_or(Value::Missing, Value::of)
    }

    fn meta(&self) -> Option<&Json> {
        let parsed = || self.publication.meta.as_ref().and_then(parse);
        self.meta.get_or_init(parsed).as_ref()
    }

    fn data(&self) -> Option<&Json> {
        let parsed = || match &self.publication.payload {
            Payload::Json(json) => parse(json),
            Payload::Text(text) => Some(Json::String(text.value().to_string())),
            Payload::Binary(_) => None,
        };
        self.data.get_or_init(parsed).as_ref()
    }
}

fn parse(json: &JsonText) -> Option<Json> {
    // It was checked, but half a surrogate pair is no text.
    serde_json::from_str(json.as_str()).ok()
}

fn two<'v>(operator: Operator, left: &Value<'v>, right: &Value<'v>) -> Value<'v> {
    let numbers = left.number().zip(right.number());
    let compare = |test: fn(&f64, &f64) -> bool| {
        let holds = numbers.is_some_and(|(left, right)| test(&left, &right));
        Value::Truth(holds)
    };
    let compute = |compute: fn(f64, f64) -> f64| {
        let result = numbers.map(|(left, right)| compute(left, right));
        let result = result.filter(|result| result.is_finite());
        result.map_or(Value::Missing, Value::Number)
    };
    match operator {
        Operator::Equal => Value::Truth(left.equals(right) == Some(true)),
        Operator::NotEqual => Value::Truth(left.equals(right) != Some(true)),
        Operator::Less => compare(f64::lt),
        Operator::LessOrEqual => compare(f64::le),
        Operator::Greater => compare(f64::gt),
        Operator::GreaterOrEqual => compare(f64::ge),
        Operator::Like => Value::Truth(left.is_like(right)),
        Operator::Contains => Value::Truth(left.contains(right)),
        Operator::Plus => compute(|left, right| left + right),
        Operator::Minus => compute(|left, right| left - right),
        Operator::Times => compute(|left, right| left * right),
        Operator::Divided => compute(|left, right| left / right),
        Operator::Remainder => compute(|left, right| left % right),
        // Looked at before their sides are.
        Operator::And | Operator::Or => Value::Missing,
    }
}
