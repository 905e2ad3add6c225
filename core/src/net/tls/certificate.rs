//! A certificate that can be replaced while it is in use.

use std::{fmt, fs, io, path::Path, sync::Arc, time::SystemTime};

use parking_lot::{Mutex, RwLock};
use rustls::{
    InconsistentKeys, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{
    TlsError, TlsOptions,
    alpn::{HTTP_1_1, HTTP_2, MQTT},
};
use crate::cryptography;

/// The certificate of an address, with its files: handshakes take what is there when they begin.
pub(crate) struct Certificate {
    options: TlsOptions,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    seen: Mutex<Seen>,
}

struct Current(RwLock<Arc<CertifiedKey>>);

/// What the files looked like.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
struct Looks([Option<(u64, SystemTime)>; 2]);

struct Seen {
    /// When they were last read.
    read: Looks,
    /// When they were last looked at.
    last: Looks,
}

impl Certificate {
    /// Reads the files.
    pub(crate) fn load(options: &TlsOptions) -> Result<Arc<Self>, TlsError> {
        // The program may have chosen one; nothing is installed here.
        let provider = cryptography::provider();
        // Looked at before they are read: a change in between is then seen as one.
        let looks = Looks::of(options);
        let key = read(options, &provider)?;
        Ok(Arc::new(Self {
            options: options.clone(),
            provider,
            current: Arc::new(Current(RwLock::new(Arc::new(key)))),
            seen: Mutex::new(Seen {
                read: looks,
                last: looks,
            }),
        }))
    }

    /// True when it comes from these files.
    pub(crate) fn is_of(&self, options: &TlsOptions) -> bool {
        self.options.certificate == options.certificate && self.options.key == options.key
    }

    /// The settings for connections with this certificate, of whichever version it is by then. `http`
    /// offers HTTP/2 and HTTP/1.1 to clients that ask what is spoken.
    pub(crate) fn server_config(&self, http: bool) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.current.clone());
        // Clients come back without a full handshake, and the server keeps nothing for that.
        config.ticketer = ring::Ticketer::new()?;
        if http {
            config.alpn_protocols = [HTTP_2, HTTP_1_1, MQTT].map(<[u8]>::to_vec).into();
        }
        Ok(Arc::new(config))
    }

    /// Reads the files again if they changed: when they look the same twice, since a certificate and its
    /// key are not written in one step, or `at_once`.
    pub(super) fn refresh(&self, at_once: bool) {
        let looks = Looks::of(&self.options);
        {
            let mut seen = self.seen.lock();
            let settled = seen.last == looks;
            seen.last = looks;
            if !at_once && (seen.read == looks || !settled) {
                return;
            }
            seen.read = looks;
        }
        let certificate = self.options.certificate.display();
        match read(&self.options, &self.provider) {
            Ok(key) => {
                *self.current.0.write() = Arc::new(key);
                tracing::info!(%certificate, "took the new certificate for new connections");
            }
            Err(error) => {
                tracing::error!("the new certificate is bad and the old one is kept: {error}");
            }
        }
    }
}

impl Looks {
    fn of(options: &TlsOptions) -> Self {
        Self([&options.certificate, &options.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        }))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.options.certificate.display())
    }
}

impl TlsOptions {
    /// Everything that is wrong with the files.
    pub fn problems(&self) -> Vec<TlsError> {
        let chain = read_chain(&self.certificate);
        let key = read_key(&self.key);
        match (chain, key) {
            (Ok(_), Ok(_)) => Certificate::load(self).err().into_iter().collect(),
            (chain, key) => chain.err().into_iter().chain(key.err()).collect(),
        }
    }
}

fn read(options: &TlsOptions, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = read_chain(&options.certificate)?;
    let key = read_key(&options.key)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| TlsError::BadKey {
            path: options.key.clone(),
            error,
        })?;
    let key = CertifiedKey::new(chain, key);
    match key.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(key),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
            certificate: options.certificate.clone(),
            key: options.key.clone(),
        }),
        Err(error) => Err(TlsError::BadCertificate {
            path: options.certificate.clone(),
            error,
        }),
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read_file(path).map_err(|error| TlsError::CertificateUnreadable {
        path: path.to_owned(),
        error,
    })?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(TlsError::NoCertificate {
            path: path.to_owned(),
        }),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read_file(path).map_err(|error| TlsError::KeyUnreadable {
        path: path.to_owned(),
        error,
    })?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NoKey {
        path: path.to_owned(),
    })
}

/// A wrong path may lead to a device or a log of any size.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    const BYTES_MAX: u64 = 1 << 20;
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if metadata.len() > BYTES_MAX {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        _folder: tempfile::TempDir,
        options: TlsOptions,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let options = TlsOptions::new(
                folder.path().join("cert.pem"),
                folder.path().join("key.pem"),
            );
            let files = Self {
                _folder: folder,
                options,
            };
            files.write(&pair());
            files
        }

        fn write(&self, (certificate, key): &(String, String)) {
            fs::write(&self.options.certificate, certificate).unwrap();
            fs::write(&self.options.key, key).unwrap();
        }
    }

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn der(certificate: &Certificate) -> Vec<u8> {
        certificate.current.0.read().cert[0].to_vec()
    }

    #[test]
    fn a_new_certificate_is_taken_and_a_bad_one_is_not() {
        let files = Files::new();
        let certificate = Certificate::load(&files.options).unwrap();
        let first = der(&certificate);
        certificate.refresh(true);
        assert_eq!(der(&certificate), first);

        files.write(&pair());
        certificate.refresh(true);
        let second = der(&certificate);
        assert_ne!(first, second);

        let (other, key) = pair();
        for (certificate_pem, key_pem) in [
            ("garbage".to_owned(), key.clone()),
            (other.clone(), "garbage".to_owned()),
            (other, pair().1),
            (String::new(), key),
        ] {
            files.write(&(certificate_pem, key_pem));
            certificate.refresh(true);
            assert_eq!(der(&certificate), second);
        }
        fs::remove_file(&files.options.key).unwrap();
        certificate.refresh(true);
        assert_eq!(der(&certificate), second);
    }

    #[test]
    fn files_that_still_change_are_left_alone() {
        let files = Files::new();
        let certificate = Certificate::load(&files.options).unwrap();
        let first = der(&certificate);
        let (mut new, key) = pair();
        // Another length is another look, whatever the clock of the file system.
        new.push('\n');
        files.write(&(new, key));
        certificate.refresh(false);
        assert_eq!(der(&certificate), first, "it may be half written");
        certificate.refresh(false);
        assert_ne!(der(&certificate), first);
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let files = Files::new();
        assert!(files.options.problems().is_empty());
        let (certificate, key) = pair();
        files.write(&(certificate.clone(), pair().1));
        let problems = files.options.problems();
        assert!(matches!(&problems[..], [TlsError::Mismatch { .. }]));

        files.write(&("garbage".into(), "garbage".into()));
        let problems = files.options.problems();
        assert!(matches!(
            &problems[..],
            [TlsError::NoCertificate { .. }, TlsError::NoKey { .. }]
        ));

        files.write(&(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
            key,
        ));
        let problems = files.options.problems();
        assert!(
            matches!(&problems[..], [TlsError::BadCertificate { .. }]),
            "{problems:?}"
        );

        files.write(&(
            certificate,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".into(),
        ));
        let problems = files.options.problems();
        assert!(matches!(&problems[..], [TlsError::BadKey { .. }]));

        let nowhere = TlsOptions::new("/nowhere/cert.pem", "/nowhere/key.pem");
        let problems = nowhere.problems();
        assert_eq!(problems.len(), 2);
        assert!(!problems[0].is_about_the_key() && problems[1].is_about_the_key());
        assert!(problems[0].to_string().contains("/nowhere/cert.pem"));
    }
}
