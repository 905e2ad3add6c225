//! The heartbeat of a connection: what the node publishes to itself, by the way that all publications take.
//!
//! A server answers PUBLISH after it has written what was published to this connection. A beat that was answered and has
//! not come is lost, and where two are, others may be: the link is deaf.

/// Beats in a row that are lost on a deaf link.
const LOST_MAX: u32 = 2;

/// The beats of one connection.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    sent: u64,
    answered: u64,
    heard: u64,
    lost: u32,
}

impl Heartbeat {
    /// The number of the next beat.
    pub(super) fn beat(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// The server has taken the last beat.
    pub(super) fn answered(&mut self) {
        self.answered = self.sent;
    }

    /// A beat has come.
    pub(super) fn heard(&mut self, number: u64) {
        self.heard = self.heard.max(number);
    }

    /// True when one has come: the link delivers.
    pub(super) fn is_heard(&self) -> bool {
        self.heard > 0
    }

    /// Looks whether what was answered has come, once between two beats; true for a deaf link.
    pub(super) fn is_deaf(&mut self) -> bool {
        if self.heard < self.answered {
            self.lost += 1;
        } else {
            self.lost = 0;
        }
        self.lost >= LOST_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_loses_two_beats_is_deaf() {
        let mut heartbeat = Heartbeat::default();
        assert!(!heartbeat.is_heard() && !heartbeat.is_deaf());
        for lost in [false, true, false, true, true] {
            let number = heartbeat.beat();
            // A server that is slow is not deaf.
            assert!(!heartbeat.is_deaf() || lost);
            heartbeat.answered();
            if !lost {
                heartbeat.heard(number);
                assert!(heartbeat.is_heard());
            }
        }
        assert!(heartbeat.is_deaf());
    }
}
