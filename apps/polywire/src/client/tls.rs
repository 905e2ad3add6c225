//! TLS, as a client.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use polywire_core::cryptography;

use super::ClientError;

/// Trusts the certificates in `ca`, or without it those that the system trusts.
pub(crate) fn config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, ClientError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let bad = |error| ClientError::Ca(path.to_owned(), error);
            for certificate in CertificateDer::pem_file_iter(path).map_err(bad)? {
                // What cannot be trusted with rustls is no certificate that vouches for others.
                let _ = roots.add(certificate.map_err(bad)?);
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(ClientError::NobodyTrusted(ca.map(Path::to_owned)));
    }
    with_roots(roots)
}

/// For clients that are built with TLS and do not use it.
pub(super) fn trusting_nobody() -> Result<Arc<ClientConfig>, ClientError> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, ClientError> {
    let config = ClientConfig::builder_with_provider(cryptography::provider())
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A connection that will check that its server is `host`, a name or an IP address.
pub(crate) fn connection(
    config: &Arc<ClientConfig>,
    host: &str,
) -> Result<ClientConnection, ClientError> {
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| ClientError::Name(host.to_owned()))?;
    ClientConnection::new(config.clone(), name).map_err(ClientError::Tls)
}
