//! The progress bar of commands that take time.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(200);

const BAR: usize = 30;

/// A bar on standard error, when that is a terminal.
pub(crate) struct Progress {
    shown: bool,
    next: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            shown: std::io::stderr().is_terminal(),
            next: Instant::now(),
        }
    }

    /// Draws `done` of `all` when it is time to.
    pub(crate) fn show(&mut self, what: &str, done: f64, all: f64) {
        if !self.shown || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + EVERY;
        let share = (done / all).clamp(0.0, 1.0);
        let full = (share * BAR as f64) as usize;
        let (bar, rest) = ("#".repeat(full), ".".repeat(BAR - full));
        let mut out = std::io::stderr().lock();
        // A bar that cannot be drawn is no reason to stop.
        let _ = write!(out, "\r{what:<12} [{bar}{rest}] {:3.0} %", share * 100.0);
        let _ = out.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
