//! OData filters: which connections a send is for.

mod expression;
mod lexer;
mod parser;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::expression::Expression;
pub(crate) use self::expression::Subject;

/// A filter: its text, and what it means. Made once for each request, and evaluated for each connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Filter {
    text: String,
    expression: Arc<Expression>,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// What is wrong with it, as the service words it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match parser::parse(text) {
            Ok(expression) => Ok(Self {
                text: text.to_owned(),
                expression: Arc::new(expression),
            }),
            Err(wrong) => Err(format!(
                "Invalid syntax for '{text}': {wrong}. (Parameter 'filter')"
            )),
        }
    }

    /// True when a connection is meant.
    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        self.expression.is_true(subject)
    }
}

impl TryFrom<String> for Filter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn matches(text: &str, user: Option<&str>) -> bool {
        let groups = ["g1", "it's"].map(str::to_owned).into();
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{error}"));
        filter.matches(&Subject {
            connection: "C1",
            user,
            protocol: user.map(|_| "json.webpubsub.azure.v1"),
            groups: &groups,
        })
    }

    #[test]
    fn filters_mean_what_odata_says() {
        for (text, expected) in [
            ("userId eq 'ann'", true),
            ("USERID ne 'ann'", false),
            ("userId eq null", false),
            ("connectionId eq 'C1' and 'g1' in groups", true),
            ("'g2' in groups or not ('g1' in groups)", false),
            ("'it''s' in groups", true),
            ("userId in ('bob', 'ann')", true),
            ("not (userId in ('bob','ann'))", false),
            ("length(userId) gt 2 and length(groups) eq 2", true),
            ("startswith(tolower(userId), 'an') eq true", true),
            ("startswith(userId, 'an')", true),
            ("endswith(userId,'nn') and contains(userId,'n')", true),
            ("concat(userId, 'x') eq 'annx'", true),
            (
                "substring(userId, 1) eq 'nn' and substring(userId,0,1) eq 'a'",
                true,
            ),
            ("indexof(userId, 'n') eq 1", true),
            ("trim('  a ') eq 'a' and toupper('a') eq 'A'", true),
            ("1 lt 2 and 2 le 2 and 3 ge 3 and 'b' gt 'a'", true),
            ("userId eq 'x' or userId eq 'y' and true", false),
            (
                "protocol eq 'json.webpubsub.azure.v1' and not endswith(Protocol, 'v2')",
                true,
            ),
            ("protocol eq null", false),
            ("true", true),
            ("not false", true),
        ] {
            assert_eq!(matches(text, Some("ann")), expected, "{text}");
        }
    }

    #[test]
    fn a_function_of_nobody_is_null() {
        for (text, expected) in [
            ("userId eq null", true),
            ("userId ne null", false),
            ("protocol eq null", true),
            ("tolower(userId) eq null", true),
            ("length(userId) gt 0", false),
            ("length(userId) le 0", false),
            ("startswith(userId, 'a')", false),
        ] {
            assert_eq!(matches(text, None), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_said() {
        for text in [
            "",
            "userId",
            "userId eq",
            "userId eq 'a",
            "name eq 'a'",
            "userId eq 'a' and",
            "(userId eq 'a'",
            "userId eq 'a')",
            "length(userId)",
            "not length(userId) gt 5",
            "userId in 'a'",
            "groups eq 'a'",
            "frobnicate(userId) eq 'a'",
            "substring(userId) eq 'a'",
            "length(userId) eq 'a'",
            "userId gt 5",
            "99999999999999999999 eq 1",
            &"(".repeat(5000),
            &"not ".repeat(5000),
            &vec!["userId eq 'a'"; 200].join(" or "),
        ] {
            let error = Filter::parse(text).unwrap_err();
            assert!(error.starts_with("Invalid syntax for '"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_an_error(text in "[a-z'(), 0-9]{0,60}") {
            if let Ok(filter) = Filter::parse(&text) {
                filter.matches(&Subject {
                    connection: "C1",
                    user: None,
                    protocol: None,
                    groups: &BTreeSet::new(),
                });
            }
        }
    }
}
