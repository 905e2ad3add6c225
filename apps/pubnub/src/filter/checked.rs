//! A filter expression that was checked, and what it says of a message.

use polywire_core::Publication;

use super::{evaluate::Message, expression::Expression, invalid::InvalidFilter, lexer, parser};

/// Bytes of an expression.
const BYTES_MAX: usize = 4096;

/// A filter expression that was checked.
#[derive(Debug)]
pub(crate) struct Filter(Expression);

impl Filter {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidFilter> {
        if text.len() > BYTES_MAX {
            return Err(InvalidFilter);
        }
        let tokens = lexer::tokens(text)?;
        parser::parse(&tokens).map(Self)
    }

    /// True when a client with this filter wants the message. Each part of the expression is looked at once,
    /// in time that the size of the message bounds.
    pub(crate) fn wants(&self, publication: &Publication) -> bool {
        Message::new(publication).test(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use polywire_core::{Channel, ClientId, Draft, JsonText, Payload, Position};
    use proptest::prelude::*;

    fn json(text: &str) -> JsonText {
        JsonText::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn message(meta: Option<&str>, data: &str) -> Publication {
        Draft::new(Channel::new("room").unwrap(), Payload::json(json(data)))
            .publisher(ClientId::new("ann").unwrap())
            .meta(meta.map(json))
            .at(Position::default())
    }

    fn wants(filter: &str) -> bool {
        let meta = r#"{"priority":"high","n":5,"f":-1.5,"ok":true,"user":{"role":"admin"},"tags":["a","b",3],
            "lang":"EN-gb","null":null}"#;
        let publication = message(Some(meta), r#"{"text":"hello world","list":[{"x":1}]}"#);
        Filter::parse(filter).unwrap().wants(&publication)
    }

    #[test]
    fn comparisons() {
        for filter in [
            "priority == 'high'",
            "meta.priority == \"high\"",
            "priority != 'low'",
            "n == 5",
            "n >= 5 && n <= 5.0",
            "n > 4 and n < 6",
            "f < 0",
            "f == -1.5",
            "ok == true",
            "ok",
            "!(n == 6)",
            "meta.user[\"role\"] == 'admin'",
            "meta.user.role == 'admin'",
            "user['role'] == 'admin'",
            "meta.tags[0] == 'a'",
            "data.text == 'hello world'",
            "data.list[0].x == 1",
            "uuid == 'ann'",
            "uuid != 'bob'",
            "'high' == priority",
        ] {
            assert!(wants(filter), "{filter}");
        }
        for filter in [
            "priority == 'low'",
            "n == '5'",
            "n > 5",
            "!ok",
            "priority == 'HIGH'",
            "uuid == 'bob'",
            "data.text == meta.text",
        ] {
            assert!(!wants(filter), "{filter}");
        }
    }

    #[test]
    fn patterns_and_membership() {
        for filter in [
            "lang LIKE 'en*'",
            "lang like '%GB'",
            "lang LIKE 'en-gb'",
            "lang LIKE '*'",
            "data.text LIKE 'h*l*d'",
            "data.text CONTAINS 'lo wo'",
            "tags contains 'b'",
            "tags CONTAINS 3",
        ] {
            assert!(wants(filter), "{filter}");
        }
        for filter in [
            "lang LIKE 'en'",
            "lang LIKE 'de*'",
            "n LIKE '5'",
            "data.text LIKE 'hello*hello'",
            "tags CONTAINS '3'",
            "data.text CONTAINS 'Lo'",
        ] {
            assert!(!wants(filter), "{filter}");
        }
    }

    #[test]
    fn precedence() {
        for filter in [
            "n == 1 && n == 1 || n == 5",
            "n == 5 || n == 1 && n == 2",
            "!(n == 1) && n == 5",
            "n + 2 * 3 == 11",
            "(n + 2) * 2 == 14",
            "n % 2 == 1",
            "10 / n == 2",
            "n - 1 - 1 == 3",
            "! ! ok",
            "-n == -5",
            "NOT_A_FIELD != 1",
        ] {
            assert!(wants(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_not_there_differs_from_everything() {
        let publication = message(None, "\"text\"");
        let wants = |filter| Filter::parse(filter).unwrap().wants(&publication);
        assert!(wants("x != 1"));
        assert!(wants("meta.x.y != 'a'"));
        assert!(!wants("x == 1"));
        assert!(!wants("x < 1 || x >= 1 || x LIKE '*' || x CONTAINS ''"));
        assert!(!wants("x == y"));
        assert!(wants("data == 'text'"));
        assert!(!wants("1 / 0 == 1"));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let deep = "(".repeat(500) + "1==1" + &")".repeat(500);
        let long = "a == 'x' || ".repeat(400) + "a == 'x'";
        for bad in [
            "",
            " ",
            "==",
            "a ==",
            "a == 'x",
            "a = 1",
            "a == 1)",
            "(a == 1",
            "a b",
            "a & b",
            "1 2",
            "a[",
            "a[x]",
            "a.",
            "a..b",
            "&& a",
            "a == 1 == 1",
            "a == §",
            "'\\",
            &deep,
            &long,
            "1e999 == 1",
            "LIKE 'a'",
        ] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Whatever comes, there is an answer.
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,60}", words in prop::collection::vec(
            prop::sample::select(vec!["a", "meta", ".", "[", "]", "'x'", "\"y\"", "0", "1.5", "(", ")", "==", "!=",
                "<", "LIKE", "CONTAINS", "&&", "||", "!", "+", "-", "*", "/", "%", "uuid", "data", "true"]), 0..20))
        {
            let publication = message(Some(r#"{"a":{"x":[1,"y"]}}"#), "[1,2]");
            for text in [text, words.join(" ")] {
                if let Ok(filter) = Filter::parse(&text) {
                    filter.wants(&publication);
                }
            }
        }

        /// Brackets around a part of an expression that is one change nothing.
        #[test]
        fn brackets_change_nothing(n in 0..10i32, m in 0..10i32, word in "[a-z]{0,3}") {
            let publication = message(Some(&format!(r#"{{"n":{n},"w":"{word}"}}"#)), "1");
            let plain = format!("n > {m} && w LIKE '*a*' || n == {m}");
            let bracketed = format!("((n) > ({m}) && (w LIKE '*a*')) || ((n == {m}))");
            let wants = |text: &str| Filter::parse(text).unwrap().wants(&publication);
            prop_assert_eq!(wants(&plain), wants(&bracketed));
            prop_assert_eq!(wants(&plain), (n > m && word.contains('a')) || n == m);
        }
    }
}
