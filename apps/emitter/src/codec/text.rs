//! Texts as MQTT carries them (MQTT 5.0 section 1.5.4).

/// Bytes of a text: its length is written in two.
pub(crate) const TEXT_BYTES_MAX: usize = u16::MAX as usize;

/// True for a text that every client takes. Control characters and what Unicode calls non-characters are not among them:
/// a client may end its connection for one, and some do.
pub(crate) fn is_text(text: &str) -> bool {
    // Without a branch for each byte, so that many are looked at at once.
    let has_control = text
        .bytes()
        .fold(false, |any, byte| any | (byte < b' ') | (byte == 0x7f));
    text.len() <= TEXT_BYTES_MAX && !has_control && (text.is_ascii() || !text.contains(is_refused))
}

fn is_refused(character: char) -> bool {
    let code = u32::from(character);
    character.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// True for a topic that can be published to.
pub(crate) fn is_topic(text: &str) -> bool {
    !text.is_empty() && !text.contains(['+', '#']) && is_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_may_refuse_is_no_text() {
        let long = "x".repeat(TEXT_BYTES_MAX);
        for text in ["", "a/b", "\u{e9}\u{1f600}", "\u{fdcf}\u{fffd}", &long] {
            assert!(is_text(text), "{text:?}");
        }
        let too_long = "x".repeat(TEXT_BYTES_MAX + 1);
        for text in [
            "a\0",
            "\n",
            "\u{7f}",
            "\u{80}",
            "\u{9f}",
            "\u{fdd0}",
            "\u{ffff}",
            "\u{1fffe}",
            &too_long,
        ] {
            assert!(!is_text(text), "{text:?}");
            assert!(!is_topic(text), "{text:?}");
        }
        for topic in ["", "a/+", "#"] {
            assert!(!is_topic(topic), "{topic:?}");
        }
    }
}
