//! Revoking: rights are taken back on all nodes, and given back.

use std::time::SystemTime;

use super::{Revocation, Space, audit, revoked::Kept};
use crate::{
    dispatcher::{Refusal, RefusalKind},
    identity::CredentialId,
};

/// Bytes of the id of a client or a credential that is revoked.
const KEY_BYTES_MAX: usize = 2 << 10;

impl Space {
    /// Takes rights back on all nodes: no credential counts any more that it is about, and who is connected by one is sent
    /// away within a second. It stays so until it is [lifted](Self::lift_revocation), or for as long as one node lives where
    /// nothing is kept.
    ///
    /// # Errors
    /// `LimitExceeded` when as many are kept as can be, `Unavailable` when other nodes may not know.
    ///
    /// # Cancel safety
    /// A dropped future has revoked or not.
    pub async fn revoke(&self, revocation: &Revocation) -> Result<(), Refusal> {
        self.revoke_until(revocation, None).await
    }

    /// The same of what ends by itself then, and need not be kept longer.
    ///
    /// # Errors
    /// As for `revoke`.
    ///
    /// # Cancel safety
    /// A dropped future has revoked or not.
    pub async fn revoke_until(
        &self,
        revocation: &Revocation,
        until: Option<SystemTime>,
    ) -> Result<(), Refusal> {
        let key = revocation.key();
        if key.len() > KEY_BYTES_MAX {
            return Err(Refusal::limit_exceeded(format!(
                "What is revoked has an id of {KEY_BYTES_MAX} bytes at most."
            )));
        }
        if let Revocation::IssuedBefore(before) = revocation
            && self
                .revoked
                .issued_before()
                .is_some_and(|later| later >= *before)
        {
            // More than this was taken back already.
            return Ok(());
        }
        self.keep_revocation(key.clone(), Some(revocation.kept(until)))
            .await?;
        tracing::info!(target: audit::TARGET, outcome = "revoked", of = key);
        Ok(())
    }

    /// Gives rights back that were [taken](Self::revoke).
    ///
    /// # Errors
    /// As for `revoke`.
    ///
    /// # Cancel safety
    /// A dropped future has lifted it or not.
    pub async fn lift_revocation(&self, revocation: &Revocation) -> Result<(), Refusal> {
        let key = revocation.key();
        self.keep_revocation(key.clone(), None).await?;
        tracing::info!(target: audit::TARGET, outcome = "lifted", of = key);
        Ok(())
    }

    /// True when a credential was taken back: for a protocol that is asked about credentials that nobody shows.
    pub fn is_revoked(&self, credential: &CredentialId) -> bool {
        self.revoked.has_credential(credential)
    }

    async fn keep_revocation(&self, key: String, kept: Option<Kept>) -> Result<(), Refusal> {
        let keeper = self.revoked.keeper();
        let keeper = keeper
            .ok_or_else(|| Refusal::new(RefusalKind::Unavailable, "The server is not ready."))?;
        keeper.keep(key, kept).await
    }
}
