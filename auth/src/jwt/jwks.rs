//! Keys at an address (JWK sets, RFC 7517), fetched again as they change.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use parking_lot::Mutex;
use polywire_core::settings::Problem;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    fault::NoKeys,
    key::{Key, RSA_BYTES_MIN},
    settings::JwtSettings,
    verifier::Head,
};
use crate::http_client::{self, NoAnswer};

/// Keys of a set that are read; a token without `kid` is tried with each of its algorithm.
const KEYS_MAX: usize = 100;

/// Keys at an address.
#[derive(Debug, Clone)]
pub(crate) struct Jwks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    url: Url,
    bytes_max: usize,
    refresh: Duration,
    retry: Duration,
    outage: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Arc<[Key]>,
    /// When the keys came; none as long as there are none.
    fetched_at: Option<Instant>,
    /// When they were last asked for.
    asked_at: Option<Instant>,
    /// Ends when the fetch ends that is under way.
    running: Option<watch::Receiver<()>>,
}

/// Why a fetch was of no use.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("it answers no set of keys: {0}")]
    NoSet(serde_json::Error),
    #[error("it answers no key that can be used")]
    Empty,
}

impl Jwks {
    /// The keys at the address of these settings, if they name one.
    pub(crate) fn new(settings: &JwtSettings) -> Result<Option<Self>, Problem> {
        let Some(text) = &settings.jwks else {
            return Ok(None);
        };
        let wrong = |message: String| Problem::new("jwks", message);
        let url = http_client::url(text)
            .ok_or_else(|| wrong("use an address that begins with http:// or https://".into()))?;
        let timeout = Duration::from_secs(settings.jwks_timeout_secs);
        let client = http_client::client(&url, timeout)
            .map_err(|error| wrong(format!("cannot be asked: {error}")))?;
        Ok(Some(Self(Arc::new(Shared {
            client,
            url,
            bytes_max: settings.jwks_bytes_max,
            refresh: Duration::from_secs(settings.jwks_refresh_secs),
            retry: Duration::from_secs(settings.jwks_retry_secs),
            outage: Duration::from_secs(settings.jwks_outage_secs),
            state: Mutex::default(),
        }))))
    }

    /// True when others on the way could put keys of theirs in place of these.
    pub(crate) fn is_open(&self) -> bool {
        http_client::is_open(&self.0.url)
    }

    /// The keys, among which one for this token is looked for: where there is none they are asked for again, though not more
    /// often than the settings say.
    ///
    /// # Errors
    /// When none have come, or the last ones are older than an outage may last.
    ///
    /// # Cancel safety
    /// A fetch that was begun goes on without its caller.
    pub(crate) async fn keys(&self, head: &Head<'_>) -> Result<Arc<[Key]>, NoKeys> {
        let running = {
            let mut state = self.0.state.lock();
            let age = state.fetched_at.map(|at| at.elapsed());
            let counts = age.is_some_and(|age| age < self.0.outage);
            let is_known = state.keys.iter().any(|key| head.is_of(key));
            let is_fresh = age.is_some_and(|age| age < self.0.refresh);
            let running = match &state.running {
                // One that has ended without saying so is over too.
                Some(running) if running.has_changed().is_ok() => Some(running.clone()),
                _ if is_fresh && is_known => None,
                _ => self.begin(&mut state),
            };
            // Whoever has a key need not wait for others.
            if counts && (is_known || running.is_none()) {
                return Ok(state.keys.clone());
            }
            running
        };
        if let Some(mut running) = running {
            // It ends by being dropped, and in bounded time.
            let _ = running.changed().await;
        }
        let state = self.0.state.lock();
        let counts = state
            .fetched_at
            .is_some_and(|at| at.elapsed() < self.0.outage);
        counts.then(|| state.keys.clone()).ok_or(NoKeys)
    }

    /// Asks for the keys, unless that was done just now.
    fn begin(&self, state: &mut State) -> Option<watch::Receiver<()>> {
        if state.asked_at.is_some_and(|at| at.elapsed() < self.0.retry) {
            return None;
        }
        let (running, receiver) = watch::channel(());
        state.asked_at = Some(Instant::now());
        state.running = Some(receiver.clone());
        let shared = self.0.clone();
        tokio::spawn(async move {
            let fetched = shared.fetch().await;
            shared.finish(fetched);
            drop(running);
        });
        Some(receiver)
    }
}

impl Shared {
    async fn fetch(&self) -> Result<Vec<Key>, FetchError> {
        let request = self.client.get(self.url.clone());
        let (status, body) = http_client::ask(request, self.bytes_max).await?;
        if status != StatusCode::OK {
            return Err(FetchError::Status(status));
        }
        let keys = keys_of(&body)?;
        if keys.is_empty() {
            return Err(FetchError::Empty);
        }
        Ok(keys)
    }

    fn finish(&self, fetched: Result<Vec<Key>, FetchError>) {
        let mut state = self.state.lock();
        state.running = None;
        match fetched {
            Ok(keys) => {
                state.keys = keys.into();
                state.fetched_at = Some(Instant::now());
            }
            Err(error) => {
                let host = self.url.host_str().unwrap_or_default();
                let age_secs = state.fetched_at.map(|at| at.elapsed().as_secs());
                tracing::warn!(host, %error, age_secs, "could not fetch the keys of tokens");
            }
        }
    }
}

/// The keys of a set that can be used. Others are left out: a set may hold what is for somebody else.
fn keys_of(body: &[u8]) -> Result<Vec<Key>, FetchError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(body).map_err(FetchError::NoSet)?;
    let keys = set.keys.into_iter().take(KEYS_MAX);
    let keys = keys.filter_map(|key| key_of(&serde_json::from_value(key).ok()?));
    Ok(keys.collect())
}

/// A key, for the algorithm that it names, or else the usual one of its kind. A secret is none: everybody can read it there.
fn key_of(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    let is_for_signatures = match &common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(_) => false,
    };
    let verifies = common.key_operations.as_ref();
    let verifies = verifies.is_none_or(|all| all.contains(&KeyOperations::Verify));
    if !is_for_signatures || !verifies {
        return None;
    }
    let (usual, others): (_, &[_]) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (
            Algorithm::RS256,
            &[
                (KeyAlgorithm::RS256, Algorithm::RS256),
                (KeyAlgorithm::RS384, Algorithm::RS384),
                (KeyAlgorithm::RS512, Algorithm::RS512),
                (KeyAlgorithm::PS256, Algorithm::PS256),
                (KeyAlgorithm::PS384, Algorithm::PS384),
                (KeyAlgorithm::PS512, Algorithm::PS512),
            ],
        ),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => (Algorithm::ES256, &[(KeyAlgorithm::ES256, Algorithm::ES256)]),
            EllipticCurve::P384 => (Algorithm::ES384, &[(KeyAlgorithm::ES384, Algorithm::ES384)]),
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(key) => match key.curve {
            EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, &[(KeyAlgorithm::EdDSA, Algorithm::EdDSA)])
            }
            _ => return None,
        },
        _ => return None,
    };
    let algorithm = match common.key_algorithm {
        None => usual,
        Some(named) => others.iter().find(|(name, _)| *name == named)?.1,
    };
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    if let DecodingKeyKind::RsaModulusExponent { n, .. } = decoding.kind()
        && n.len() < RSA_BYTES_MIN
    {
        return None;
    }
    Some(Key {
        kid: common.key_id.clone(),
        algorithm,
        decoding,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        jwt::{
            policy::Jwt,
            samples::{KeyPair, in_an_hour},
        },
        loopback::{Does, Loopback},
    };
    use polywire_core::{AuthenticationError, AuthenticationPolicy, Credentials};

    fn set(keys: &[(&KeyPair, &str)]) -> Does {
        let keys: Vec<_> = keys.iter().map(|(pair, kid)| pair.jwk(kid)).collect();
        Does::Answers(200, json!({ "keys": keys }).to_string())
    }

    fn settings(server: &Loopback) -> JwtSettings {
        JwtSettings {
            jwks: Some(server.url()),
            jwks_retry_secs: 0,
            jwks_timeout_secs: 1,
            ..JwtSettings::default()
        }
    }

    fn token(pair: &KeyPair, kid: &str) -> String {
        let head = json!({ "alg": format!("{:?}", pair.algorithm), "kid": kid });
        pair.sign_as(&head, &json!({ "sub": "ann", "exp": in_an_hour() }))
    }

    async fn answer(policy: &Jwt, token: &str) -> &'static str {
        let mut credentials = Credentials::for_app("test");
        credentials.token = Some(token.into());
        match policy.authenticate(&credentials).await {
            Ok(_) => "in",
            Err(AuthenticationError::Refused) => "refused",
            Err(AuthenticationError::Unavailable(error)) => {
                assert!(!format!("{error:?} {error}").contains("s3cr3t-v"));
                "unavailable"
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_new_key_is_asked_for_once_and_an_old_one_ends() {
        let (old, new) = (
            KeyPair::generate(Algorithm::ES256),
            KeyPair::generate(Algorithm::EdDSA),
        );
        let server = Loopback::start(set(&[(&old, "old")])).await;
        let policy = Jwt::new(&settings(&server)).unwrap();
        assert_eq!(answer(&policy, &token(&old, "old")).await, "in");
        assert_eq!(answer(&policy, &token(&old, "old")).await, "in");
        assert_eq!(server.requests().len(), 1);
        assert_eq!(answer(&policy, &token(&new, "new")).await, "refused");
        server.does(set(&[(&old, "old"), (&new, "new")]));
        assert_eq!(answer(&policy, &token(&new, "new")).await, "in");
        assert_eq!(answer(&policy, &token(&old, "old")).await, "in");
        server.does(set(&[(&new, "new")]));
        assert_eq!(answer(&policy, &token(&new, "unknown")).await, "refused");
        assert_eq!(answer(&policy, &token(&old, "old")).await, "refused");
        // A kid does not make a key of another's signature.
        assert_eq!(answer(&policy, &token(&old, "new")).await, "refused");
    }

    #[tokio::test]
    async fn unknown_kids_make_few_requests_and_many_clients_one() {
        let pair = KeyPair::generate(Algorithm::ES256);
        let server = Loopback::start(set(&[(&pair, "one")])).await;
        let settings = JwtSettings {
            jwks_retry_secs: 3600,
            ..settings(&server)
        };
        let policy = Arc::new(Jwt::new(&settings).unwrap());
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (policy, token) = (policy.clone(), token(&pair, "one"));
            clients.spawn(async move { answer(&policy, &token).await });
        }
        assert!(
            clients
                .join_all()
                .await
                .iter()
                .all(|answer| *answer == "in")
        );
        for number in 0..50 {
            let token = token(&pair, &number.to_string());
            assert_eq!(answer(&policy, &token).await, "refused");
        }
        assert_eq!(server.requests().len(), 1);
    }

    #[tokio::test]
    async fn in_an_outage_old_keys_count_for_a_while() {
        let pair = KeyPair::generate(Algorithm::ES256);
        let server = Loopback::start(set(&[(&pair, "one")])).await;
        let settings = JwtSettings {
            jwks_refresh_secs: 0,
            ..settings(&server)
        };
        let policy = Jwt::new(&settings).unwrap();
        assert_eq!(answer(&policy, &token(&pair, "one")).await, "in");
        for outage in [
            Does::Answers(500, String::new()),
            Does::Answers(302, String::new()),
            Does::Answers(200, "{".into()),
            Does::Answers(200, "{\"keys\":[]}".into()),
            Does::Answers(
                200,
                format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300 << 10)),
            ),
            Does::Dribbles,
            Does::Waits,
        ] {
            server.does(outage.clone());
            assert_eq!(
                answer(&policy, &token(&pair, "one")).await,
                "in",
                "{outage:?}"
            );
            // Waits for the fetch to end, for nothing has a key for it.
            assert_eq!(
                answer(&policy, &token(&pair, "two")).await,
                "refused",
                "{outage:?}"
            );
            assert_eq!(
                answer(&policy, &token(&pair, "one")).await,
                "in",
                "{outage:?}"
            );
        }
    }

    #[tokio::test]
    async fn without_keys_or_with_old_ones_nobody_is_let_in() {
        let pair = KeyPair::generate(Algorithm::ES256);
        let server = Loopback::start(Does::Answers(503, String::new())).await;
        let policy = Jwt::new(&settings(&server)).unwrap();
        assert_eq!(answer(&policy, &token(&pair, "one")).await, "unavailable");
        server.does(set(&[(&pair, "one")]));
        assert_eq!(answer(&policy, &token(&pair, "one")).await, "in");
        let short = JwtSettings {
            jwks_refresh_secs: 1,
            jwks_outage_secs: 1,
            ..settings(&server)
        };
        let policy = Jwt::new(&short).unwrap();
        assert_eq!(answer(&policy, &token(&pair, "one")).await, "in");
        server.does(Does::Answers(503, String::new()));
        tokio::time::timeout(Duration::from_secs(10), async {
            while answer(&policy, &token(&pair, "one")).await == "in" {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap();
        assert_eq!(answer(&policy, &token(&pair, "one")).await, "unavailable");
        // What is no token is none, whatever can be had.
        assert_eq!(answer(&policy, "x").await, "refused");
        server.does(set(&[(&pair, "one")]));
        assert_eq!(answer(&policy, &token(&pair, "one")).await, "in");
    }

    #[test]
    fn a_set_holds_what_is_for_others_too() {
        let pair = KeyPair::generate(Algorithm::ES256);
        let with = |more: Value| {
            let mut jwk = pair.jwk("one");
            let more = more.as_object().unwrap().clone();
            jwk.as_object_mut().unwrap().extend(more);
            let body = json!({ "keys": [jwk] }).to_string();
            keys_of(body.as_bytes()).unwrap().len()
        };
        assert_eq!(with(json!({})), 1);
        assert_eq!(
            with(json!({ "alg": "ES256", "use": "sig", "key_ops": ["verify"] })),
            1
        );
        for other in [
            json!({ "use": "enc" }),
            json!({ "key_ops": ["encrypt"] }),
            json!({ "alg": "ES384" }),
            json!({ "alg": "HS256" }),
            json!({ "alg": "none" }),
            json!({ "crv": "P-384", "alg": "ES256" }),
            json!({ "crv": "P-521" }),
            json!({ "kty": "new" }),
            json!({ "kty": "oct", "k": "AAAA" }),
            json!({ "x": 7 }),
        ] {
            assert_eq!(with(other.clone()), 0, "{other}");
        }
        let small = json!({ "keys": [{ "kty": "RSA", "n": "u".repeat(171), "e": "AQAB" }] });
        assert!(keys_of(small.to_string().as_bytes()).unwrap().is_empty());
        let many = json!({ "keys": vec![pair.jwk("one"); 200] });
        assert_eq!(
            keys_of(many.to_string().as_bytes()).unwrap().len(),
            KEYS_MAX
        );
    }
}
