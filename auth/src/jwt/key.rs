//! Keys that verify tokens, each for one algorithm.

use std::fs;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use polywire_core::settings::Problem;
use spki::{DecodePublicKey, ObjectIdentifier, SubjectPublicKeyInfoOwned, der::Document};

use super::key_settings::JwtKeySettings;

/// Bytes of a secret, at least: as many as the digest of HS256 has (RFC 7518 section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// Bytes that the key of RSA has at least when it has 2048 bits.
pub(crate) const RSA_BYTES_MIN: usize = 256;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A key, with the only algorithm that it is for.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
}

impl Key {
    /// The key that is configured.
    pub(crate) fn from_settings(settings: &JwtKeySettings) -> Result<Self, Problem> {
        let algorithm = settings.algorithm()?;
        let decoding = if algorithm.family() == AlgorithmFamily::Hmac {
            DecodingKey::from_secret(settings.secret()?.as_bytes())
        } else {
            settings.public_key(algorithm)?
        };
        Ok(Self {
            kid: settings.kid.clone(),
            algorithm,
            decoding,
        })
    }
}

impl JwtKeySettings {
    pub(crate) fn algorithm(&self) -> Result<Algorithm, Problem> {
        let message = "use HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA";
        let algorithm = self.algorithm.parse();
        algorithm.map_err(|_| Problem::new("algorithm", message))
    }

    /// The secret of an HS algorithm.
    pub(crate) fn secret(&self) -> Result<String, Problem> {
        if self.public_key.is_some() || self.public_key_file.is_some() {
            let message = "HS algorithms have a secret and no public key: leave it out, or choose another algorithm";
            return Err(Problem::new("public_key", message));
        }
        let (setting, secret) = match (&self.secret, &self.secret_file) {
            (Some(secret), None) => ("secret", secret.reveal().to_owned()),
            (None, Some(file)) => {
                let unreadable = |error| {
                    let message = format!("{} cannot be read: {error}", file.display());
                    Problem::new("secret_file", message)
                };
                let text = fs::read_to_string(file).map_err(unreadable)?;
                ("secret_file", text.trim_end_matches(['\r', '\n']).into())
            }
            (None, None) => {
                let message = "HS algorithms need a secret: set it, or secret_file";
                return Err(Problem::new("secret", message));
            }
            (Some(_), Some(_)) => {
                let message = "secret is set too: leave one of the two out";
                return Err(Problem::new("secret_file", message));
            }
        };
        if secret.len() < SECRET_BYTES_MIN {
            let message = format!(
                "fewer than {SECRET_BYTES_MIN} bytes can be guessed: use random ones, as `openssl rand -hex 32` prints them"
            );
            return Err(Problem::new(setting, message));
        }
        Ok(secret)
    }

    fn public_key(&self, algorithm: Algorithm) -> Result<DecodingKey, Problem> {
        if self.secret.is_some() || self.secret_file.is_some() {
            let message =
                "only HS algorithms have a secret: use public_key, or choose another algorithm";
            return Err(Problem::new("secret", message));
        }
        let (setting, pem) = match (&self.public_key, &self.public_key_file) {
            (Some(pem), None) => ("public_key", pem.clone()),
            (None, Some(file)) => {
                let unreadable = |error| {
                    let message = format!("{} cannot be read: {error}", file.display());
                    Problem::new("public_key_file", message)
                };
                let text = fs::read_to_string(file).map_err(unreadable)?;
                ("public_key_file", text)
            }
            (None, None) => {
                let message = "this algorithm needs a public key: set it, or public_key_file";
                return Err(Problem::new("public_key", message));
            }
            (Some(_), Some(_)) => {
                let message = "public_key is set too: leave one of the two out";
                return Err(Problem::new("public_key_file", message));
            }
        };
        public_key(&pem, algorithm).map_err(|message| Problem::new(setting, message))
    }
}

/// A public key in PEM, for an algorithm.
fn public_key(pem: &str, algorithm: Algorithm) -> Result<DecodingKey, String> {
    let no_key = "holds no public key in PEM: write it as `openssl pkey -in KEY -pubout` prints it, from BEGIN PUBLIC KEY on";
    let document = Document::from_public_key_pem(pem.trim()).map_err(|_| no_key)?;
    let info: SubjectPublicKeyInfoOwned = document.decode_msg().map_err(|_| no_key)?;
    let curve = info.algorithm.parameters.as_ref();
    let curve = curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    let key = info.subject_public_key.raw_bytes();
    match (algorithm, info.algorithm.oid, curve) {
        (Algorithm::ES256, EC, Some(P256)) | (Algorithm::ES384, EC, Some(P384)) => {
            Ok(DecodingKey::from_ec_der(key))
        }
        (Algorithm::EdDSA, ED25519, _) => Ok(DecodingKey::from_ed_der(key)),
        (_, RSA, _) if algorithm.family() == AlgorithmFamily::Rsa => {
            if key.len() < RSA_BYTES_MIN {
                return Err("an RSA key needs 2048 bits at least".into());
            }
            Ok(DecodingKey::from_rsa_der(key))
        }
        _ => Err(format!("is no key for {algorithm:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::samples::{ALGORITHMS, KeyPair};

    #[test]
    fn a_key_is_for_its_algorithm_only() {
        for algorithm in ALGORITHMS {
            let pair = KeyPair::generate(algorithm);
            let mut settings = pair.settings();
            assert!(Key::from_settings(&settings).is_ok(), "{algorithm:?}");
            for other in ALGORITHMS {
                settings.algorithm = format!("{other:?}");
                let taken = Key::from_settings(&settings);
                let fits = match algorithm.family() {
                    AlgorithmFamily::Ec => other == algorithm,
                    family => other.family() == family,
                };
                assert_eq!(taken.is_ok(), fits, "{algorithm:?} as {other:?}");
                // The family is kept with the key, so that nothing takes it for a secret.
                let family = taken.map(|key| key.decoding.family());
                assert!(family.is_err() || family == Ok(algorithm.family()));
            }
        }
    }

    #[test]
    fn what_is_no_key_is_said() {
        let of = |algorithm: &str| JwtKeySettings {
            algorithm: algorithm.into(),
            ..JwtKeySettings::default()
        };
        let secret = |text: &str| Some(polywire_core::settings::Secret::new(text));
        let file = std::env::temp_dir().join("polywire-no-such-file");
        for (settings, named) in [
            (of(""), "algorithm"),
            (of("none"), "algorithm"),
            (of("HS256"), "secret"),
            (of("RS256"), "public_key"),
            (
                JwtKeySettings {
                    secret: secret(&"s".repeat(31)),
                    ..of("HS512")
                },
                "secret",
            ),
            (
                JwtKeySettings {
                    secret_file: Some(file.clone()),
                    ..of("HS256")
                },
                "secret_file",
            ),
            (
                JwtKeySettings {
                    secret: secret(&"s".repeat(40)),
                    ..of("ES256")
                },
                "secret",
            ),
            (
                JwtKeySettings {
                    public_key: Some("-----BEGIN PUBLIC KEY-----\nAAAA\n".into()),
                    ..of("ES256")
                },
                "public_key",
            ),
        ] {
            let problem = Key::from_settings(&settings).unwrap_err();
            assert_eq!(problem.setting, named, "{settings:?}");
            assert!(!problem.message.contains("sss"), "{problem}");
        }
    }
}
