//! Keys and tokens for tests.

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, get_current_timestamp};
use polywire_core::{cryptography, settings::Secret};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    },
};
use serde_json::{Value, json};
use spki::{
    AlgorithmIdentifierOwned, ObjectIdentifier, SubjectPublicKeyInfoOwned,
    der::{Any, Document, EncodePem, asn1::BitString, pem::LineEnding},
};

use super::{key::Key, key_settings::JwtKeySettings, settings::JwtSettings};

pub(crate) const ALGORITHMS: [Algorithm; 12] = [
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
];

const RSA_KEY: &[u8] = include_bytes!("../../../core/src/cryptography/rsa_test_key.der");
const OTHER_RSA_KEY: &[u8] = include_bytes!("rsa_test_key.der");

/// A key that signs, and what verifies it.
pub(crate) struct KeyPair {
    pub(crate) algorithm: Algorithm,
    pub(crate) private: EncodingKey,
    /// The secret, or the public key in PEM.
    pub(crate) public: String,
}

/// Settings with these keys.
pub(crate) fn settings<const N: usize>(keys: [JwtKeySettings; N]) -> JwtSettings {
    JwtSettings {
        keys: keys.into(),
        ..JwtSettings::default()
    }
}

/// When tokens of tests end, in seconds since 1970.
pub(crate) fn in_an_hour() -> u64 {
    get_current_timestamp() + 3600
}

impl KeyPair {
    /// A new one; of RSA, whose keys take long to make, always the same.
    pub(crate) fn generate(algorithm: Algorithm) -> Self {
        Self::with_rsa(algorithm, RSA_KEY)
    }

    /// Another one than [`generate`](Self::generate) has made.
    pub(crate) fn other(algorithm: Algorithm) -> Self {
        Self::with_rsa(algorithm, OTHER_RSA_KEY)
    }

    fn with_rsa(algorithm: Algorithm, rsa_key: &[u8]) -> Self {
        cryptography::install();
        let random = SystemRandom::new();
        let (private, public) = match algorithm.family() {
            AlgorithmFamily::Hmac => {
                let secret: [u8; 32] = rand::random();
                let secret = BASE64_STANDARD.encode(secret);
                (EncodingKey::from_secret(secret.as_bytes()), secret)
            }
            AlgorithmFamily::Rsa => {
                let pair = RsaKeyPair::from_der(rsa_key).unwrap();
                let public = pem("1.2.840.113549.1.1.1", None, pair.public().as_ref());
                (EncodingKey::from_rsa_der(rsa_key), public)
            }
            AlgorithmFamily::Ec => {
                let (scheme, curve) = match algorithm {
                    Algorithm::ES256 => (&ECDSA_P256_SHA256_FIXED_SIGNING, "1.2.840.10045.3.1.7"),
                    _ => (&ECDSA_P384_SHA384_FIXED_SIGNING, "1.3.132.0.34"),
                };
                let pair = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
                let public = EcdsaKeyPair::from_pkcs8(scheme, pair.as_ref(), &random).unwrap();
                let public = public.public_key().as_ref();
                let public = pem("1.2.840.10045.2.1", Some(curve), public);
                (EncodingKey::from_ec_der(pair.as_ref()), public)
            }
            _ => {
                let pair = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                let public = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
                let public = pem("1.3.101.112", None, public.public_key().as_ref());
                (EncodingKey::from_ed_der(pair.as_ref()), public)
            }
        };
        Self {
            algorithm,
            private,
            public,
        }
    }
    /// The settings of what verifies.
    pub(crate) fn settings(&self) -> JwtKeySettings {
        let is_secret = self.algorithm.family() == AlgorithmFamily::Hmac;
        JwtKeySettings {
            algorithm: format!("{:?}", self.algorithm),
            secret: is_secret.then(|| Secret::new(&self.public)),
            public_key: (!is_secret).then(|| self.public.clone()),
            ..JwtKeySettings::default()
        }
    }

    /// The private key in PEM (PKCS #8).
    pub(crate) fn private_pem(&self) -> String {
        let key = self.private.as_bytes();
        let key = match self.algorithm.family() {
            AlgorithmFamily::Rsa => {
                // PKCS #1 in PKCS #8: version, algorithm, and the key, all longer than 255 bytes.
                const HEAD: &[u8] =
                    b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
                let long = |tag: u8, bytes: &[u8]| {
                    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                    [&[tag, 0x82], &length[..], bytes].concat()
                };
                long(0x30, &[HEAD, &long(0x04, key)].concat())
            }
            _ => key.to_vec(),
        };
        let document = Document::try_from(key).unwrap();
        document.to_pem("PRIVATE KEY", LineEnding::LF).unwrap()
    }

    /// The public key as a JWK, of elliptic curves.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let key = Key::from_settings(&self.settings()).unwrap();
        let bytes = key.decoding.try_get_as_bytes().unwrap();
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match self.algorithm {
            Algorithm::EdDSA => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(bytes) })
            }
            _ => {
                // Behind a byte that says that both halves follow.
                let (x, y) = bytes[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": encode(x), "y": encode(y) })
            }
        }
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let head = json!({ "alg": format!("{:?}", self.algorithm), "typ": "JWT" });
        self.sign_as(&head, claims)
    }

    /// A token with this header, whatever it says, and these claims.
    pub(crate) fn sign_as(&self, head: &Value, claims: &Value) -> String {
        self.sign_text(&head.to_string(), &claims.to_string())
    }

    /// A token with these texts as its header and its claims.
    pub(crate) fn sign_text(&self, head: &str, claims: &str) -> String {
        let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
        let signed = format!("{}.{}", encode(head), encode(claims));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &self.private, self.algorithm);
        format!("{signed}.{}", signature.unwrap())
    }
}

/// A public key in PEM.
fn pem(algorithm: &str, curve: Option<&str>, key: &[u8]) -> String {
    let oid = |text: &str| ObjectIdentifier::new(text).unwrap();
    let info = SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned {
            oid: oid(algorithm),
            parameters: curve.map(|curve| Any::encode_from(&oid(curve)).unwrap()),
        },
        subject_public_key: BitString::from_bytes(key).unwrap(),
    };
    info.to_pem(LineEnding::LF).unwrap()
}
