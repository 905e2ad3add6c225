//! What was published.

use std::collections::HashMap;

use super::{Answer, Event, Violation, What};

/// A message, from its publisher's side.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) publisher: usize,
    pub(super) channel: &'a str,
    pub(super) sent: u64,
    pub(super) answered: Option<(u64, Answer)>,
}

impl Message<'_> {
    /// When it was acknowledged, if it was.
    pub(super) fn acknowledged(&self) -> Option<u64> {
        match self.answered {
            Some((at, Answer::Acknowledged)) => Some(at),
            _ => None,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self.answered, Some((_, Answer::Refused)))
    }
}

/// All messages of a log by their payloads.
pub(super) type Messages<'a> = HashMap<&'a str, Message<'a>>;

pub(super) fn messages<'a>(events: &'a [Event], violations: &mut Vec<Violation>) -> Messages<'a> {
    let mut messages = Messages::new();
    for Event { at, what } in events {
        match what {
            What::Sent {
                publisher,
                channel,
                payload,
            } => {
                let message = Message {
                    publisher: *publisher,
                    channel,
                    sent: *at,
                    answered: None,
                };
                if messages.insert(payload, message).is_some() {
                    violations.push(Violation::Ambiguous {
                        payload: payload.clone(),
                    });
                }
            }
            What::Answered { payload, answer } => {
                if let Some(message) = messages.get_mut(payload.as_str()) {
                    message.answered.get_or_insert((*at, *answer));
                }
            }
            _ => {}
        }
    }
    messages
}
