//! The check of passwords, which is costly on purpose: a few at once, and not again for a while after one was right.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::hash::PasswordHash;

/// Right passwords that are remembered, at most.
const REMEMBERED_MAX: usize = 10_000;

/// How long a check waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Checks passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
    remember: Duration,
    /// So that what is remembered is of use to nobody who sees it elsewhere.
    seed: [u8; 32],
}

/// There are more passwords to check than can be.
#[derive(Debug, thiserror::Error)]
#[error("too many passwords wait to be checked")]
pub(crate) struct Busy;

impl Passwords {
    pub(crate) fn new(at_once: usize, remember: Duration) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))),
            remembered: Mutex::default(),
            remember,
            seed: rand::random(),
        }
    }

    /// True when `hash` is that of `password`.
    ///
    /// # Errors
    /// When its turn does not come.
    ///
    /// # Cancel safety
    /// A dropped check goes on to its end, and keeps its turn so long.
    pub(crate) async fn check(&self, hash: &PasswordHash, password: &str) -> Result<bool, Busy> {
        let name = self.name(hash, password);
        if self.is_remembered(&name) {
            return Ok(true);
        }
        let turn = tokio::time::timeout(WAIT_MAX, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Busy);
        };
        // Somebody else may have shown the same meanwhile.
        if self.is_remembered(&name) {
            return Ok(true);
        }
        let (hash, password) = (hash.clone(), password.to_owned());
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            hash.is_of(&password)
        });
        let is_right = checked.await.map_err(|_| Busy)?;
        if is_right {
            self.remember(name);
        }
        Ok(is_right)
    }

    /// What a right password is remembered by. With another hash it is another one.
    fn name(&self, hash: &PasswordHash, password: &str) -> [u8; 32] {
        let hash = hash.text();
        let mut digest = Sha256::new_with_prefix(self.seed);
        digest.update((hash.len() as u64).to_be_bytes());
        digest.update(hash);
        digest.update(password);
        digest.finalize().into()
    }

    fn is_remembered(&self, name: &[u8; 32]) -> bool {
        let remembered = self.remembered.lock();
        let at = remembered.get(name);
        at.is_some_and(|at| at.elapsed() < self.remember)
    }

    fn remember(&self, name: [u8; 32]) {
        if self.remember.is_zero() {
            return;
        }
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, at| at.elapsed() < self.remember);
        }
        if remembered.len() >= REMEMBERED_MAX
            && let Some(any) = remembered.keys().next().copied()
        {
            remembered.remove(&any);
        }
        remembered.insert(name, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::settings::Secret;

    use super::*;
    use crate::roles::samples::HASH;

    fn hash() -> PasswordHash {
        PasswordHash::parse(Some(&Secret::new(HASH))).unwrap()
    }

    #[tokio::test]
    async fn a_right_password_is_remembered_and_a_wrong_one_is_not() {
        let passwords = Passwords::new(1, Duration::from_secs(60));
        let count = || passwords.remembered.lock().len();
        assert!(!passwords.check(&hash(), "hunter3").await.unwrap());
        assert_eq!(count(), 0);
        assert!(passwords.check(&hash(), "hunter2").await.unwrap());
        assert_eq!(count(), 1);
        // No turn is needed where it is remembered.
        let all = passwords.turns.clone().acquire_owned().await.unwrap();
        assert!(passwords.check(&hash(), "hunter2").await.unwrap());
        drop(all);
        let forgets = Passwords::new(1, Duration::ZERO);
        assert!(forgets.check(&hash(), "hunter2").await.unwrap());
        assert!(forgets.remembered.lock().is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_ends() {
        let passwords = Passwords::new(1, Duration::from_secs(60));
        for number in 0..REMEMBERED_MAX + 100 {
            let name = Sha256::digest(number.to_be_bytes()).into();
            passwords.remember(name);
            assert!(passwords.is_remembered(&name));
        }
        assert_eq!(passwords.remembered.lock().len(), REMEMBERED_MAX);
        let short = Passwords::new(1, Duration::from_nanos(1));
        short.remember([0; 32]);
        while short.is_remembered(&[0; 32]) {
            std::hint::spin_loop();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_does_not_wait_for_ever() {
        let passwords = Passwords::new(1, Duration::ZERO);
        let _all = passwords.turns.clone().acquire_owned().await.unwrap();
        assert!(passwords.check(&hash(), "hunter2").await.is_err());
    }
}
