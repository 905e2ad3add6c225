//! Numbers in JSON that are larger than any double: JSON's grammar allows them, and many parsers refuse the whole text for
//! one (RFC 8259 section 6).

use memchr::{memchr_iter, memchr2};

/// A number of fewer digits before its exponent is smaller than a double can be, unless its exponent has three digits.
const DIGITS: usize = 200;

/// True when a JSON text has a number that is larger than any double. Nearly every text is told from those by a look for
/// exponents, and at one byte in two hundred.
pub(super) fn has_number_out_of_range(json: &str) -> bool {
    let bytes = json.as_bytes();
    (has_long_exponent(bytes) || has_many_digits(bytes)) && numbers_of(json).any(is_out_of_range)
}

/// An exponent of three digits or more, perhaps inside a string.
fn has_long_exponent(bytes: &[u8]) -> bool {
    let is_long = |at: usize| {
        let behind = &bytes[at + 1..];
        let digits = behind.strip_prefix(b"+").unwrap_or(behind);
        at > 0
            && bytes[at - 1].is_ascii_digit()
            && digits.len() >= 3
            && digits[..3].iter().all(u8::is_ascii_digit)
    };
    memchr_iter(b'e', bytes).any(is_long) || memchr_iter(b'E', bytes).any(is_long)
}

/// As many digits in a row as a number needs to be too large without such an exponent, perhaps inside a string.
fn has_many_digits(bytes: &[u8]) -> bool {
    let digits = |bytes: &mut dyn Iterator<Item = &u8>| {
        bytes.take_while(|byte| byte.is_ascii_digit()).count()
    };
    // Whoever is so long stands on one of these.
    (DIGITS - 1..bytes.len()).step_by(DIGITS).any(|at| {
        let (before, behind) = bytes.split_at(at);
        bytes[at].is_ascii_digit()
            && digits(&mut before.iter().rev().take(DIGITS)) + digits(&mut behind.iter()) >= DIGITS
    })
}

/// The numbers of a JSON text.
fn numbers_of(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = json;
    std::iter::from_fn(move || {
        loop {
            let at =
                rest.find(|found: char| found == '"' || found == '-' || found.is_ascii_digit())?;
            rest = &rest[at..];
            match rest.strip_prefix('"') {
                Some(string) => rest = behind_string(string),
                None => {
                    let is_number = |found: char| found.is_ascii_digit() || "+-.eE".contains(found);
                    let end = rest.find(|found| !is_number(found)).unwrap_or(rest.len());
                    let (number, behind) = rest.split_at(end);
                    rest = behind;
                    return Some(number);
                }
            }
        }
    })
}

/// What stands behind a string whose first quote was taken off.
fn behind_string(mut text: &str) -> &str {
    while let Some(at) = memchr2(b'"', b'\\', text.as_bytes()) {
        if text.as_bytes()[at] == b'"' {
            return &text[at + 1..];
        }
        // What is escaped begins with one byte.
        text = text.get(at + 2..).unwrap_or_default();
    }
    ""
}

fn is_out_of_range(number: &str) -> bool {
    number.parse().is_ok_and(f64::is_infinite)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_no_double_holds_is_found() {
        let many = |digits: usize| "9".repeat(digits);
        for text in [
            "0".to_owned(),
            many(308),
            format!("0.{}", many(5000)),
            format!("{}e-300", many(400)),
            "[1e308, -1E+308, 1e-999, 0e999]".to_owned(),
            format!("[\"{}\", \"1e999\", \"\\\"1e999\", \"\\\\\"]", many(5000)),
            format!("{{\"{}\": 1e30}}", many(5000)),
        ] {
            assert!(!has_number_out_of_range(&text), "{text}");
        }
        for text in [
            "1e309".to_owned(),
            "[\"\\\"\", -1E+309]".to_owned(),
            "{\"a\":[0,1e0400]}".to_owned(),
            many(310),
            many(5000),
            format!("{}e99", many(220)),
            format!("[{},-{}.5]", "1,".repeat(77) + "1", many(310)),
        ] {
            assert!(has_number_out_of_range(&text), "{text}");
        }
    }

    proptest! {
        /// The short way finds what reading every number finds.
        #[test]
        fn no_number_is_missed(
            numbers in prop::collection::vec("-?[1-9][0-9]{0,320}(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?", 1..5),
            string in "[a-z0-9eE+]{0,300}",
        ) {
            let text = format!("[\"{string}\",{}]", numbers.join(","));
            let expected = numbers.iter().any(|number| is_out_of_range(number));
            prop_assert_eq!(has_number_out_of_range(&text), expected);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).is_err(), expected);
        }
    }
}
