//! Secrets that give nothing away.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A secret that is compared in constant time and never shown.
///
/// Only its hash is kept: the comparison is then between texts of equal length, so that neither where
/// two secrets differ nor how long the right one is can be measured.
#[derive(Clone)]
pub(crate) struct Secret {
    hash: [u8; 32],
}

impl Secret {
    pub(crate) fn new(secret: &str) -> Self {
        Self {
            hash: hash(secret.as_bytes()),
        }
    }

    /// True when `shown` is the secret. Nothing at all is never the secret.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        let equal = bool::from(hash(shown).ct_eq(&self.hash));
        equal && !shown.is_empty()
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_is_the_secret() {
        let secret = Secret::new("bruce_wayne");
        assert!(secret.is(b"bruce_wayne"));
        for wrong in ["", "bruce_wayn", "bruce_waynee", "Bruce_wayne"] {
            assert!(!secret.is(wrong.as_bytes()), "{wrong}");
        }
        assert!(!Secret::new("").is(b""), "an empty secret lets nobody in");
        assert_eq!(format!("{secret:?}"), "***");
    }
}
