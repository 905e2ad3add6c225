//! One descriptor kept in reserve, for the moment in which there are no others.
//!
//! A connection that cannot be accepted for want of a descriptor stays in the kernel's queue, where its client waits
//! without an answer. With the one in reserve it is taken and closed: its client knows, and may come back.

use std::{fs::File, io};

use parking_lot::Mutex;

/// A descriptor that is given up to accept and close what cannot be served.
#[derive(Debug)]
pub(crate) struct ReserveDescriptor(Mutex<Option<File>>);

impl ReserveDescriptor {
    /// Takes one, if there is one left.
    pub(crate) fn take() -> Self {
        Self(Mutex::new(open()))
    }

    /// Gives the descriptor up, lets `turn_away` use it, and takes it back. False when there was none in reserve.
    pub(crate) fn lend(&self, turn_away: impl FnOnce()) -> bool {
        let mut reserve = self.0.lock();
        let was_there = reserve.take().is_some();
        if was_there {
            turn_away();
        }
        *reserve = open();
        was_there
    }
}

fn open() -> Option<File> {
    if cfg!(unix) {
        File::open("/dev/null").ok()
    } else {
        None
    }
}

/// True when there are no descriptors left, for this process or for the whole system (`EMFILE`, `ENFILE`).
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_taken_back() {
        let reserve = ReserveDescriptor::take();
        for _ in 0..3 {
            assert!(reserve.lend(|| drop(File::open("/dev/null").unwrap())));
        }
        assert!(is_out_of_descriptors(&io::Error::from_raw_os_error(24)));
        assert!(!is_out_of_descriptors(&io::Error::from_raw_os_error(103)));
    }
}
