//! The words of a filter.

/// A word of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A name, an operator or a literal without quotes, in lower case.
    Name(String),
    Text(String),
    Integer(i64),
    Open,
    Close,
    Comma,
}

/// Splits a filter into words.
pub(super) fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = match first {
            '(' => Word::Open,
            ')' => Word::Close,
            ',' => Word::Comma,
            _ if first.is_whitespace() => {
                rest = rest.trim_start();
                continue;
            }
            '\'' => {
                let (text, after) = quoted(&rest[1..])?;
                rest = after;
                words.push(Word::Text(text));
                continue;
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '\'');
                let end = rest.find(ends).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                rest = after;
                words.push(bare(word)?);
                continue;
            }
        };
        words.push(word);
        rest = &rest[1..];
    }
    Ok(words)
}

/// A text behind its first quote; two quotes are one.
fn quoted(rest: &str) -> Result<(String, &str), String> {
    let mut text = String::new();
    let mut rest = rest;
    loop {
        let end = rest.find('\'').ok_or("a text does not end")?;
        text.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                text.push('\'');
                rest = after;
            }
            None => return Ok((text, rest)),
        }
    }
}

fn bare(word: &str) -> Result<Word, String> {
    if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        let number = word.parse();
        return number
            .map(Word::Integer)
            .map_err(|_| format!("{word} is not a whole number"));
    }
    Ok(Word::Name(word.to_ascii_lowercase()))
}
