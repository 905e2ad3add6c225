//! The parser of filters: from words to an expression. Loosest first: `or`, `and`, comparisons, `not`.

use super::{
    expression::{Comparison, Expression, Function, Type},
    lexer::{Word, words},
};

/// Operators and functions that a filter may have.
const CLAUSES_MAX: usize = 100;

/// Reads a filter.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser {
        words: words(text)?.into_iter().peekable(),
        clauses: 0,
    };
    let expression = parser.or()?;
    if let Some(word) = parser.words.next() {
        return Err(format!("{word:?} is not expected there"));
    }
    boolean(expression)
}

struct Parser {
    words: std::iter::Peekable<std::vec::IntoIter<Word>>,
    clauses: usize,
}

/// An operand: a value, or the collection of groups.
enum Operand {
    Value(Expression),
    Groups,
}

fn boolean(expression: Expression) -> Result<Expression, String> {
    match expression.type_of() {
        Type::Boolean => Ok(expression),
        other => Err(format!("a condition is expected, not a {other:?}")),
    }
}

impl Parser {
    /// Counts what makes a filter costly; it also bounds how deep one is nested.
    fn clause(&mut self) -> Result<(), String> {
        self.clauses += 1;
        if self.clauses > CLAUSES_MAX {
            return Err(format!("more than {CLAUSES_MAX} clauses"));
        }
        Ok(())
    }

    fn takes(&mut self, name: &str) -> bool {
        let is_it = matches!(self.words.peek(), Some(Word::Name(found)) if found == name);
        if is_it {
            self.words.next();
        }
        is_it
    }

    fn expect(&mut self, word: &Word) -> Result<(), String> {
        match self.words.next() {
            Some(found) if found == *word => Ok(()),
            Some(found) => Err(format!("{word:?} is expected, not {found:?}")),
            None => Err(format!("{word:?} is expected at the end")),
        }
    }

    fn or(&mut self) -> Result<Expression, String> {
        let mut left = self.and()?;
        while self.takes("or") {
            self.clause()?;
            let right = boolean(self.and()?)?;
            left = Expression::Or(Box::new(boolean(left)?), Box::new(right));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut left = self.comparison()?;
        while self.takes("and") {
            self.clause()?;
            let right = boolean(self.comparison()?)?;
            left = Expression::And(Box::new(boolean(left)?), Box::new(right));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let left = match self.not()? {
            Operand::Value(value) => value,
            Operand::Groups => return Err("groups can stand behind in only".into()),
        };
        let comparison = match self.words.peek() {
            Some(Word::Name(name)) => match name.as_str() {
                "eq" => Comparison::Equal,
                "ne" => Comparison::NotEqual,
                "gt" => Comparison::Greater,
                "ge" => Comparison::GreaterOrEqual,
                "lt" => Comparison::Less,
                "le" => Comparison::LessOrEqual,
                "in" => {
                    self.words.next();
                    self.clause()?;
                    return self.within(left);
                }
                _ => return Ok(left),
            },
            _ => return Ok(left),
        };
        self.words.next();
        self.clause()?;
        let Operand::Value(right) = self.not()? else {
            return Err("groups cannot be compared".into());
        };
        comparable(&left, &right)?;
        Ok(Expression::Compare(
            comparison,
            Box::new(left),
            Box::new(right),
        ))
    }

    /// What follows `in`.
    fn within(&mut self, left: Expression) -> Result<Expression, String> {
        if self.takes("groups") {
            if left.type_of() != Type::Text {
                return Err("only a text can be in groups".into());
            }
            return Ok(Expression::InGroups(Box::new(left)));
        }
        self.expect(&Word::Open)?;
        let mut list = Vec::new();
        loop {
            self.clause()?;
            let Operand::Value(item) = self.not()? else {
                return Err("groups cannot be in a list".into());
            };
            comparable(&left, &item)?;
            list.push(item);
            match self.words.next() {
                Some(Word::Comma) => {}
                Some(Word::Close) => return Ok(Expression::InList(Box::new(left), list)),
                _ => return Err("a list does not end".into()),
            }
        }
    }

    fn not(&mut self) -> Result<Operand, String> {
        if self.takes("not") {
            self.clause()?;
            let Operand::Value(inner) = self.not()? else {
                return Err("groups are no condition".into());
            };
            let inner = boolean(inner)?;
            return Ok(Operand::Value(Expression::Not(Box::new(inner))));
        }
        self.operand()
    }

    fn operand(&mut self) -> Result<Operand, String> {
        let value = match self.words.next() {
            Some(Word::Text(text)) => Expression::Text(text),
            Some(Word::Integer(integer)) => Expression::Integer(integer),
            Some(Word::Open) => {
                self.clause()?;
                let inner = self.or()?;
                self.expect(&Word::Close)?;
                inner
            }
            Some(Word::Name(name)) => match name.as_str() {
                "true" => Expression::Boolean(true),
                "false" => Expression::Boolean(false),
                "null" => Expression::Null,
                "userid" => Expression::UserId,
                "connectionid" => Expression::ConnectionId,
                "protocol" => Expression::Protocol,
                "groups" => return Ok(Operand::Groups),
                name => return self.call(name).map(Operand::Value),
            },
            Some(word) => return Err(format!("{word:?} is not expected there")),
            None => return Err("it ends too early".into()),
        };
        Ok(Operand::Value(value))
    }

    fn call(&mut self, name: &str) -> Result<Expression, String> {
        let (function, types): (_, &[Type]) = match name {
            "tolower" => (Function::ToLower, &[Type::Text]),
            "toupper" => (Function::ToUpper, &[Type::Text]),
            "trim" => (Function::Trim, &[Type::Text]),
            "substring" => (Function::Substring, &[Type::Text, Type::Integer]),
            "concat" => (Function::Concat, &[Type::Text, Type::Text]),
            "contains" => (Function::Contains, &[Type::Text, Type::Text]),
            "startswith" => (Function::StartsWith, &[Type::Text, Type::Text]),
            "endswith" => (Function::EndsWith, &[Type::Text, Type::Text]),
            "indexof" => (Function::IndexOf, &[Type::Text, Type::Text]),
            "length" => (Function::Length, &[Type::Text]),
            name => return Err(format!("{name} is not known")),
        };
        self.clause()?;
        self.expect(&Word::Open)?;
        let mut arguments = Vec::new();
        loop {
            match self.not()? {
                Operand::Value(value) => arguments.push(value),
                Operand::Groups if function == Function::Length => {
                    self.expect(&Word::Close)?;
                    return Ok(Expression::GroupCount);
                }
                Operand::Groups => return Err(format!("{name} takes no groups")),
            }
            match self.words.next() {
                Some(Word::Comma) => {}
                Some(Word::Close) => break,
                _ => return Err(format!("the arguments of {name} do not end")),
            }
        }
        let third = function == Function::Substring && arguments.len() == 3;
        let expected = types.iter().copied().chain(third.then_some(Type::Integer));
        let fits = |(argument, expected): (&Expression, Type)| {
            let found = argument.type_of();
            found == expected || found == Type::Null
        };
        if arguments.len() != types.len() + usize::from(third)
            || !arguments.iter().zip(expected).all(fits)
        {
            return Err(format!("the arguments of {name} do not fit"));
        }
        Ok(Expression::Call(function, arguments))
    }
}

fn comparable(left: &Expression, right: &Expression) -> Result<(), String> {
    let (left, right) = (left.type_of(), right.type_of());
    if left == right || left == Type::Null || right == Type::Null {
        return Ok(());
    }
    Err(format!("a {left:?} cannot be compared with a {right:?}"))
}
