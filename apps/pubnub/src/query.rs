//! The query string of a request, split once.

use std::borrow::Cow;

use memchr::memchr;

use crate::text::decode;

/// Parameters that the SDKs send with a poll, about.
const USUAL: usize = 12;

/// The query string of a request: its parameters, still percent-encoded.
#[derive(Debug, Default)]
pub(crate) struct Query<'q>(Vec<(&'q str, &'q str)>);

impl<'q> Query<'q> {
    pub(crate) fn parse(text: &'q str) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let mut pairs = Vec::with_capacity(USUAL);
        let mut rest = text;
        loop {
            let end = memchr(b'&', rest.as_bytes());
            let pair = &rest[..end.unwrap_or(rest.len())];
            if !pair.is_empty() {
                pairs.push(match memchr(b'=', pair.as_bytes()) {
                    Some(middle) => (&pair[..middle], &pair[middle + 1..]),
                    None => (pair, ""),
                });
            }
            match end {
                Some(end) => rest = &rest[end + 1..],
                None => return Self(pairs),
            }
        }
    }

    /// All parameters in their order, as they came.
    pub(crate) fn pairs(&self) -> &[(&'q str, &'q str)] {
        &self.0
    }

    /// The value of a parameter, decoded; the first one counts. Outer none: it is not UTF-8.
    pub(crate) fn get(&self, name: &str) -> Option<Option<Cow<'q, str>>> {
        match self.0.iter().find(|(found, _)| *found == name) {
            Some((_, value)) => decode(value).map(Some),
            None => Some(None),
        }
    }

    /// True for a parameter that says yes.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name).flatten().as_deref(), Some("true" | "1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_repeated_parameters_counts() {
        let query = Query::parse("a=1&tt&b=x%2Cy&a=2&c=%FF");
        let value = |name| query.get(name).map(|value| value.map(Cow::into_owned));
        assert_eq!(value("a"), Some(Some("1".into())));
        assert_eq!(value("tt"), Some(Some(String::new())));
        assert_eq!(value("b"), Some(Some("x,y".into())));
        assert_eq!(value("d"), Some(None));
        assert_eq!(value("t"), Some(None));
        assert_eq!(value("c"), None);
    }

    #[test]
    fn empty_pairs_are_none() {
        let query = Query::parse("&a=b=c&&d=&");
        assert_eq!(query.pairs(), [("a", "b=c"), ("d", "")]);
        assert!(Query::parse("").pairs().is_empty());
    }
}
