//! What others have tried on verifiers of tokens.

use jsonwebtoken::Algorithm;
use polywire_core::{AuthenticationError, AuthenticationPolicy, Credentials};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    key_settings::JwtKeySettings,
    policy::Jwt,
    samples::{ALGORITHMS, KeyPair, in_an_hour, settings},
    settings::JwtSettings,
};

async fn is_let_in(policy: &Jwt, token: &str) -> bool {
    let mut credentials = Credentials::for_app("test");
    credentials.token = Some(token.to_owned());
    match policy.authenticate(&credentials).await {
        Ok(_) => true,
        Err(AuthenticationError::Refused) => false,
        Err(error) => panic!("{error}"),
    }
}

fn claims() -> Value {
    json!({ "sub": "ann", "exp": in_an_hour() })
}

fn with(more: Value) -> Value {
    let mut claims = claims();
    let more = more.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(more);
    claims
}

#[tokio::test]
async fn a_token_without_signature_counts_for_nothing() {
    for algorithm in ALGORITHMS {
        let pair = KeyPair::generate(algorithm);
        let policy = Jwt::new(&settings([pair.settings()])).unwrap();
        let good = pair.sign(&claims());
        assert!(is_let_in(&policy, &good).await, "{algorithm:?}");
        let (signed, _) = good.rsplit_once('.').unwrap();
        for bad in [signed.to_owned(), format!("{signed}."), format!("{good}.")] {
            assert!(!is_let_in(&policy, &bad).await, "{bad}");
        }
        for none in ["none", "None", "NONE", "nOnE", "", "HS1", "ES512"] {
            let token = pair.sign_as(&json!({ "alg": none, "typ": "JWT" }), &claims());
            let (signed, signature) = token.rsplit_once('.').unwrap();
            for bad in [format!("{signed}.{signature}"), format!("{signed}.")] {
                assert!(!is_let_in(&policy, &bad).await, "{none:?}: {bad}");
            }
        }
    }
}

/// Everybody has the public key: it must not do as a secret, nor a key for another algorithm than its own.
#[tokio::test]
async fn a_key_counts_for_no_other_algorithm() {
    for algorithm in ALGORITHMS {
        let pair = KeyPair::generate(algorithm);
        let policy = Jwt::new(&settings([pair.settings()])).unwrap();
        for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
            // Signed as the key does, under the name of another algorithm.
            let head = json!({ "alg": format!("{other:?}") });
            assert!(!is_let_in(&policy, &pair.sign_as(&head, &claims())).await);
            if other.family() == pair.algorithm.family()
                && other.family() != Algorithm::ES256.family()
            {
                // The same key, used for its sibling.
                let sibling = KeyPair {
                    algorithm: other,
                    private: pair.private.clone(),
                    public: String::new(),
                };
                assert!(!is_let_in(&policy, &sibling.sign(&claims())).await);
            }
        }
        let bare: String = pair
            .public
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        for secret in [&pair.public, pair.public.trim(), &bare] {
            for hs in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let forger = KeyPair {
                    algorithm: hs,
                    private: jsonwebtoken::EncodingKey::from_secret(secret.as_bytes()),
                    public: String::new(),
                };
                let forged = forger.sign(&claims());
                let own = hs == algorithm;
                assert_eq!(
                    is_let_in(&policy, &forged).await,
                    own,
                    "{hs:?} as {algorithm:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_kid_only_chooses_among_the_keys_of_the_configuration() {
    let (one, two) = (
        KeyPair::generate(Algorithm::HS256),
        KeyPair::other(Algorithm::HS256),
    );
    let keyed = |pair: &KeyPair, kid: &str| JwtKeySettings {
        kid: Some(kid.into()),
        ..pair.settings()
    };
    let policy = Jwt::new(&settings([keyed(&one, "one"), keyed(&two, "two")])).unwrap();
    let head = |kid: Value| json!({ "alg": "HS256", "kid": kid });
    assert!(is_let_in(&policy, &one.sign_as(&head("one".into()), &claims())).await);
    assert!(
        is_let_in(&policy, &one.sign(&claims())).await,
        "each is tried"
    );
    assert!(
        is_let_in(&policy, &two.sign(&claims())).await,
        "each is tried"
    );
    // An empty secret is what a reader finds who takes the kid for a file.
    let nobody = KeyPair {
        algorithm: Algorithm::HS256,
        private: jsonwebtoken::EncodingKey::from_secret(b""),
        public: String::new(),
    };
    let huge = "k".repeat(15 << 10);
    for kid in [
        json!("two"),
        json!(""),
        json!("ONE"),
        json!("one "),
        json!("../../../../dev/null"),
        json!("/dev/null"),
        json!("one' UNION SELECT 'secret"),
        json!("one\0"),
        json!("http://127.0.0.1/key"),
        json!(huge),
        json!(1),
        json!(["one"]),
        json!({ "one": "one" }),
    ] {
        for signer in [&one, &nobody] {
            let token = signer.sign_as(&head(kid.clone()), &claims());
            assert!(!is_let_in(&policy, &token).await, "{kid}");
        }
    }
}

/// Keys, and addresses of keys, that a token brings with it.
#[tokio::test]
async fn a_token_does_not_say_what_it_is_verified_with() {
    let (pair, forger) = (
        KeyPair::generate(Algorithm::ES256),
        KeyPair::other(Algorithm::ES256),
    );
    let policy = Jwt::new(&settings([pair.settings()])).unwrap();
    let jwk = json!({ "kty": "oct", "k": "AAAA" });
    for more in [
        json!({ "jku": "http://127.0.0.1:9/keys" }),
        json!({ "x5u": "http://127.0.0.1:9/cert" }),
        json!({ "jwk": jwk }),
        json!({ "x5c": ["AAAA"] }),
    ] {
        let mut head = json!({ "alg": "ES256" });
        let more = more.as_object().unwrap().clone();
        head.as_object_mut().unwrap().extend(more);
        assert!(
            !is_let_in(&policy, &forger.sign_as(&head, &claims())).await,
            "{head}"
        );
        assert!(
            is_let_in(&policy, &pair.sign_as(&head, &claims())).await,
            "{head}"
        );
    }
}

#[tokio::test]
async fn what_must_be_understood_and_is_not_is_refused() {
    let pair = KeyPair::generate(Algorithm::HS256);
    let policy = Jwt::new(&settings([pair.settings()])).unwrap();
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!([]),
        json!(null),
        json!("x"),
    ] {
        let head = json!({ "alg": "HS256", "crit": crit, "b64": false });
        assert!(
            !is_let_in(&policy, &pair.sign_as(&head, &claims())).await,
            "{crit}"
        );
    }
}

#[tokio::test]
async fn what_is_said_twice_is_not_believed() {
    let pair = KeyPair::generate(Algorithm::HS256);
    let policy = Jwt::new(&settings([pair.settings()])).unwrap();
    let (head, exp) = (r#"{"alg":"HS256"}"#, in_an_hour());
    let good = format!(r#"{{"sub":"ann","exp":{exp}}}"#);
    assert!(is_let_in(&policy, &pair.sign_text(head, &good)).await);
    for (head, claims) in [
        (r#"{"alg":"none","alg":"HS256"}"#, good.clone()),
        (r#"{"alg":"HS256","kid":"a","kid":"b"}"#, good.clone()),
        (head, format!(r#"{{"exp":1,"exp":{exp}}}"#)),
        (head, format!(r#"{{"sub":"ann","sub":"bob","exp":{exp}}}"#)),
        (head, format!("[{exp}]")),
        (head, "null".into()),
        (head, format!("{good} {good}")),
    ] {
        assert!(
            !is_let_in(&policy, &pair.sign_text(head, &claims)).await,
            "{head} {claims}"
        );
    }
}

#[tokio::test]
async fn a_huge_token_is_not_looked_at() {
    let pair = KeyPair::generate(Algorithm::HS256);
    let policy = Jwt::new(&settings([pair.settings()])).unwrap();
    let long = |bytes: usize| pair.sign(&with(json!({ "x": "x".repeat(bytes) })));
    assert!(is_let_in(&policy, &long(11 << 10)).await);
    for bytes in [13 << 10, 1 << 20, 16 << 20] {
        assert!(!is_let_in(&policy, &long(bytes)).await, "{bytes}");
    }
    let deep = format!(
        r#"{{"exp":{},"x":{}1{}}}"#,
        in_an_hour(),
        "[".repeat(3000),
        "]".repeat(3000)
    );
    assert!(!is_let_in(&policy, &pair.sign_text(r#"{"alg":"HS256"}"#, &deep)).await);
}

#[tokio::test]
async fn a_token_counts_in_its_time_for_its_audience_and_from_its_issuer() {
    let pair = KeyPair::generate(Algorithm::HS256);
    let plain = settings([pair.settings()]);
    let now = in_an_hour() - 3600;
    let strict = JwtSettings {
        audience: vec!["us".into(), "we".into()],
        issuer: vec!["them".into()],
        required: vec!["jti".into()],
        ..plain.clone()
    };
    let endless = JwtSettings {
        require_expiry: false,
        ..plain.clone()
    };
    let good = json!({ "aud": "us", "iss": "them", "jti": "1" });
    let without = |name: &str| {
        let mut claims = with(good.clone());
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let changed = |name: &str, value: Value| {
        let mut claims = with(good.clone());
        claims[name] = value;
        claims
    };
    for (settings, claims, expected) in [
        (&plain, with(json!({ "exp": now - 3 })), true),
        (&plain, with(json!({ "exp": now - 7 })), false),
        (&plain, with(json!({ "exp": null })), false),
        (&plain, with(json!({ "exp": "4000000000" })), false),
        (&plain, with(json!({ "exp": [4_000_000_000_u64] })), false),
        (&plain, with(json!({ "nbf": now + 3 })), true),
        (&plain, with(json!({ "nbf": now + 30 })), false),
        (&plain, with(json!({ "nbf": "1" })), false),
        (&plain, with(json!({ "iat": now + 30 })), false),
        (&plain, with(json!({ "aud": "us" })), false),
        (&plain, with(json!({ "iss": "anybody" })), true),
        (&plain, json!({ "sub": "ann" }), false),
        (&endless, json!({ "sub": "ann" }), true),
        (&endless, json!({ "exp": now - 7 }), false),
        (&endless, json!({ "exp": "soon" }), false),
        (&strict, with(good.clone()), true),
        (&strict, changed("aud", json!(["others", "we"])), true),
        (&strict, changed("aud", json!(["others"])), false),
        (&strict, changed("aud", json!([])), false),
        (&strict, changed("aud", json!("US")), false),
        (&strict, changed("aud", json!({ "us": "us" })), false),
        (&strict, changed("iss", json!("them/")), false),
        (&strict, changed("iss", json!(7)), false),
        (&strict, changed("jti", json!(null)), false),
        (&strict, without("aud"), false),
        (&strict, without("iss"), false),
        (&strict, without("jti"), false),
        (&strict, without("exp"), false),
    ] {
        let policy = Jwt::new(settings).unwrap();
        assert_eq!(
            is_let_in(&policy, &pair.sign(&claims)).await,
            expected,
            "{claims}"
        );
    }
}

/// A token, with some of its bytes changed.
fn mutated(random: &mut StdRng, token: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ";
    let mut bytes = token.as_bytes().to_vec();
    for _ in 0..random.random_range(1..=4) {
        let letter = LETTERS[random.random_range(0..LETTERS.len())];
        let place = random.random_range(0..bytes.len().max(1));
        match random.random_range(0..6) {
            0..=2 if place < bytes.len() => bytes[place] = letter,
            3 => bytes.insert(place, letter),
            4 if place < bytes.len() => drop(bytes.remove(place)),
            _ if !bytes.is_empty() => {
                let other = random.random_range(0..bytes.len());
                bytes.swap(place, other);
            }
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Changes good tokens of every algorithm, `count` in all.
async fn none_of(count: usize) {
    let pairs = ALGORITHMS.map(KeyPair::generate);
    let policy = Jwt::new(&settings(pairs.each_ref().map(KeyPair::settings))).unwrap();
    let tokens = pairs.each_ref().map(|pair| pair.sign(&claims()));
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut tried = 0;
    while tried < count {
        let token = &tokens[random.random_range(0..tokens.len())];
        let changed = mutated(&mut random, token);
        if changed == *token || changed.is_empty() {
            continue;
        }
        assert!(
            !is_let_in(&policy, &changed).await,
            "seed {seed}: {changed}"
        );
        tried += 1;
    }
    for token in &tokens {
        assert!(is_let_in(&policy, token).await);
    }
}

#[tokio::test]
async fn a_changed_token_counts_for_nothing() {
    none_of(20_000).await;
}

/// `./check attack` runs it.
#[tokio::test]
#[ignore = "takes a minute"]
async fn a_million_changed_tokens_count_for_nothing() {
    none_of(1_000_000).await;
}
