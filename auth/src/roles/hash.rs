//! Hashes of passwords.

use argon2::{
    Argon2,
    password_hash::{self, PasswordHasher, PasswordVerifier, phc},
};
use polywire_core::settings::{Problem, Secret};

/// Bytes of a password, at most.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;

/// The hash of a password, to be put into a configuration (argon2id, RFC 9106).
///
/// It takes as long as a check of the password: some tens of milliseconds.
///
/// # Errors
/// When the password is too long, or there is no randomness.
pub fn hash_password(password: &str) -> Result<String, password_hash::Error> {
    let hash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// The hash of a password.
#[derive(Clone)]
pub(crate) struct PasswordHash(phc::PasswordHash);

impl PasswordHash {
    /// The hash that is written.
    pub(crate) fn parse(written: Option<&Secret>) -> Result<Self, Problem> {
        let wrong = |message: &str| Problem::new("password", message);
        let missing = "set it to what `polywire hash-password` prints";
        let written = written.ok_or_else(|| wrong(missing))?;
        let no_hash =
            "is no argon2 hash: write what `polywire hash-password` prints for the password";
        let hash = phc::PasswordHash::new(written.reveal()).map_err(|_| wrong(no_hash))?;
        if !hash.algorithm.as_str().starts_with("argon2") || hash.hash.is_none() {
            return Err(wrong(no_hash));
        }
        Ok(Self(hash))
    }

    /// The hash of no password, which takes as long to check as those that [`hash_password`] makes.
    pub(crate) fn nobodys() -> Self {
        const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$cG9seXdpcmUgbm9ib2R5$bm9ib2R5J3MgcGFzc3dvcmQgaGFzIG5vIGhhc2ghISE";
        let hash = phc::PasswordHash::new(NOBODYS).expect("it is a hash");
        Self(hash)
    }

    /// True for the password. It takes a core for some tens of milliseconds.
    pub(crate) fn is_of(&self, password: &str) -> bool {
        let verified = Argon2::default().verify_password(password.as_bytes(), &self.0);
        verified.is_ok()
    }

    /// The hash as it is written.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_password() {
        let written = hash_password("hunter2").unwrap();
        assert!(written.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(written, hash_password("hunter2").unwrap(), "salted");
        let hash = PasswordHash::parse(Some(&Secret::new(&written))).unwrap();
        assert!(hash.is_of("hunter2") && !hash.is_of("hunter3") && !hash.is_of(""));
        assert_eq!(hash.text(), written);
        assert_eq!(format!("{hash:?}"), "***");
    }

    #[test]
    fn what_is_no_hash_is_said_without_showing_it() {
        for written in [
            "hunter2",
            "",
            "$argon2id$",
            "$pbkdf2$i=1$c2FsdHNhbHQ$aGFzaA",
        ] {
            let problem = PasswordHash::parse(Some(&Secret::new(written))).unwrap_err();
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
        assert!(PasswordHash::parse(None).is_err());
        assert!(!PasswordHash::nobodys().is_of("") && !PasswordHash::nobodys().is_of("password"));
    }
}
