//! Flags of `polywire pub`.

use std::time::Duration;

use clap::Args;

use super::{ServerFlags, duration::duration, server::header};
use http::{HeaderName, HeaderValue};

/// What to publish, and where.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(after_help = "\
Examples:
  polywire pub news 'hello, all of you'
  polywire pub news --json '{\"my\": \"data\"}'
  tail -f access.log | polywire pub log --lines
  polywire pub news tick --count 10 --interval 1s
  polywire pub news hello --server tls://chat.example.org:8443 --ca ca.pem
  polywire pub news --json '{\"my\": \"data\"}' --header 'Seth-Authentication-Header: Seth-Value'

Exit codes: 0 published, 1 not published (no server, connection lost, refused), 2 wrong usage.")]
pub struct PublishFlags {
    /// The channel
    #[arg(value_name = "CHANNEL")]
    pub channel: String,

    /// The message; without it, or as `-`, each line of standard input is one
    #[arg(value_name = "MESSAGE", allow_hyphen_values = true)]
    pub message: Option<String>,

    /// Publish each line of standard input as it comes
    #[arg(long, conflicts_with = "message")]
    pub lines: bool,

    /// Insist that messages are JSON, and publish them as such; else they are texts
    #[arg(long)]
    pub json: bool,

    /// How many times to publish each message
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub count: u64,

    /// How long to wait between two messages, such as 1s or 250ms
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub interval: Option<Duration>,

    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub server: ServerFlags,

    /// What to show of oneself, where the server asks kn-sock clients for it
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,

    /// Publish over the HTTP API, which takes JSON objects, with this header; may be repeated
    #[arg(
        long,
        short = 'H',
        value_name = "NAME: VALUE",
        value_parser = header,
        requires = "json",
        conflicts_with = "token"
    )]
    pub header: Vec<(HeaderName, HeaderValue)>,

    /// Publish over the HTTP API, which takes JSON objects, with this query string, such as api_key=secret
    #[arg(
        long,
        value_name = "QUERY",
        requires = "json",
        conflicts_with = "token"
    )]
    pub query: Option<String>,
}
