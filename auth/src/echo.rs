//! The policy that always says yes.

use async_trait::async_trait;
use polywire_core::{AuthenticationError, AuthenticationPolicy, Credentials, Identity};

/// Lets everybody do everything. For a server that only trusted programs can reach.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

#[async_trait]
impl AuthenticationPolicy for Echo {
    async fn authenticate(&self, _: &Credentials) -> Result<Identity, AuthenticationError> {
        Ok(Identity::unrestricted())
    }

    fn weakness(&self) -> Option<String> {
        Some(
            "The authentication policy lets everybody do everything: choose one that asks for a \
             secret, such as an API key, or listen on 127.0.0.1."
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polywire_core::testkit;

    #[tokio::test]
    async fn keeps_the_laws() {
        let accepted = [Credentials::default(), Credentials::for_app("seth")];
        testkit::authentication_laws(|| Echo, &accepted, &[], &[]).await;
        assert!(Echo.weakness().is_some());
    }
}
