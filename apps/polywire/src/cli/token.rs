//! Flags of `polywire token`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{ServerAddress, duration::duration};

/// What a token says, or for which protocol it is.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  polywire token --client ann --read 'chat/#' --write chat/ann --expires 8h --config polywire.toml
  polywire token --client d1 --role device --config polywire.toml
  polywire token webpubsub --config polywire.toml --hub chat --user ann

Exit codes: 0 printed, 2 wrong usage."
)]
pub struct TokenFlags {
    /// The protocol, where it has tokens of its own
    #[command(subcommand)]
    pub protocol: Option<TokenProtocol>,

    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub jwt: JwtTokenFlags,
}

/// What a JSON Web Token says.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
pub struct JwtTokenFlags {
    /// The client that its bearer is; without it nobody in particular
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,

    /// Channels to subscribe to, with who is there and stored messages: a name, or a wildcard such as news/#;
    /// may be repeated, as all of these
    #[arg(long, value_name = "CHANNEL")]
    pub read: Vec<String>,

    /// Channels to publish to
    #[arg(long, value_name = "CHANNEL")]
    pub write: Vec<String>,

    /// Channels to subscribe to only
    #[arg(long, value_name = "CHANNEL")]
    pub subscribe: Vec<String>,

    /// Channels where it may be seen who is there
    #[arg(long, value_name = "CHANNEL")]
    pub presence: Vec<String>,

    /// Channels whose stored messages may be read
    #[arg(long, value_name = "CHANNEL")]
    pub history: Vec<String>,

    /// Channels whose stored messages may be deleted
    #[arg(long, value_name = "CHANNEL")]
    pub delete: Vec<String>,

    /// Channels whose groups and grants may be changed; with * look into the server
    #[arg(long, value_name = "CHANNEL")]
    pub manage: Vec<String>,

    /// A role of the configuration; may be repeated
    #[arg(long, value_name = "NAME")]
    pub role: Vec<String>,

    /// How long it counts, such as 8h or 30m; 0 for ever, where the server takes such tokens
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub expires: Duration,

    /// The id by which it can be taken back [default: a random one]
    #[arg(long, value_name = "ID")]
    pub credential: Option<String>,

    /// The TOML file of the server, with the key to sign with in [[jwt.keys]]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The protocols whose clients show tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenProtocol {
    /// The URL with which a client of Azure Web PubSub connects.
    Webpubsub(WebPubSubTokenFlags),
}

/// What a client of Azure Web PubSub may do.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(after_help = "\
Examples:
  polywire token webpubsub --key KEY --hub chat --user ann --role webpubsub.joinLeaveGroup
  polywire token webpubsub --config polywire.toml --hub chat --role webpubsub.sendToGroup.news

Exit codes: 0 printed, 2 wrong usage.")]
pub struct WebPubSubTokenFlags {
    /// The hub
    #[arg(long, value_name = "HUB", default_value = "default")]
    pub hub: String,

    /// The user that the client is
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// What it may do: webpubsub.joinLeaveGroup, webpubsub.sendToGroup, each for one group with .GROUP at its
    /// end; may be repeated
    #[arg(long, value_name = "ROLE")]
    pub role: Vec<String>,

    /// A group that it is in from the start; may be repeated
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,

    /// How long it may connect with the token, such as 3600s
    #[arg(long, value_name = "TIME", default_value = "3600s", value_parser = duration)]
    pub expires: Duration,

    /// The server, as its clients reach it
    #[arg(
        long,
        short,
        value_name = "HOST:PORT|URL",
        default_value = "127.0.0.1:8080"
    )]
    pub server: ServerAddress,

    /// The access key; without it the one of the configuration
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,

    /// The TOML file of the server
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
