//! Topics of Emitter clients: a key, a channel and options.

use super::keys::Pattern;

/// A topic: `key/channel/?options`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Topic<'t> {
    pub(crate) key: &'t str,
    /// `key/$share/group/channel/`: one of the group gets each message.
    pub(crate) group: Option<&'t str>,
    pub(crate) path: Path<'t>,
    pub(crate) options: Options,
}

/// A text that is no topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadTopic;

/// A channel without its last slash: the name that all protocols know it by. A filter may have levels `+`, and is
/// empty where it is for everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path<'t> {
    text: &'t str,
    /// It was written with `#`, which says the same in a filter.
    has_rest: bool,
}

/// What stands behind the question mark, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) ttl: Option<u64>,
    pub(crate) last: Option<u64>,
    pub(crate) from: Option<u64>,
    pub(crate) until: Option<u64>,
    me: Option<u64>,
}

/// What a client publishes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address<'t> {
    Link(&'t str),
    Request(&'t str),
    Channel(Topic<'t>),
}

impl<'t> Address<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, BadTopic> {
        if text.len() <= 2 {
            return Ok(Self::Link(text));
        }
        if let Some(name) = text.strip_prefix(REQUESTS) {
            return Ok(Self::Request(name.strip_suffix('/').unwrap_or(name)));
        }
        Topic::parse(text).map(Self::Channel)
    }
}

/// What the topics of requests and their answers begin with.
pub(crate) const REQUESTS: &str = "emitter/";

/// True for what has the form of an Emitter topic, and hardly that of another: a slash or options at its end.
pub(crate) fn has_form(text: &str) -> bool {
    if text.starts_with(REQUESTS) {
        return true;
    }
    let (path, has_options) = match text.split_once('?') {
        Some((path, _)) => (path, true),
        None => (text, false),
    };
    let Some(levels) = path.strip_suffix('/') else {
        return false;
    };
    let (key, channel) = levels.split_once('/').unwrap_or((levels, ""));
    !key.is_empty() && (!channel.is_empty() || has_options)
}

impl<'t> Topic<'t> {
    /// Reads the topic of a message, or a filter.
    pub(crate) fn parse(text: &'t str) -> Result<Self, BadTopic> {
        let (key, rest) = text.split_once('/').ok_or(BadTopic)?;
        if key.is_empty() {
            return Err(BadTopic);
        }
        let (group, rest) = match rest.strip_prefix("$share/") {
            Some(rest) => {
                let (group, rest) = rest.split_once('/').ok_or(BadTopic)?;
                (Some(Path::safe(group)?), rest)
            }
            None => (None, rest),
        };
        let (channel, options) = rest.split_once('?').unwrap_or((rest, ""));
        Ok(Self {
            key,
            group,
            path: Path::parse(channel)?,
            options: Options::parse(options)?,
        })
    }
}

impl<'t> Path<'t> {
    /// Reads a channel with its last slash, which may only be missing behind `#`.
    pub(crate) fn parse(text: &'t str) -> Result<Self, BadTopic> {
        let (levels, has_rest) = match text.strip_suffix('/').unwrap_or(text).strip_suffix('#') {
            Some("") => ("", true),
            Some(above) => (above.strip_suffix('/').ok_or(BadTopic)?, true),
            None => (text.strip_suffix('/').ok_or(BadTopic)?, false),
        };
        if !levels.is_empty() || !has_rest {
            let is_level = |level: &str| level == "+" || Pattern::is_level(level);
            if !levels.split('/').all(is_level) {
                return Err(BadTopic);
            }
        }
        Ok(Self {
            text: levels,
            has_rest,
        })
    }

    fn safe(level: &'t str) -> Result<&'t str, BadTopic> {
        if Pattern::is_level(level) {
            Ok(level)
        } else {
            Err(BadTopic)
        }
    }

    pub(crate) fn as_str(&self) -> &'t str {
        self.text
    }

    pub(crate) fn is_wild(&self) -> bool {
        self.has_rest || has_wildcard(self.text)
    }
}

/// True when a level of a path is a wildcard.
pub(crate) fn has_wildcard(path: &str) -> bool {
    path.split('/').any(|level| level == "+")
}

impl Options {
    fn parse(text: &str) -> Result<Self, BadTopic> {
        let mut options = Self::default();
        // SDKs write an empty list, and one with `&` at its end.
        let text = text.strip_suffix('&').unwrap_or(text);
        if text.is_empty() {
            return Ok(options);
        }
        for option in text.split('&') {
            let (name, value) = option.split_once('=').ok_or(BadTopic)?;
            let is_word = |word: &str| {
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
            };
            if !is_word(name) || !is_word(value) {
                return Err(BadTopic);
            }
            // What is no number counts as if it were not there.
            let value = value.parse().ok();
            match name {
                "ttl" => options.ttl = value,
                "last" => options.last = value,
                "from" => options.from = value,
                "until" => options.until = value,
                "me" => options.me = value,
                _ => {}
            }
        }
        Ok(options)
    }

    /// False when a publisher does not want its own message.
    pub(crate) fn wants_echo(&self) -> bool {
        self.me != Some(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Result<(&str, bool), BadTopic> {
        Topic::parse(text).map(|topic| (topic.path.as_str(), topic.path.is_wild()))
    }

    #[test]
    fn channels_have_a_last_slash_and_safe_levels() {
        assert_eq!(path("k/a/b/"), Ok(("a/b", false)));
        assert_eq!(path("k/a-.:_$[\\]^`9/"), Ok(("a-.:_$[\\]^`9", false)));
        assert_eq!(path("k/a/+/c/"), Ok(("a/+/c", true)));
        for filter in ["k/a/#", "k/a/#/"] {
            assert_eq!(path(filter), Ok(("a", true)));
        }
        for everything in ["k/#", "k/#/"] {
            assert_eq!(path(everything), Ok(("", true)));
        }
        for wrong in [
            "k",
            "k/",
            "k/a",
            "/a/",
            "k//",
            "k/a//b/",
            "k/a b/",
            "k/a,b/",
            "k/a%/",
            "k/\u{e9}/",
            "k/a+/",
            "k/a#/",
            "k/#/a/",
            "k/a/?x",
            "k/a/?ttl=",
            "k/a/?ttl=-1",
            "k/a/?=1",
            "k/a?ttl=1",
            "k/a/?a=1&&b=1",
            "k/$share/g",
            "k/$share/g/",
            "k/$share/+/a/",
            "k/?",
        ] {
            assert_eq!(path(wrong), Err(BadTopic), "{wrong}");
        }
    }

    #[test]
    fn options_are_words_and_numbers() {
        let options = |text: &'static str| Topic::parse(text).unwrap().options;
        let known = options("k/a/?ttl=60&last=3&from=1&until=2&me=0&other=x");
        let numbers = (known.ttl, known.last, known.from, known.until);
        assert_eq!(numbers, (Some(60), Some(3), Some(1), Some(2)));
        assert!(!known.wants_echo() && options("k/a/?me=1").wants_echo());
        assert_eq!(options("k/a/?"), Options::default());
        assert_eq!(options("k/a/?ttl=5&").ttl, Some(5));
        assert_eq!(options("k/a/?ttl=five"), Options::default());
    }

    #[test]
    fn addresses_are_links_requests_or_channels() {
        assert_eq!(Address::parse("a0"), Ok(Address::Link("a0")));
        assert_eq!(Address::parse("emitter/me/"), Ok(Address::Request("me")));
        let shared = Topic::parse("k/$share/g/a/").unwrap();
        assert_eq!((shared.group, shared.path.as_str()), (Some("g"), "a"));
    }

    #[test]
    fn what_has_the_form_of_an_emitter_topic() {
        for emitter in [
            "k/a/",
            "k/a/?",
            "k/a/?last=1",
            "emitter/keygen",
            "k/#/",
            "k/a b/",
        ] {
            assert!(has_form(emitter), "{emitter}");
        }
        for plain in [
            "a",
            "a/b",
            "/a/b/",
            "a/",
            "a/#",
            "#",
            "+/+",
            "",
            "a/b?c",
            "$share/g/a",
        ] {
            assert!(!has_form(plain), "{plain}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_topic_or_not(text in "\\PC*", near in "[ka/+#?=&0$shre]{0,30}") {
            for text in [text, near] {
                let _ = has_form(&text);
                if let Ok(Address::Channel(topic)) = Address::parse(&text) {
                    let path = topic.path.as_str();
                    prop_assert!(!path.starts_with('/') && !path.ends_with('/') && !path.contains("//"));
                    prop_assert!(!path.is_empty() || topic.path.is_wild());
                }
            }
        }
    }
}
