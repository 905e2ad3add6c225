//! Cryptography: one provider in the whole program, for TLS and for JSON Web Tokens.
//!
//! It is [ring](https://docs.rs/ring), which builds in some twenty seconds where the C code of aws-lc takes three minutes and
//! more; it is not validated for FIPS 140, and has no post-quantum key exchange. A program that needs them installs
//! another provider of rustls first, and keeps it.

mod jwt;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// Makes the provider known to the libraries that look for the one of the process: rustls, and with it reqwest and
/// redis, and jsonwebtoken. Whoever has chosen one before keeps it. Call it before a client with TLS is made or a
/// token is signed or verified; more than once does nothing.
pub fn install() {
    // An error only says that the program has chosen a provider already, which is as good.
    let _ = ring::default_provider().install_default();
    let _ = jwt::PROVIDER.install_default();
}

/// The provider for TLS: the one that the program has installed, else ring. Nothing is installed.
pub fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(ring::default_provider()))
}
