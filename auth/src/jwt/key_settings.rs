//! Settings of one key.

use std::path::PathBuf;

use polywire_core::settings::{Secret, text};
use serde::Deserialize;

/// `[[jwt.keys]]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct JwtKeySection")]
pub struct JwtKeySettings {
    /// The only algorithm that the key is for: `HS256`, `HS384`, `HS512`, `RS256`, `RS384`, `RS512`, `PS256`, `PS384`,
    /// `PS512`, `ES256`, `ES384` or `EdDSA`.
    #[serde(deserialize_with = "text")]
    pub algorithm: String,
    /// The `kid` of the tokens that it is for. Default none: it is tried for each of its algorithm.
    pub kid: Option<String>,
    /// The secret of an `HS` algorithm, of 32 bytes at least. Default none.
    pub secret: Option<Secret>,
    /// A file with that secret; a line end at its end is left out. Default none.
    pub secret_file: Option<PathBuf>,
    /// The public key of the other algorithms, in PEM (`BEGIN PUBLIC KEY`). Default none.
    pub public_key: Option<String>,
    /// A PEM file with that public key. Default none.
    pub public_key_file: Option<PathBuf>,
    /// A PEM file with the private key (`BEGIN PRIVATE KEY`): only `polywire token` reads it. Default none.
    pub private_key_file: Option<PathBuf>,
}
