//! JSON Web Tokens (RFC 7515, 7518): the algorithms of jsonwebtoken, done by ring.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    jwk::ThumbprintHash,
    signature::{self, Signer, Verifier},
};
use ring::{
    digest,
    error::KeyRejected,
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, RsaParameters,
        RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
    },
};

/// The provider.
pub(super) static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        let (algorithm, key) = (*algorithm, key.clone());
        let scheme = Scheme::of(algorithm, key.family())?;
        Ok(Box::new(KeySigner {
            algorithm,
            scheme,
            key,
        }))
    },
    verifier_factory: |algorithm, key| {
        let (algorithm, key) = (*algorithm, key.clone());
        let scheme = Scheme::of(algorithm, key.family())?;
        Ok(Box::new(KeyVerifier {
            algorithm,
            scheme,
            key,
        }))
    },
    // Keys are read from JWKs, never written as such.
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(ErrorKind::InvalidAlgorithm.into()),
        rsa_pub_components_from_public_key: |_| Err(ErrorKind::InvalidAlgorithm.into()),
        ec_pub_components_from_private_key: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
        ed_pub_components_from_private_key: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
        compute_digest: |data, hash| {
            let algorithm = match hash {
                ThumbprintHash::SHA256 => &digest::SHA256,
                ThumbprintHash::SHA384 => &digest::SHA384,
                ThumbprintHash::SHA512 => &digest::SHA512,
                _ => return Err(ErrorKind::InvalidAlgorithm.into()),
            };
            Ok(digest::digest(algorithm, data).as_ref().to_vec())
        },
    },
};

/// What an algorithm is made of.
enum Scheme {
    Hmac(hmac::Algorithm),
    Rsa(&'static dyn RsaEncoding, &'static RsaParameters),
    Ecdsa(
        &'static EcdsaSigningAlgorithm,
        &'static dyn VerificationAlgorithm,
    ),
    Ed25519,
}

impl Scheme {
    /// The scheme of an algorithm, for a key of this family: they must fit, else a public RSA key would do as a secret
    /// of HS256.
    fn of(algorithm: Algorithm, family: AlgorithmFamily) -> Result<Self, Error> {
        if algorithm.family() != family {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(match algorithm {
            Algorithm::HS256 => Self::Hmac(hmac::HMAC_SHA256),
            Algorithm::HS384 => Self::Hmac(hmac::HMAC_SHA384),
            Algorithm::HS512 => Self::Hmac(hmac::HMAC_SHA512),
            Algorithm::RS256 => Self::Rsa(&RSA_PKCS1_SHA256, &RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => Self::Rsa(&RSA_PKCS1_SHA384, &RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => Self::Rsa(&RSA_PKCS1_SHA512, &RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => Self::Rsa(&RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => Self::Rsa(&RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => Self::Rsa(&RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => {
                Self::Ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P256_SHA256_FIXED)
            }
            Algorithm::ES384 => {
                Self::Ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, &ECDSA_P384_SHA384_FIXED)
            }
            Algorithm::EdDSA => Self::Ed25519,
            _ => return Err(ErrorKind::InvalidAlgorithm.into()),
        })
    }
}

struct KeySigner {
    algorithm: Algorithm,
    scheme: Scheme,
    key: EncodingKey,
}

impl Signer<Vec<u8>> for KeySigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let (key, random) = (self.key.as_bytes(), SystemRandom::new());
        let refused = |_| signature::Error::new();
        match self.scheme {
            Scheme::Hmac(algorithm) => {
                let key = hmac::Key::new(algorithm, key);
                Ok(hmac::sign(&key, message).as_ref().to_vec())
            }
            Scheme::Rsa(encoding, _) => {
                // PKCS #8, or else PKCS #1.
                let pair = RsaKeyPair::from_pkcs8(key).or_else(|_| RsaKeyPair::from_der(key));
                let pair = pair.map_err(rejected)?;
                let mut signed = vec![0; pair.public().modulus_len()];
                let done = pair.sign(encoding, &random, message, &mut signed);
                done.map(|()| signed).map_err(refused)
            }
            Scheme::Ecdsa(algorithm, _) => {
                let pair = EcdsaKeyPair::from_pkcs8(algorithm, key, &random);
                let pair = pair.map_err(rejected)?;
                let signed = pair.sign(&random, message).map_err(refused)?;
                Ok(signed.as_ref().to_vec())
            }
            Scheme::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key);
                let pair = pair.map_err(rejected)?;
                Ok(pair.sign(message).as_ref().to_vec())
            }
        }
    }
}

impl JwtSigner for KeySigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn rejected(error: KeyRejected) -> signature::Error {
    signature::Error::from_source(error.to_string())
}

struct KeyVerifier {
    algorithm: Algorithm,
    scheme: Scheme,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for KeyVerifier {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (&self.scheme, self.key.kind()) {
            (Scheme::Hmac(algorithm), DecodingKeyKind::SecretOrDer(secret)) => {
                // In constant time.
                hmac::verify(&hmac::Key::new(*algorithm, secret), message, signed)
            }
            (Scheme::Rsa(_, parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signed)
            }
            (Scheme::Rsa(_, parameters), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(*parameters, key).verify(message, signed)
            }
            (Scheme::Ecdsa(_, algorithm), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(*algorithm, key).verify(message, signed)
            }
            (Scheme::Ed25519, DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signed)
            }
            _ => return Err(signature::Error::new()),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for KeyVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Header, Validation, decode, encode, get_current_timestamp};
    use ring::signature::KeyPair;
    use serde_json::{Value, json};

    use super::*;

    const RSA_KEY: &[u8] = include_bytes!("rsa_test_key.der");
    const RSA_PUBLIC_KEY: &[u8] = include_bytes!("rsa_test_public_key.der");

    fn keys(algorithm: Algorithm) -> (EncodingKey, DecodingKey) {
        let random = SystemRandom::new();
        match Scheme::of(algorithm, algorithm.family()).unwrap() {
            Scheme::Hmac(_) => (
                EncodingKey::from_secret(b"a secret"),
                DecodingKey::from_secret(b"a secret"),
            ),
            Scheme::Rsa(..) => (
                EncodingKey::from_rsa_der(RSA_KEY),
                DecodingKey::from_rsa_der(RSA_PUBLIC_KEY),
            ),
            Scheme::Ecdsa(scheme, _) => {
                let pair = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
                let public = EcdsaKeyPair::from_pkcs8(scheme, pair.as_ref(), &random).unwrap();
                (
                    EncodingKey::from_ec_der(pair.as_ref()),
                    DecodingKey::from_ec_der(public.public_key().as_ref()),
                )
            }
            Scheme::Ed25519 => {
                let pair = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                let public = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
                (
                    EncodingKey::from_ed_der(pair.as_ref()),
                    DecodingKey::from_ed_der(public.public_key().as_ref()),
                )
            }
        }
    }

    #[test]
    fn what_one_key_signs_its_other_half_verifies_and_no_other() {
        super::super::install();
        let claims = json!({ "sub": "ann", "exp": get_current_timestamp() + 60 });
        for algorithm in [
            Algorithm::HS256,
            Algorithm::HS384,
            Algorithm::HS512,
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::EdDSA,
        ] {
            let (private, public) = keys(algorithm);
            let token = encode(&Header::new(algorithm), &claims, &private).unwrap();
            let read = |token: &str, key: &DecodingKey| {
                decode::<Value>(token, key, &Validation::new(algorithm)).map(|data| data.claims)
            };
            assert_eq!(read(&token, &public).unwrap(), claims, "{algorithm:?}");
            let (head, signed) = token.rsplit_once('.').unwrap();
            let first = if signed.starts_with('A') { 'B' } else { 'A' };
            let forged = format!("{head}.{first}{}", &signed[1..]);
            assert!(read(&forged, &public).is_err(), "{algorithm:?}");
            let other = DecodingKey::from_secret(b"another secret");
            assert!(read(&token, &other).is_err(), "{algorithm:?}");
        }
    }

    /// The best known attack on tokens: the public key, which everybody has, as the secret of HS256.
    #[test]
    fn a_public_key_is_no_secret() {
        super::super::install();
        let claims = json!({ "exp": get_current_timestamp() + 60 });
        let forged = EncodingKey::from_secret(RSA_PUBLIC_KEY);
        let token = encode(&Header::new(Algorithm::HS256), &claims, &forged).unwrap();
        let public = DecodingKey::from_rsa_der(RSA_PUBLIC_KEY);
        for algorithm in [Algorithm::HS256, Algorithm::RS256] {
            assert!(decode::<Value>(&token, &public, &Validation::new(algorithm)).is_err());
        }
    }
}
