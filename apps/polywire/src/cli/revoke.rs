//! Flags of `polywire revoke`.

use clap::{ArgGroup, Args};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;

use super::{ServerFlags, server::header};

/// What to take back, and where.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(group = ArgGroup::new("what").required(true).args(["client", "credential", "issued_before"]))]
#[command(after_help = "\
Examples:
  polywire revoke --client ann
  polywire revoke --credential 7f3a9c --query api_key=secret
  polywire revoke --issued-before 2026-11-30T09:00:00Z --header 'Authorization: Bearer eyJ…'

Exit codes: 0 revoked, 1 no server, or refused, 2 wrong usage.")]
pub struct RevokeFlags {
    /// Everything that this client was given until now; what it is given later counts again
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,

    /// One credential: the jti of a token, or what the audit log calls it
    #[arg(long, value_name = "ID")]
    pub credential: Option<String>,

    /// Everything that was issued before this time, such as 2026-11-30T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub issued_before: Option<Timestamp>,

    /// Give back what was taken before
    #[arg(long)]
    pub lift: bool,

    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub server: ServerFlags,

    /// A header to show of oneself, where the server asks for one; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(HeaderName, HeaderValue)>,

    /// What to show of oneself, as a query string such as api_key=secret, where the server asks for it
    #[arg(long, value_name = "QUERY")]
    pub query: Option<String>,
}
