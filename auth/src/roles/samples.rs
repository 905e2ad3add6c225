//! Users and keys for tests.

use super::written::WrittenRoles;

/// Of the password `hunter2`.
pub(crate) const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$kkS+ximR7zbQ3UhfjBLYxA$r+ODeXycFf6847q68z4VsVkz+2djjuTYak6DCh8+z5Y";

/// What a file says.
pub(crate) fn written(text: &str) -> WrittenRoles {
    toml::from_str(text).unwrap()
}
