//! The policy itself.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderValue, header::AUTHORIZATION};
use polywire_core::{
    AuthenticationError, AuthenticationPolicy, Credentials, Identity, LogLimiter,
    settings::{Problem, Settings},
};
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{
    answer::{Answer, BadAnswer},
    cache::{Cache, Known, Name},
    settings::HttpSettings,
};
use crate::{
    http_client::{self, NoAnswer},
    roles::RoleSource,
};

/// Asks a service over HTTP who somebody is and what they may do.
///
/// It posts `{"app", "user", "token", "peer"}`; the status 200 with `{"client", "credential", "rights", "roles",
/// "expires_in_secs", "same_id"}`, of which each may be left out, lets in, 401 and 403 refuse, and anything else is an outage,
/// in which nobody is let in. Who shows nothing is not asked about.
#[derive(Debug)]
pub struct Http {
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    answer_bytes_max: usize,
    turns: Semaphore,
    cache: Cache,
    /// None where the query is not looked at.
    query: Option<String>,
    roles: Option<Arc<RoleSource>>,
    log: LogLimiter,
}

/// What the service is told.
#[derive(Debug, Serialize)]
struct Question<'q> {
    app: &'q str,
    user: Option<&'q str>,
    token: &'q str,
    /// The address that the client comes from, without its port.
    peer: Option<String>,
}

/// Why the service said nothing that counts.
#[derive(Debug, thiserror::Error)]
enum Outage {
    #[error("it does not answer in time")]
    Late,
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error(transparent)]
    BadAnswer(#[from] BadAnswer),
}

impl Http {
    /// The policy of these settings.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn new(settings: &HttpSettings) -> Result<Self, Vec<Problem>> {
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let wrong = |message: String| vec![Problem::new("url", message)];
        let url = settings.url.as_deref().and_then(http_client::url);
        let url = url.ok_or_else(|| wrong("there is nobody to ask: set it".into()))?;
        let timeout = Duration::from_millis(settings.timeout_millis);
        let client = http_client::client(&url, timeout)
            .map_err(|error| wrong(format!("cannot be asked: {error}")))?;
        let authorization = settings.authorization.as_ref();
        let authorization =
            authorization.and_then(|text| HeaderValue::from_str(text.reveal()).ok());
        let authorization = authorization.map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let life = Duration::from_secs(settings.cache_secs);
        Ok(Self {
            client,
            url,
            authorization,
            timeout,
            answer_bytes_max: settings.answer_bytes_max,
            turns: Semaphore::new(settings.requests_max.min(Semaphore::MAX_PERMITS)),
            cache: Cache::new(life, settings.cache_entries_max),
            query: Some(settings.query.clone()).filter(|name| !name.is_empty()),
            roles: None,
            log: LogLimiter::new(),
        })
    }

    /// Sets where the roles come from that answers name. Default: no role gives anything.
    #[must_use]
    pub fn roles(mut self, source: Arc<RoleSource>) -> Self {
        self.roles = Some(source);
        self
    }

    /// The user, where there is one, and the password or token.
    fn shown(&self, credentials: &Credentials) -> Option<(Option<String>, String)> {
        if let Some(token) = &credentials.token {
            return Some((credentials.user.clone(), token.clone()));
        }
        if let Some(basic) = credentials.basic() {
            let (user, password) = basic.split_once(':')?;
            return Some((Some(user.to_owned()), password.to_owned()));
        }
        let bearer = credentials.bearer().map(str::to_owned);
        let token = bearer.or_else(|| credentials.query_value(self.query.as_deref()?));
        token.map(|token| (None, token))
    }

    /// The answer to a question, from before or from the service.
    async fn known(&self, question: &Question<'_>) -> Result<Known, Outage> {
        let name = name(question);
        if let Some(known) = self.cache.get(&name) {
            return Ok(known);
        }
        let asked = tokio::time::timeout(self.timeout, async {
            // It is never closed.
            let _turn = self.turns.acquire().await;
            // Somebody else may have shown the same meanwhile.
            match self.cache.get(&name) {
                Some(known) => Ok(known),
                None => self.ask(question).await,
            }
        });
        let known = asked.await.map_err(|_| Outage::Late)??;
        self.cache.put(name, known.clone());
        Ok(known)
    }

    async fn ask(&self, question: &Question<'_>) -> Result<Known, Outage> {
        let mut request = self.client.post(self.url.clone()).json(question);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let (status, body) = http_client::ask(request, self.answer_bytes_max).await?;
        match status {
            StatusCode::OK => self.identity(question, &body).await.map(Some),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(None),
            other => Err(Outage::Status(other)),
        }
    }

    async fn identity(&self, question: &Question<'_>, body: &[u8]) -> Result<Identity, Outage> {
        let answer = Answer::read(body)?;
        let book = match &self.roles {
            Some(source) => Some(source.book().await),
            None => None,
        };
        let identity = answer.identity(|client, expires_at| {
            let names = answer.roles.iter().map(String::as_str);
            let grants = book.map(|book| book.grants(names, question.app, client, expires_at));
            grants.unwrap_or_default()
        });
        Ok(identity?)
    }
}

/// What an answer is remembered by: all that the question says.
fn name(question: &Question<'_>) -> Name {
    let mut digest = Sha256::new();
    let peer = question.peer.as_deref();
    for part in [
        Some(question.app),
        question.user,
        Some(question.token),
        peer,
    ] {
        // So that no two questions are written alike.
        digest.update([u8::from(part.is_some())]);
        let part = part.unwrap_or_default();
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[async_trait]
impl AuthenticationPolicy for Http {
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError> {
        let shown = self.shown(credentials);
        let shown = shown.filter(|(_, token)| !token.is_empty());
        let (user, token) = shown.ok_or(AuthenticationError::Missing)?;
        let question = Question {
            app: credentials.app,
            user: user.as_deref(),
            token: &token,
            peer: credentials
                .peer
                .map(|peer| peer.ip().to_canonical().to_string()),
        };
        match self.known(&question).await {
            Ok(known) => known.ok_or(AuthenticationError::Refused),
            Err(outage) => {
                if let Some(unsaid) = self.log.allow() {
                    let host = self.url.host_str().unwrap_or_default();
                    tracing::warn!(host, %outage, unsaid, "could not ask who somebody is");
                }
                Err(AuthenticationError::Unavailable(outage.into()))
            }
        }
    }

    fn weakness(&self) -> Option<String> {
        http_client::is_open(&self.url).then(|| {
            "The service at http.url is asked without TLS, so that others can read the tokens of \
             clients and answer in its place: use https://, or listen on 127.0.0.1."
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::{ClientId, settings::Secret, testkit};

    use super::*;
    use crate::loopback::{Does, Loopback};

    fn settings(server: &Loopback) -> HttpSettings {
        HttpSettings {
            url: Some(server.url()),
            authorization: Some(Secret::new("Bearer s3cr3t-v")),
            timeout_millis: 500,
            ..HttpSettings::default()
        }
    }

    fn token(user: Option<&str>, token: &str) -> Credentials {
        let mut credentials = Credentials::for_app("test");
        credentials.user = user.map(str::to_owned);
        credentials.token = Some(token.into());
        credentials.peer = Some(([127, 0, 0, 1], 7).into());
        credentials
    }

    fn ok(body: &str) -> Does {
        Does::Answers(200, body.into())
    }

    #[tokio::test]
    async fn keeps_the_laws() {
        let server = Loopback::start(ok(r#"{"client":"ann","rights":{"read":"a"}}"#)).await;
        let mut basic = Credentials::for_app("test");
        // "ann:hunter2"
        let header = "Basic YW5uOmh1bnRlcjI=".parse().unwrap();
        basic.headers.insert("authorization", header);
        let mut query = Credentials::for_app("test");
        query.query = "token=hunter2".into();
        let accepted = [
            token(None, "hunter2"),
            token(Some("ann"), "hunter2"),
            basic,
            query,
        ];
        let refused = [Credentials::default(), token(None, "")];
        let make = || Http::new(&settings(&server)).unwrap();
        let secrets = ["hunter2", "s3cr3t-v"];
        testkit::authentication_laws(make, &accepted, &refused, &secrets).await;
        server.does(Does::Answers(403, String::new()));
        testkit::authentication_laws(make, &[], &accepted, &secrets).await;
        assert!(make().weakness().is_none());
    }

    #[tokio::test]
    async fn the_service_is_told_what_is_shown_and_asked_once() {
        let server = Loopback::start(ok(r#"{"client":"ann"}"#)).await;
        let policy = Http::new(&settings(&server)).unwrap();
        for port in [7, 8] {
            let mut shown = token(Some("ann"), "hunter2");
            shown.peer = Some(([127, 0, 0, 1], port).into());
            let identity = policy.authenticate(&shown).await.unwrap();
            assert_eq!(identity.client, ClientId::new("ann").ok());
            assert!(identity.grants.is_empty());
        }
        let requests = server.requests();
        assert_eq!(requests.len(), 1);
        assert!(requests[0].starts_with("POST /ask?key=s3cr3t-v "));
        assert!(
            requests[0]
                .to_lowercase()
                .contains("authorization: bearer s3cr3t-v")
        );
        let said = r#"{"app":"test","user":"ann","token":"hunter2","peer":"127.0.0.1"}"#;
        assert!(requests[0].ends_with(said), "{}", requests[0]);
        // Somebody else, or elsewhere, is another question.
        let mut elsewhere = token(Some("ann"), "hunter2");
        elsewhere.app = "other";
        server.does(Does::Answers(401, String::new()));
        for other in [
            token(None, "hunter2"),
            token(Some("ann"), "hunter3"),
            elsewhere,
        ] {
            for _ in 0..2 {
                let answer = policy.authenticate(&other).await;
                assert!(matches!(answer, Err(AuthenticationError::Refused)));
            }
        }
        assert_eq!(server.requests().len(), 4);
    }

    #[tokio::test]
    async fn in_an_outage_nobody_is_let_in_and_nothing_remembered() {
        let server = Loopback::start(Does::Waits).await;
        let policy = Http::new(&settings(&server)).unwrap();
        let shown = token(None, "hunter2");
        for outage in [
            Does::Answers(500, "{}".into()),
            Does::Answers(302, "{}".into()),
            Does::Answers(204, String::new()),
            ok(""),
            ok(r#"{"rights":"*"}"#),
            ok(&format!(r#"{{"client":"{}"}}"#, "x".repeat(70_000))),
            Does::Dribbles,
            Does::Waits,
        ] {
            server.does(outage.clone());
            let answer = policy.authenticate(&shown).await;
            let Err(AuthenticationError::Unavailable(error)) = answer else {
                panic!("{outage:?}: {answer:?}");
            };
            let said = format!("{error} {error:?}");
            assert!(
                !said.contains("s3cr3t-v") && !said.contains("hunter2"),
                "{said}"
            );
        }
        server.does(ok("{}"));
        assert!(policy.authenticate(&shown).await.is_ok());
    }

    #[tokio::test]
    async fn requests_are_bounded() {
        let server = Loopback::start(ok("{}")).await;
        let settings = HttpSettings {
            requests_max: 2,
            timeout_millis: 50,
            ..settings(&server)
        };
        let policy = Http::new(&settings).unwrap();
        let all = policy.turns.acquire_many(2).await.unwrap();
        let answer = policy.authenticate(&token(None, "hunter2")).await;
        assert!(matches!(answer, Err(AuthenticationError::Unavailable(_))));
        assert!(server.requests().is_empty());
        drop(all);
        assert_eq!(policy.turns.available_permits(), 2);
    }

    #[test]
    fn settings_that_are_wrong_are_said() {
        let wrong = HttpSettings {
            url: Some("ftp://a/".into()),
            authorization: Some(Secret::new("a\nb")),
            timeout_millis: 0,
            ..HttpSettings::default()
        };
        let problems = Http::new(&wrong).unwrap_err();
        let named: Vec<_> = problems.iter().map(|problem| &*problem.setting).collect();
        assert_eq!(named, ["timeout_millis", "url", "authorization"]);
        let nobody = Http::new(&HttpSettings::default()).unwrap_err();
        assert_eq!(nobody[0].setting, "url");
        let open = HttpSettings {
            url: Some("http://auth.example.org/".into()),
            ..HttpSettings::default()
        };
        assert!(Http::new(&open).unwrap().weakness().is_some());
    }
}
