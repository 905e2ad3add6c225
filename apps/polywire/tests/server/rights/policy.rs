//! The policies: a server with each, and the credential of each kind.

use std::fmt::Write;

use serde_json::json;

use super::credential::{KINDS, Kind, Validity};
use crate::{
    policies::service,
    support::{Server, ServerOptions, azure},
};

/// Signs tokens.
const SECRET: &str = "a secret of thirty-two bytes, and some more";

/// What the operator shows, in every policy.
pub(super) const OPERATOR: &str = "the key of the operator";

/// A policy, as `auth` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    ApiKey,
    Header,
    Jwt,
    Roles,
    Http,
}

/// What a client shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// In a header of HTTP.
    pub(super) header: Option<(&'static str, String)>,
    /// In the query of HTTP.
    pub(super) query: String,
    /// In the place that a protocol has for it.
    pub(super) token: Option<String>,
    /// The user's name, in MQTT.
    pub(super) user: String,
}

impl Shown {
    pub(super) fn operator() -> Self {
        Self {
            header: Some(("Authorization", format!("Bearer {OPERATOR}"))),
            token: Some(OPERATOR.into()),
            ..Self::default()
        }
    }

    pub(super) fn headers(&self) -> Vec<(&'static str, &str)> {
        let header = self.header.as_ref();
        header
            .map(|(name, value)| (*name, value.as_str()))
            .into_iter()
            .collect()
    }
}

/// All doors take a credential.
const DOORS: &str = "
debug = true
persistence = 'memory'
[limits]
wrong_credentials_max = 100000
[apps.seth]
authenticate_connect = true
[apps.knsock]
authenticate = true
[apps.emitter]
authenticate = true
face = 'plain'
[apps.pubnub]
authenticate = true
[[apps.pubnub.key_sets]]
publish_key = 'pub'
subscribe_key = 'sub'
secret_key = 'sec'
delete_history = true
";

impl Policy {
    pub(super) const ALL: &[Self] = &[
        Self::ApiKey,
        Self::Header,
        Self::Jwt,
        Self::Roles,
        Self::Http,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::Header => "header",
            Self::Jwt => "jwt",
            Self::Roles => "roles",
            Self::Http => "http",
        }
    }

    /// Whether its credentials can be of this sort.
    pub(super) fn has(self, kind: &Kind) -> bool {
        match kind.validity {
            Validity::Good | Validity::Missing | Validity::Wrong => true,
            Validity::Expired | Validity::NotYet | Validity::OtherAudience => self == Self::Jwt,
            Validity::Revoked => matches!(self, Self::Jwt | Self::Roles | Self::Http),
        }
    }

    /// True where one server knows the credentials of all kinds.
    pub(super) fn is_shared(self) -> bool {
        matches!(self, Self::Jwt | Self::Roles | Self::Http)
    }

    pub(super) fn start(self, kind: &Kind) -> Server {
        self.start_with(kind, "")
    }

    /// The same with more of a configuration.
    pub(super) fn start_with(self, kind: &Kind, more: &str) -> Server {
        let mut roles = format!(
            "[roles]\nrole.operator = {{ read = '*', write = '*', delete = '*', manage = '*' }}\nkeys = [\n{{ id = 'operator', key = '{OPERATOR}', roles = 'operator' }},\n"
        );
        if self == Self::Roles {
            for kind in KINDS {
                let id = kind.id();
                writeln!(
                    roles,
                    "{{ id = '{id}', key = 'the key of {id}', client = '{id}', roles = '{id}' }},"
                )
                .unwrap();
            }
        }
        roles.push_str("]\n");
        if self == Self::Roles {
            for kind in KINDS {
                writeln!(roles, "role.{} = {}", kind.id(), kind.toml()).unwrap();
            }
        }
        let own = match self {
            Self::ApiKey => format!(
                "[api_key]\nkey_secret_value = 'the key'\nrights = {}\n",
                kind.toml()
            ),
            Self::Header => format!(
                "[header]\nsecret_header = 'X-Key'\nsecret_header_value = 'the key'\nrights = {}\n",
                kind.toml()
            ),
            Self::Jwt => format!(
                "[jwt]\naudience = 'polywire'\n[[jwt.keys]]\nalgorithm = 'HS256'\nsecret = '{SECRET}'\n"
            ),
            Self::Roles => String::new(),
            Self::Http => format!("[http]\nurl = 'http://{}/'\n", judge()),
        };
        let auth = match self {
            Self::Roles => "auth = 'roles'".to_owned(),
            _ => format!("auth = ['{}', 'roles']", self.name()),
        };
        ServerOptions::new(&[])
            .config(&format!("{auth}\n{DOORS}\n{own}\n{roles}\n{more}"))
            .start()
    }

    pub(super) fn credential(self, kind: &Kind, server: &Server) -> Shown {
        let secret = match kind.validity {
            Validity::Missing => return Shown::default(),
            Validity::Wrong => "not the key of anybody".to_owned(),
            _ => match self {
                Self::ApiKey | Self::Header => "the key".to_owned(),
                Self::Jwt => token(kind),
                Self::Roles | Self::Http => format!("the key of {}", kind.id()),
            },
        };
        if kind.validity == Validity::Revoked {
            let what = match self {
                Self::Jwt => json!({"credential": kind.id()}),
                _ => json!({"client": kind.id()}),
            };
            let operator = Shown::operator();
            let mut headers = operator.headers();
            headers.push(("Content-Type", "application/json"));
            let answer = server.request(
                "POST",
                "/admin/v1/revocations",
                &headers,
                Some(what.to_string().as_bytes()),
            );
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let encoded = secret.replace(' ', "%20");
        match self {
            Self::ApiKey => Shown {
                query: format!("api_key={encoded}"),
                token: Some(secret),
                ..Shown::default()
            },
            Self::Header => Shown {
                header: Some(("X-Key", secret.clone())),
                token: Some(secret),
                ..Shown::default()
            },
            Self::Jwt | Self::Roles | Self::Http => Shown {
                header: Some(("Authorization", format!("Bearer {secret}"))),
                token: Some(secret),
                ..Shown::default()
            },
        }
    }
}

fn token(kind: &Kind) -> String {
    let mut claims = json!({"aud": "polywire", "exp": azure::in_secs(600), "jti": kind.id(), "rights": kind.rights()});
    match kind.validity {
        Validity::Expired => claims["exp"] = azure::in_secs(-60).into(),
        Validity::NotYet => claims["nbf"] = azure::in_secs(60).into(),
        Validity::OtherAudience => claims["aud"] = "elsewhere".into(),
        _ => {}
    }
    azure::token_of(&json!({"alg": "HS256", "typ": "JWT"}), &claims, SECRET)
}

/// A service that knows the keys of all kinds.
fn judge() -> std::net::SocketAddr {
    service(|asked| {
        let asked: serde_json::Value = serde_json::from_str(asked).unwrap();
        let token = asked["token"].as_str().unwrap_or_default();
        let known = KINDS
            .iter()
            .find(|kind| token == format!("the key of {}", kind.id()));
        match known {
            Some(kind) => {
                let answer = json!({"client": kind.id(), "rights": kind.rights()});
                (200, answer.to_string())
            }
            None => (401, "{}".into()),
        }
    })
}
