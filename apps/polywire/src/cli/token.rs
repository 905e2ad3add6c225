//! Flags of `polywire token`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{ServerAddress, duration::duration};

/// For which protocol.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
pub struct TokenFlags {
    /// For which protocol
    #[command(subcommand)]
    pub protocol: TokenProtocol,
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
