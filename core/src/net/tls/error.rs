//! Mistakes in the files of a certificate.

use std::{io, path::PathBuf};

/// What is wrong with the files of a certificate. The text names the file and is for the person who put it
/// there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate's file cannot be read.
    #[error("cannot read the certificate {}: {error}", path.display())]
    CertificateUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The key's file cannot be read.
    #[error("cannot read the key {}: {error}", path.display())]
    KeyUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is no certificate in the file, or it is not PEM.
    #[error(
        "{} is not a certificate in PEM, which has lines -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----",
        path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no key in the file, or it is not PEM.
    #[error(
        "{} is not a private key in PEM, which has lines -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that cannot sign.
    #[error("the key {} cannot be used: {error}; use RSA, ECDSA or Ed25519", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        error: rustls::Error,
    },
    /// The certificate is not one.
    #[error("the certificate {} cannot be used: {error}", path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        error: rustls::Error,
    },
    /// The key is another certificate's.
    #[error(
        "the key {} does not belong to the certificate {}: both must come from the same request",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

impl TlsError {
    /// True when it is the key that must be looked at, and not the certificate.
    pub fn is_about_the_key(&self) -> bool {
        matches!(
            self,
            Self::KeyUnreadable { .. }
                | Self::NoKey { .. }
                | Self::BadKey { .. }
                | Self::Mismatch { .. }
        )
    }
}
