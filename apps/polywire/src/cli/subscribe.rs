//! Flags of `polywire sub`.

use clap::{ArgGroup, Args};
use http::{HeaderName, HeaderValue};

use super::{ServerFlags, server::header};

/// What to listen to, and how to show it.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(group = ArgGroup::new("what").args(["channels", "user"]).multiple(true).required(true))]
#[command(after_help = "\
Examples:
  polywire sub news weather
  polywire sub news --json | jq .message
  polywire sub news --raw --count 1
  polywire sub --user ann
  polywire sub news --server https://chat.example.org --header 'Seth-Authentication-Header: Seth-Value'

Exit codes: 0 stopped (Ctrl-C, --count, or nobody reads the output), 1 no server or connection lost, 2 wrong usage.")]
pub struct SubscribeFlags {
    /// The channels
    #[arg(value_name = "CHANNEL")]
    pub channels: Vec<String>,

    /// Print the private messages of this user too
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Print only the message: a text as it is, everything else as JSON
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,

    /// Print one JSON object a line: channel (or user), time, publisher, message
    #[arg(long)]
    pub json: bool,

    /// Exit after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

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
