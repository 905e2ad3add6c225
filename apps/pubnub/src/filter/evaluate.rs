//! The evaluation of a program for a message, in slices of bounded work.

use super::{
    expression::Operator, message::Message, pattern::Pattern, program::Operation, value::Value,
};

/// Steps for each byte that is parsed, or put into lower case.
const PARSED: usize = 4;
const LOWERED: usize = 2;

/// Steps for each element of an array, and for each text of a pattern.
const ELEMENT: usize = 8;
const PART: usize = 32;

/// A program that is being computed. One step is about a byte that is compared.
pub(super) struct Evaluation<'e> {
    program: &'e [Operation],
    message: &'e Message<'e>,
    /// The operation that is next.
    next: usize,
    values: Vec<Value<'e>>,
    /// Texts that `LIKE` has looked at, with their lower case.
    lowered: Vec<(&'e str, String)>,
    steps: usize,
}

impl<'e> Evaluation<'e> {
    pub(super) fn new(program: &'e [Operation], message: &'e Message<'e>) -> Self {
        Self {
            program,
            message,
            next: 0,
            values: Vec::new(),
            lowered: Vec::new(),
            steps: 0,
        }
    }

    /// Steps that were taken.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Goes on for about so many steps; none when it has not come to the end. The last operation may take more, by as much
    /// as the length of the message.
    pub(super) fn go_on(&mut self, steps: usize) -> Option<bool> {
        let end = self.steps.saturating_add(steps);
        while let Some(operation) = self.program.get(self.next) {
            if self.steps >= end {
                return None;
            }
            self.next += 1;
            self.steps += 1;
            self.run(operation);
        }
        Some(self.pop().is_true())
    }

    fn run(&mut self, operation: &'e Operation) {
        let value = match operation {
            Operation::Text(text) => Value::Text(text),
            Operation::Number(number) => Value::Number(*number),
            Operation::Truth(truth) => Value::Truth(*truth),
            Operation::Field(field) => {
                self.steps += ELEMENT * field.steps.len() + PARSED * self.message.unparsed(field);
                self.message.field(field)
            }
            Operation::Not => Value::Truth(!self.pop().is_true()),
            Operation::Negative => {
                let number = self.pop().number();
                number.map_or(Value::Missing, |number| Value::Number(-number))
            }
            Operation::Two(operator) => {
                let (right, left) = (self.pop(), self.pop());
                self.two(*operator, left, right)
            }
            Operation::Like(pattern) => {
                let text = self.pop();
                Value::Truth(self.is_like(text, pattern))
            }
            Operation::Unless(decides, operations) => {
                if self.pop().is_true() != *decides {
                    return;
                }
                self.next += operations;
                Value::Truth(*decides)
            }
            Operation::IsTrue => Value::Truth(self.pop().is_true()),
        };
        self.values.push(value);
    }

    /// The value on top; a program takes no more than it has put there.
    fn pop(&mut self) -> Value<'e> {
        self.values.pop().unwrap_or(Value::Missing)
    }

    /// True for a text that a pattern matches, in upper or lower case.
    fn is_like(&mut self, text: Value<'e>, pattern: &Pattern) -> bool {
        let Value::Text(text) = text else {
            return false;
        };
        let mut known = self.lowered.iter();
        let at = known
            .position(|(seen, _)| std::ptr::eq(*seen, text))
            .unwrap_or_else(|| {
                self.steps += LOWERED * text.len();
                self.lowered.push((text, text.to_lowercase()));
                self.lowered.len() - 1
            });
        let lowered = &self.lowered[at].1;
        self.steps += lowered.len() + PART * pattern.parts();
        pattern.matches(lowered)
    }

    fn two(&mut self, operator: Operator, left: Value<'e>, right: Value<'e>) -> Value<'e> {
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
            Operator::Equal | Operator::NotEqual => {
                self.steps += left.len().min(right.len());
                let is_equal = left.equals(right) == Some(true);
                Value::Truth(is_equal == (operator == Operator::Equal))
            }
            Operator::Less => compare(f64::lt),
            Operator::LessOrEqual => compare(f64::le),
            Operator::Greater => compare(f64::gt),
            Operator::GreaterOrEqual => compare(f64::ge),
            Operator::Like => {
                let Value::Text(pattern) = right else {
                    return Value::Truth(false);
                };
                self.steps += LOWERED * pattern.len();
                Value::Truth(self.is_like(left, &Pattern::new(pattern)))
            }
            Operator::Contains => {
                self.steps += match left {
                    Value::Other(_) => ELEMENT * left.len(),
                    _ => left.len() + right.len(),
                };
                Value::Truth(left.contains(right))
            }
            Operator::Plus => compute(|left, right| left + right),
            Operator::Minus => compute(|left, right| left - right),
            Operator::Times => compute(|left, right| left * right),
            Operator::Divided => compute(|left, right| left / right),
            Operator::Remainder => compute(|left, right| left % right),
            // They are other operations of a program.
            Operator::And | Operator::Or => Value::Missing,
        }
    }
}
