//! kn-sock: JSON lines. A subscription is not answered; the first message shows that it holds.

use std::io::Write;

use super::{Opening, Protocol, channel};

pub(super) struct KnSock;

impl Protocol for KnSock {
    fn name(&self) -> &'static str {
        "knsock"
    }

    fn open(&self, opening: &mut Opening, out: &mut Vec<u8>) -> Result<bool, String> {
        if opening.is_subscriber() {
            let topic = channel(opening.client.channel);
            // Writing to a Vec cannot fail.
            let _ = writeln!(out, r#"{{"action":"subscribe","topic":"{topic}"}}"#);
        }
        Ok(true)
    }

    fn publish(&self, number: usize, text: &str, out: &mut Vec<u8>) {
        let topic = channel(number);
        let _ = writeln!(
            out,
            r#"{{"action":"publish","topic":"{topic}","message":"{text}"}}"#
        );
    }
}
