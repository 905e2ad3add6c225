//! The parser of filter expressions: from tokens to an expression.

use super::{
    expression::{Expression, Field, Operator, Root, Step},
    invalid::InvalidFilter,
    lexer::Token,
};

/// Parts that an expression may have, and how deep they may lie in each other.
const PARTS_MAX: usize = 256;
const DEPTH_MAX: usize = 32;

pub(super) fn parse(tokens: &[Token]) -> Result<Expression, InvalidFilter> {
    let mut parser = Parser {
        tokens,
        parts: 0,
        depth: 0,
    };
    let expression = parser.or()?;
    if parser.tokens.is_empty() {
        Ok(expression)
    } else {
        Err(InvalidFilter::Syntax)
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    parts: usize,
    depth: usize,
}

type Parsed = Result<Expression, InvalidFilter>;

impl Parser<'_> {
    fn or(&mut self) -> Parsed {
        self.chain(Self::and, |token| match token {
            Token::Sign("||") => Some(Operator::Or),
            token => keyword(token, "or").then_some(Operator::Or),
        })
    }

    fn and(&mut self) -> Parsed {
        self.chain(Self::comparison, |token| match token {
            Token::Sign("&&") => Some(Operator::And),
            token => keyword(token, "and").then_some(Operator::And),
        })
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let Some(operator) = self.tokens.first().and_then(comparison) else {
            return Ok(left);
        };
        self.tokens = &self.tokens[1..];
        let right = self.sum()?;
        self.part(Expression::Two(operator, left.into(), right.into()))
    }

    fn sum(&mut self) -> Parsed {
        self.chain(Self::product, |token| match token {
            Token::Sign("+") => Some(Operator::Plus),
            Token::Sign("-") => Some(Operator::Minus),
            _ => None,
        })
    }

    fn product(&mut self) -> Parsed {
        self.chain(Self::unary, |token| match token {
            Token::Sign("*") => Some(Operator::Times),
            Token::Sign("/") => Some(Operator::Divided),
            Token::Sign("%") => Some(Operator::Remainder),
            _ => None,
        })
    }

    /// Parts between operators of one precedence, from left to right.
    fn chain(
        &mut self,
        next: fn(&mut Self) -> Parsed,
        operator: fn(&Token) -> Option<Operator>,
    ) -> Parsed {
        let mut left = next(self)?;
        while let Some(operator) = self.tokens.first().and_then(operator) {
            self.tokens = &self.tokens[1..];
            let right = next(self)?;
            left = self.part(Expression::Two(operator, left.into(), right.into()))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(InvalidFilter::Syntax);
        }
        let (first, rest) = self.tokens.split_first().ok_or(InvalidFilter::Syntax)?;
        self.tokens = rest;
        let parsed = match first {
            Token::Sign("!") => {
                let inner = self.unary()?;
                self.part(Expression::Not(inner.into()))
            }
            Token::Sign("-") => {
                let inner = self.unary()?;
                self.part(Expression::Negative(inner.into()))
            }
            Token::Sign("(") => {
                let inner = self.or()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign(_) => Err(InvalidFilter::Syntax),
            Token::Text(text) => self.part(Expression::Text(text.clone())),
            Token::Number(number) => self.part(Expression::Number(*number)),
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => self.part(Expression::Truth(true)),
                "false" => self.part(Expression::Truth(false)),
                "and" | "or" | "like" | "contains" => Err(InvalidFilter::Syntax),
                _ => self.field(word),
            },
        };
        self.depth -= 1;
        parsed
    }

    fn field(&mut self, first: &str) -> Parsed {
        let (root, mut steps) = match first {
            "uuid" => (Root::Publisher, Vec::new()),
            "meta" => (Root::Meta, Vec::new()),
            "data" => (Root::Data, Vec::new()),
            name => (Root::Meta, vec![Step::Name(name.to_owned())]),
        };
        loop {
            let step = match self.tokens {
                [Token::Sign("."), Token::Word(name), rest @ ..] => {
                    self.tokens = rest;
                    Step::Name(name.clone())
                }
                [Token::Sign("["), key, Token::Sign("]"), rest @ ..] => {
                    self.tokens = rest;
                    match key {
                        Token::Text(name) => Step::Name(name.clone()),
                        Token::Number(index) if index.fract() == 0.0 => {
                            // Out of range becomes the greatest index, where nothing is.
                            Step::Index(*index as usize)
                        }
                        _ => return Err(InvalidFilter::Syntax),
                    }
                }
                _ => break,
            };
            if steps.len() >= DEPTH_MAX {
                return Err(InvalidFilter::Syntax);
            }
            steps.push(step);
        }
        self.part(Expression::Field(Field { root, steps }))
    }

    fn expect(&mut self, sign: &str) -> Result<(), InvalidFilter> {
        match self.tokens.split_first() {
            Some((Token::Sign(found), rest)) if *found == sign => {
                self.tokens = rest;
                Ok(())
            }
            _ => Err(InvalidFilter::Syntax),
        }
    }

    fn part(&mut self, part: Expression) -> Parsed {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(InvalidFilter::Syntax);
        }
        Ok(part)
    }
}

fn keyword(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(word))
}

fn comparison(token: &Token) -> Option<Operator> {
    Some(match token {
        Token::Sign("==") => Operator::Equal,
        Token::Sign("!=") => Operator::NotEqual,
        Token::Sign("<") => Operator::Less,
        Token::Sign("<=") => Operator::LessOrEqual,
        Token::Sign(">") => Operator::Greater,
        Token::Sign(">=") => Operator::GreaterOrEqual,
        token if keyword(token, "like") => Operator::Like,
        token if keyword(token, "contains") => Operator::Contains,
        _ => return None,
    })
}
