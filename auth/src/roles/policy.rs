//! The policy itself.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use polywire_core::{
    AuthenticationError, AuthenticationPolicy, ClientId, CredentialId, Credentials, Identity,
    settings::Problem,
};

use super::{
    book::Book,
    hash::{PASSWORD_BYTES_MAX, PasswordHash},
    key,
    passwords::Passwords,
    settings::RolesSettings,
    source::RoleSource,
};

/// Lets in users with their passwords, and programs with their keys; each has the rights of its roles.
///
/// A user shows name and password where a protocol has places for them (MQTT, `Authorization: Basic`), or as one text with a
/// colon between them; a key is a text of its own. Where a protocol has one place for a token, only that counts; otherwise
/// `Authorization` comes before the query.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use polywire_auth::{RoleSource, Roles, RolesSettings};
///
/// let settings: RolesSettings = toml::from_str(
///     r#"
///     role.shop = { write = "news/#" }
///     keys = [{ id = "shop-1", key = "a secret of the shop", roles = "shop" }]
///     "#,
/// )?;
/// let source = RoleSource::new(&settings).map_err(|problems| problems[0].to_string())?;
/// let policy = Roles::new(&settings, Arc::new(source)).map_err(|problem| problem.to_string())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Roles {
    source: Arc<RoleSource>,
    passwords: Passwords,
    nobodys: PasswordHash,
    /// None where the query is not looked at.
    query: Option<String>,
    same_id: bool,
}

/// What is shown.
enum Shown {
    /// A user's name and password.
    Password(String, String),
    /// A key, or name and password with a colon between them.
    Text(String),
}

impl Roles {
    /// The policy of these settings, for the users and keys of a source.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(settings: &RolesSettings, source: Arc<RoleSource>) -> Result<Self, Problem> {
        if source.is_for_nobody() {
            let message = "without users and keys nobody can come in: add one to [[roles.users]] or [[roles.keys]]";
            return Err(Problem::new("users", message));
        }
        let remember = Duration::from_secs(settings.remember_secs);
        Ok(Self {
            source,
            passwords: Passwords::new(settings.hashes_max, remember),
            nobodys: PasswordHash::nobodys(),
            query: Some(settings.query.clone()).filter(|name| !name.is_empty()),
            same_id: settings.same_id,
        })
    }

    fn shown(&self, credentials: &Credentials) -> Option<Shown> {
        if let Some(token) = &credentials.token {
            return Some(match &credentials.user {
                Some(user) => Shown::Password(user.clone(), token.clone()),
                None => Shown::Text(token.clone()),
            });
        }
        let in_header = credentials
            .basic()
            .or_else(|| credentials.bearer().map(str::to_owned));
        let text = in_header.or_else(|| credentials.query_value(self.query.as_deref()?));
        text.filter(|text| !text.is_empty()).map(Shown::Text)
    }

    /// Who has this key.
    fn of_key(&self, book: &Book, text: &str, app: &str) -> Option<Identity> {
        let key = book.key(&key::digest(text))?;
        let roles = key.roles.iter().map(String::as_str);
        Some(Identity {
            credential: Some(key.id.clone()),
            grants: book.grants(roles, app, key.client.as_ref(), None),
            client: key.client.clone(),
            refuses_other_ids: self.same_id,
            ..Identity::default()
        })
    }

    /// Who the user of this name is, if that is the password.
    async fn of_user(
        &self,
        book: &Book,
        name: &str,
        password: &str,
        app: &str,
    ) -> Result<Identity, AuthenticationError> {
        // A token for another policy is not worth the work, whoever shows it.
        let is_none = password.is_empty() || password.len() > PASSWORD_BYTES_MAX;
        if is_none || is_web_token(password) {
            return Err(AuthenticationError::Refused);
        }
        let user = book.user(name);
        // What takes as long for nobody tells nothing about who there is.
        let hash = user.map_or(&self.nobodys, |user| &user.hash);
        let checked = self.passwords.check(hash, password).await;
        let is_right = checked.map_err(|busy| AuthenticationError::Unavailable(busy.into()))?;
        match user {
            Some(user) if is_right => {
                let roles = user.roles.iter().map(String::as_str);
                Ok(Identity {
                    client: Some(user.client.clone()),
                    credential: Some(credential(&user.client)),
                    grants: book.grants(roles, app, Some(&user.client), None),
                    refuses_other_ids: self.same_id,
                    ..Identity::default()
                })
            }
            _ => Err(AuthenticationError::Refused),
        }
    }
}

/// True for what is written as a JSON Web Token, which nobody has as a password.
fn is_web_token(text: &str) -> bool {
    let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
    text.starts_with("eyJ") && text.matches('.').count() == 2 && text.bytes().all(is_letter)
}

/// What tells a user's password from the credentials of others.
fn credential(user: &ClientId) -> CredentialId {
    CredentialId::new(&format!("user:{user}"))
}

#[async_trait]
impl AuthenticationPolicy for Roles {
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError> {
        let shown = self
            .shown(credentials)
            .ok_or(AuthenticationError::Missing)?;
        let (book, app) = (self.source.book().await, credentials.app);
        let (Shown::Password(_, text) | Shown::Text(text)) = &shown;
        if let Some(identity) = self.of_key(&book, text, app) {
            return Ok(identity);
        }
        match &shown {
            Shown::Password(user, password) => self.of_user(&book, user, password, app).await,
            Shown::Text(text) => match text.split_once(':') {
                Some((user, password)) => self.of_user(&book, user, password, app).await,
                None => Err(AuthenticationError::Refused),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, Permissions, testkit};

    use super::*;
    use crate::roles::samples::HASH;

    fn policy() -> Roles {
        let text = format!(
            "
            role.staff = {{ read = '*', manage = '*' }}
            role.shop.write = 'news/#'
            role.device = {{ write = 'iot/{{client}}/#', apps = 'emitter' }}
            users = [{{ name = 'ann', password = '{HASH}', roles = ['staff', 'device'] }}]
            keys = [
                {{ id = 'shop-1', key = 'k3y-of-the-shop-1', roles = 'shop' }},
                {{ id = 'd-1', key = 'k3y-of-device-one', client = 'one', roles = 'device' }},
            ]
            "
        );
        let settings: RolesSettings = toml::from_str(&text).unwrap();
        let source = RoleSource::new(&settings).unwrap();
        Roles::new(&settings, Arc::new(source)).unwrap()
    }

    fn token(app: &'static str, user: Option<&str>, token: &str) -> Credentials {
        let mut credentials = Credentials::for_app(app);
        credentials.user = user.map(str::to_owned);
        credentials.token = Some(token.to_owned());
        credentials
    }

    fn http(authorization: &str, query: &str) -> Credentials {
        let mut credentials = Credentials::for_app("test");
        credentials.query = query.into();
        if !authorization.is_empty() {
            let value = authorization.parse().unwrap();
            credentials.headers.insert("authorization", value);
        }
        credentials
    }

    #[tokio::test]
    async fn keeps_the_laws() {
        let accepted = [
            token("test", Some("ann"), "hunter2"),
            token("test", None, "ann:hunter2"),
            token("test", None, "k3y-of-the-shop-1"),
            token("test", Some("whoever"), "k3y-of-the-shop-1"),
            // "ann:hunter2"
            http("Basic YW5uOmh1bnRlcjI=", ""),
            http("Bearer k3y-of-the-shop-1", ""),
            http("", "token=k3y-of-the-shop-1"),
            http("", "a=1&token=ann%3Ahunter2"),
        ];
        let refused = [
            Credentials::default(),
            token("test", Some("ann"), "hunter3"),
            token("test", Some("ann"), ""),
            token("test", Some("bob"), "hunter2"),
            token("test", None, "hunter2"),
            token("test", None, "ann:"),
            token("test", None, "ann:hunter2 "),
            token("test", None, HASH),
            token("test", Some("ann"), "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"),
            token("test", None, &format!("ann:{HASH}")),
            token("test", None, &format!("ann:{}", "x".repeat(2000))),
            http("Bearer x", "token=k3y-of-the-shop-1"),
            http("", "token=x&token=k3y-of-the-shop-1"),
        ];
        let secrets = ["hunter2", "k3y-of"];
        testkit::authentication_laws(policy, &accepted, &refused, &secrets).await;
        let shown = format!("{:?}", policy());
        assert!(
            !shown.contains("k3y-of") && !shown.contains("argon2"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn a_role_counts_at_its_apps_and_for_the_client() {
        let policy = policy();
        let ask = async |credentials: Credentials| policy.authenticate(&credentials).await.unwrap();
        let writes = |identity: &Identity, channel: &str| {
            identity.allows(Permissions::WRITE, &Channel::new(channel).unwrap())
        };
        let device = ask(token("emitter", None, "k3y-of-device-one")).await;
        assert_eq!(device.client, ClientId::new("one").ok());
        assert_eq!(device.credential, Some(CredentialId::new("d-1")));
        assert!(writes(&device, "iot/one/x") && !writes(&device, "iot/ann/x"));
        let elsewhere = ask(token("seth", None, "k3y-of-device-one")).await;
        assert!(elsewhere.grants.is_empty());
        let ann = ask(token("emitter", Some("ann"), "hunter2")).await;
        assert_eq!(ann.client, ClientId::new("ann").ok());
        assert!(writes(&ann, "iot/ann/x") && !writes(&ann, "news/a"));
        assert!(ann.allows_everywhere(Permissions::MANAGE));
    }

    #[tokio::test]
    async fn a_token_for_another_policy_takes_no_turn() {
        let policy = policy();
        let tokens = |user| token("test", user, "eyJhbGciOiJIUzI1NiJ9.e30.AAAA");
        for shown in [tokens(Some("ann")), tokens(Some("bob")), tokens(None)] {
            let answer = futures_util::FutureExt::now_or_never(policy.authenticate(&shown));
            assert!(matches!(answer, Some(Err(AuthenticationError::Refused))));
        }
        assert!(
            is_web_token("eyJh.e30.A_-a") && !is_web_token("eyJ.a") && !is_web_token("eyJ.a.b!")
        );
    }

    #[test]
    fn a_policy_for_nobody_is_a_problem() {
        let settings = RolesSettings::default();
        let source = Arc::new(RoleSource::new(&settings).unwrap());
        let problem = Roles::new(&settings, source).unwrap_err();
        assert_eq!(problem.setting, "users");
    }
}
