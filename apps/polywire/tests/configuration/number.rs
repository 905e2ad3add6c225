//! Defaults, as code, as words, and as they are shown.

use syn::{BinOp, Expr, Lit};

/// What an expression is, where that can be told: a number, a truth value, or a text in backquotes.
pub(crate) fn evaluate(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => Some(number.base10_digits().to_owned()),
            Lit::Bool(value) => Some(value.value.to_string()),
            Lit::Str(text) => Some(format!("`{}`", text.value())),
            _ => None,
        },
        Expr::Binary(binary) => {
            let number = |side: &Expr| evaluate(side)?.parse::<u64>().ok();
            let (left, right) = (number(&binary.left)?, number(&binary.right)?);
            let value = match binary.op {
                BinOp::Shl(_) => left << right,
                BinOp::Mul(_) => left * right,
                _ => return None,
            };
            Some(value.to_string())
        }
        // `"text".into()`, `Secret::new("text")`
        Expr::MethodCall(call) if call.method == "into" => evaluate(&call.receiver),
        Expr::Call(call) => evaluate(call.args.first()?),
        _ => None,
    }
}

/// A default as it is shown in a table: numbers with commas.
pub(crate) fn shown(value: &str) -> String {
    if value.parse::<u64>().is_err() {
        return match value {
            "true" | "false" => format!("`{value}`"),
            _ => value.to_owned(),
        };
    }
    let mut shown = String::new();
    for (index, digit) in value.chars().enumerate() {
        if index > 0 && (value.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A default that is written in a comment, as it is shown: what stands behind a comma or a colon says why.
pub(crate) fn of_text(text: &str) -> String {
    if let Some((quoted, _)) = text.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        return format!("`{quoted}`");
    }
    let words = text.split([':', ' ']).filter(|word| !word.is_empty());
    let mut words = words.map(|word| word.trim_end_matches(','));
    let first = words.next().unwrap_or_default();
    let digits = first.replace(',', "");
    let unit = match words.next() {
        Some("KiB") => 1 << 10,
        Some("MiB") => 1 << 20,
        Some("GiB") => 1 << 30,
        _ => 1,
    };
    match digits.parse::<u64>() {
        Ok(number) => shown(&(number * unit).to_string()),
        Err(_) if text == "a week" => shown(&(7 * 24 * 60 * 60).to_string()),
        Err(_) => shown(first),
    }
}
