//! The lexer of filter expressions: from text to tokens.

use super::invalid::InvalidFilter;

/// A token of a filter expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Text(String),
    Number(f64),
    Word(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Longer ones first, so that none is taken for the beginning of another.
const SIGNS: [&str; 20] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ".", "+", "-", "*", "/",
    "%", ",",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, InvalidFilter> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '\'' | '"' => quoted(rest, first)?,
            '0'..='9' => number(rest)?,
            _ if is_word(first) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (Token::Word(rest[..length].to_owned()), length)
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or(InvalidFilter::Syntax)?;
                (Token::Sign(sign), sign.len())
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || c == '@'
}

/// A text between quotes; a backslash takes the next character as it is.
fn quoted(from: &str, quote: char) -> Result<(Token, usize), InvalidFilter> {
    let mut text = String::new();
    let mut characters = from.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => text.push(characters.next().ok_or(InvalidFilter::Syntax)?.1),
            c if c == quote => return Ok((Token::Text(text), at + 1)),
            c => text.push(c),
        }
    }
    Err(InvalidFilter::Syntax)
}

fn number(from: &str) -> Result<(Token, usize), InvalidFilter> {
    let digits = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit());
        end.unwrap_or(text.len())
    };
    let mut length = digits(from);
    if let Some(fraction) = from[length..].strip_prefix('.') {
        let count = digits(fraction);
        if count > 0 {
            length += 1 + count;
        }
    }
    if let Some(exponent) = from[length..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let count = digits(&exponent[sign..]);
        if count > 0 {
            length += 1 + sign + count;
        }
    }
    let number: f64 = from[..length].parse().map_err(|_| InvalidFilter::Syntax)?;
    if !number.is_finite() || from[length..].starts_with(is_word) {
        return Err(InvalidFilter::Syntax);
    }
    Ok((Token::Number(number), length))
}
