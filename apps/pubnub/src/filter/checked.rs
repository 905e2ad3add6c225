//! A filter expression that was checked, and what it says of a message.

use std::sync::Arc;

use polywire_core::Publication;

use super::{
    evaluate::Evaluation,
    invalid::InvalidFilter,
    lexer,
    message::Message,
    parser,
    program::{self, Operation},
    turns::Turns,
    verdicts::Verdicts,
};

/// Bytes of an expression.
const BYTES_MAX: usize = 4096;

/// Steps that an evaluation takes at once, and those of each slice when it is longer. A slice takes about 0.1 ms.
const STEPS_AT_ONCE: usize = 16 << 10;
const STEPS_OF_SLICE: usize = 128 << 10;

/// Bytes of a message that is looked at at once.
const LENGTH_AT_ONCE: usize = 4 << 10;

/// A filter expression that was checked.
#[derive(Debug)]
pub(crate) struct Filter {
    program: Box<[Operation]>,
    verdicts: Verdicts,
    #[cfg(test)]
    evaluations: std::sync::atomic::AtomicUsize,
}

impl Filter {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidFilter> {
        if text.len() > BYTES_MAX {
            return Err(InvalidFilter::Syntax);
        }
        let tokens = lexer::tokens(text)?;
        let expression = parser::parse(&tokens)?;
        Ok(Self {
            program: program::compile(expression)?,
            verdicts: Verdicts::default(),
            #[cfg(test)]
            evaluations: Default::default(),
        })
    }

    /// True when a client with this filter wants the message that arrived with this order. It is found out once for all
    /// who share the filter. What takes long waits for its [turn](Turns) and gives way again and again.
    pub(crate) async fn wants(
        self: &Arc<Self>,
        order: u64,
        publication: &Publication,
        turns: &Turns,
    ) -> bool {
        if Arc::strong_count(self) == 1 {
            return self.evaluate(publication, turns).await;
        }
        let verdict = self.verdicts.on(order);
        let evaluate = || self.evaluate(publication, turns);
        *verdict.get_or_init(evaluate).await
    }

    /// What it says of a message, in slices of so many steps; and how many it took.
    pub(crate) fn decide(&self, publication: &Publication, slice: usize) -> (bool, usize) {
        let message = Message::new(publication);
        let mut evaluation = Evaluation::new(&self.program, &message);
        loop {
            if let Some(wants) = evaluation.go_on(slice) {
                return (wants, evaluation.steps());
            }
        }
    }

    async fn evaluate(&self, publication: &Publication, turns: &Turns) -> bool {
        #[cfg(test)]
        self.evaluations
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let message = Message::new(publication);
        let mut evaluation = Evaluation::new(&self.program, &message);
        // To parse a long message takes too long already.
        if message.len() <= LENGTH_AT_ONCE
            && let Some(wants) = evaluation.go_on(STEPS_AT_ONCE)
        {
            return wants;
        }
        let _turn = turns.take().await;
        loop {
            #[cfg(test)]
            let before = evaluation.steps();
            let wants = evaluation.go_on(STEPS_OF_SLICE);
            #[cfg(test)]
            turns.count(evaluation.steps() - before);
            // Also behind the last one: the next evaluation begins when others have had the thread.
            tokio::task::yield_now().await;
            if let Some(wants) = wants {
                return wants;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use polywire_core::{Channel, ClientId, Draft, JsonText, Payload, Position};
    use proptest::prelude::*;
    use std::sync::atomic::Ordering;

    fn json(text: &str) -> JsonText {
        JsonText::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn message(meta: Option<&str>, data: &str) -> Publication {
        Draft::new(Channel::new("room").unwrap(), Payload::json(json(data)))
            .publisher(ClientId::new("ann").unwrap())
            .meta(meta.map(json))
            .at(Position::default())
    }

    /// What a filter says, found at once.
    fn decide(filter: &Filter, publication: &Publication) -> bool {
        filter.decide(publication, usize::MAX).0
    }

    fn wants(filter: &str) -> bool {
        let meta = r#"{"priority":"high","n":5,"f":-1.5,"ok":true,"user":{"role":"admin"},"tags":["a","b",3],
            "lang":"EN-gb","null":null}"#;
        let publication = message(Some(meta), r#"{"text":"hello world","list":[{"x":1}]}"#);
        decide(&Filter::parse(filter).unwrap(), &publication)
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
        let wants = |filter| decide(&Filter::parse(filter).unwrap(), &publication);
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

    #[test]
    fn a_filter_that_looks_for_too_much_is_refused() {
        let likes = |count| {
            let likes: Vec<_> = (0..count).map(|n| format!("data.t LIKE '*{n}*'")).collect();
            likes.join("||")
        };
        assert!(Filter::parse(&likes(61)).is_ok());
        for dear in [
            likes(60).replace('*', "*a*b"),
            format!("data.t LIKE '{}'", "*a".repeat(300)),
            vec!["data.t LIKE data.p"; 17].join("||"),
        ] {
            assert_eq!(
                Filter::parse(&dear).unwrap_err(),
                InvalidFilter::TooDear,
                "{dear}"
            );
        }
    }

    /// 61 parts that look through all of a message of 28 KB, and which nobody else has.
    fn dear(number: usize) -> Arc<Filter> {
        let likes: Vec<_> = (0..61)
            .map(|n| format!("data.t LIKE '*{number}.{n}x*'"))
            .collect();
        Filter::parse(&likes.join("||")).unwrap().into()
    }

    fn long_message() -> Publication {
        message(None, &format!(r#"{{"t":"{}"}}"#, "aB1.".repeat(7 << 10)))
    }

    #[test]
    fn an_evaluation_pauses_after_bounded_work() {
        let (filter, publication) = (dear(0), long_message());
        let length = publication.payload.len();
        let message = Message::new(&publication);
        let mut evaluation = Evaluation::new(&filter.program, &message);
        let (mut slices, mut before) = (0, 0);
        let wants = loop {
            let ended = evaluation.go_on(STEPS_OF_SLICE);
            slices += 1;
            assert!(evaluation.steps() - before <= STEPS_OF_SLICE + 5 * length);
            before = evaluation.steps();
            if let Some(wants) = ended {
                break wants;
            }
        };
        assert!(!wants);
        // Parsed once, put into lower case once, and looked through 61 times.
        assert!((60 * length..80 * length).contains(&evaluation.steps()));
        assert!(slices > 10);
    }

    #[tokio::test]
    async fn polls_with_one_filter_find_out_once() {
        let (filter, publication) = (dear(0), Arc::new(long_message()));
        let turns = Arc::new(Turns::default());
        let mut polls = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let (filter, publication) = (filter.clone(), publication.clone());
            let turns = turns.clone();
            polls.spawn(async move { filter.wants(7, &publication, &turns).await });
        }
        assert_eq!(polls.join_all().await, [false; 200]);
        let evaluations = &filter.evaluations;
        assert_eq!(evaluations.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn others_wait_for_one_slice_however_many_filters_are_dear() {
        let publication = Arc::new(long_message());
        let turns = Arc::new(Turns::default());
        let mut polls = tokio::task::JoinSet::new();
        for number in 0..50 {
            let (publication, turns) = (publication.clone(), turns.clone());
            let filter = dear(number);
            polls.spawn(async move { filter.wants(7, &publication, &turns).await });
        }
        // What anybody else does: it is back when all who were ready have had their time.
        let canary = tokio::spawn({
            let turns = turns.clone();
            async move {
                let mut longest = 0;
                while Arc::strong_count(&turns) > 2 {
                    let before = turns.steps();
                    tokio::task::yield_now().await;
                    longest = longest.max(turns.steps() - before);
                }
                longest
            }
        });
        polls.join_all().await;
        let (longest, steps) = (canary.await.unwrap(), turns.steps());
        let length = publication.payload.len();
        assert!(steps > 50 * 60 * length);
        assert!(longest <= 2 * (STEPS_OF_SLICE + 5 * length), "{longest}");
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
                    decide(&filter, &publication);
                }
            }
        }

        /// Brackets around a part of an expression that is one change nothing.
        #[test]
        fn brackets_change_nothing(n in 0..10i32, m in 0..10i32, word in "[a-z]{0,3}") {
            let publication = message(Some(&format!(r#"{{"n":{n},"w":"{word}"}}"#)), "1");
            let plain = format!("n > {m} && w LIKE '*a*' || n == {m}");
            let bracketed = format!("((n) > ({m}) && (w LIKE '*a*')) || ((n == {m}))");
            let wants = |text: &str| decide(&Filter::parse(text).unwrap(), &publication);
            prop_assert_eq!(wants(&plain), wants(&bracketed));
            prop_assert_eq!(wants(&plain), (n > m && word.contains('a')) || n == m);
        }
    }
}
