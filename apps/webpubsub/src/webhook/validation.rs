//! Validation of a webhook: whether this server may post to it, asked once.

use std::{future::Future, sync::OnceLock, time::Duration};

use reqwest::header::{HeaderMap, HeaderName};
use tokio::time::Instant;

/// Time for which a refusal stands before it is asked again.
const REFUSED: Duration = Duration::from_secs(10);

const ALLOWED: HeaderName = HeaderName::from_static("webhook-allowed-origin");

/// What is known about the permission to post.
#[derive(Default)]
pub(super) struct Validation {
    given: OnceLock<()>,
    /// When it was refused last, and why. Whoever comes while it is being asked waits for that answer.
    refused: tokio::sync::Mutex<Option<(Instant, String)>>,
}

impl Validation {
    /// Asks if that is not known.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn ensure<F>(&self, ask: impl FnOnce() -> F) -> Result<(), String>
    where
        F: Future<Output = Result<(), String>>,
    {
        if self.given.get().is_some() {
            return Ok(());
        }
        let mut refused = self.refused.lock().await;
        if self.given.get().is_some() {
            return Ok(());
        }
        if let Some((at, why)) = &*refused
            && at.elapsed() < REFUSED
        {
            return Err(why.clone());
        }
        match ask().await {
            Ok(()) => {
                let _ = self.given.set(());
                Ok(())
            }
            Err(why) => {
                *refused = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }
}

/// True when an answer allows this origin.
pub(super) fn allows(headers: &HeaderMap, origin: &str) -> bool {
    headers
        .get_all(ALLOWED)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn an_origin_is_among_those_of_several_headers() {
        let mut headers = HeaderMap::new();
        assert!(!allows(&headers, "h:80"));
        headers.append(ALLOWED, "a.example, H:80".parse().unwrap());
        headers.append(ALLOWED, "b.example".parse().unwrap());
        assert!(allows(&headers, "h:80") && allows(&headers, "b.example"));
        assert!(!allows(&headers, "h"));
        headers.append(ALLOWED, "*".parse().unwrap());
        assert!(allows(&headers, "h"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_stands_for_a_while_and_a_permission_for_good() {
        let (validation, asked) = (Validation::default(), AtomicUsize::new(0));
        let ask = |answer: Result<(), &str>| {
            let answer = answer.map_err(str::to_owned);
            validation.ensure(|| async {
                asked.fetch_add(1, Ordering::Relaxed);
                answer
            })
        };
        assert_eq!(ask(Err("no")).await.unwrap_err(), "no");
        assert_eq!(ask(Ok(())).await.unwrap_err(), "no");
        tokio::time::advance(REFUSED).await;
        assert_eq!(ask(Ok(())).await, Ok(()));
        assert_eq!(ask(Err("never asked")).await, Ok(()));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
