//! Answers that count for a while.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;
use polywire_core::Identity;

/// The name of an answer: the digest of what was shown.
pub(crate) type Name = [u8; 32];

/// An answer: who it is, or that it is nobody.
pub(crate) type Known = Option<Identity>;

/// Answers that count for a while, so many at most.
#[derive(Debug)]
pub(crate) struct Cache {
    answers: Mutex<HashMap<Name, (Instant, Known)>>,
    life: Duration,
    entries_max: usize,
}

impl Cache {
    pub(crate) fn new(life: Duration, entries_max: usize) -> Self {
        Self {
            answers: Mutex::default(),
            life,
            entries_max,
        }
    }

    /// The answer to whoever shows this, while it counts.
    pub(crate) fn get(&self, name: &Name) -> Option<Known> {
        let answers = self.answers.lock();
        let (at, known) = answers.get(name)?;
        (at.elapsed() < self.life && !is_over(known)).then(|| known.clone())
    }

    pub(crate) fn put(&self, name: Name, known: Known) {
        if self.life.is_zero() || self.entries_max == 0 {
            return;
        }
        let mut answers = self.answers.lock();
        if answers.len() >= self.entries_max {
            answers.retain(|_, (at, known)| at.elapsed() < self.life && !is_over(known));
        }
        if answers.len() >= self.entries_max
            && let Some(any) = answers.keys().next().copied()
        {
            answers.remove(&any);
        }
        answers.insert(name, (Instant::now(), known));
    }
}

/// Who was known and is so no more is asked for again.
fn is_over(known: &Known) -> bool {
    let end = known.as_ref().and_then(|identity| identity.expires_at);
    end.is_some_and(|end| end <= SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_a_while() {
        let cache = Cache::new(Duration::from_secs(60), 10);
        assert_eq!(cache.get(&[0; 32]), None);
        cache.put([0; 32], None);
        assert_eq!(cache.get(&[0; 32]), Some(None));
        let ended = Identity {
            expires_at: Some(SystemTime::now()),
            ..Identity::default()
        };
        cache.put([1; 32], Some(ended));
        assert_eq!(cache.get(&[1; 32]), None);
        for number in 0..100 {
            cache.put([number; 32], None);
            assert_eq!(cache.get(&[number; 32]), Some(None));
        }
        assert_eq!(cache.answers.lock().len(), 10);
        let none = Cache::new(Duration::ZERO, 10);
        none.put([0; 32], None);
        assert_eq!(none.get(&[0; 32]), None);
        assert!(none.answers.lock().is_empty());
    }
}
