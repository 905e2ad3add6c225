//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::apps::AppName;

mod bench;
mod duration;
mod history;
mod keygen;
mod publish;
mod revoke;
mod server;
mod subscribe;
mod token;
mod transfer;

pub use self::{
    bench::{BenchFlags, BenchProtocol},
    history::HistoryFlags,
    keygen::KeygenFlags,
    publish::PublishFlags,
    revoke::RevokeFlags,
    server::{InvalidAddress, ServerAddress, ServerFlags},
    subscribe::SubscribeFlags,
    token::{JwtTokenFlags, TokenFlags, TokenProtocol, WebPubSubTokenFlags},
    transfer::{ExportFlags, ImportFlags, StoreFlags},
};

/// A real-time messaging server: PubNub, Azure Web PubSub, MQTT, SockJS and JSON-over-TCP clients share one
/// channel space.
#[derive(Debug, Parser)]
#[command(name = "polywire", version, arg_required_else_help = false)]
pub struct Cli {
    /// What to do; without a command the server starts with everything in memory on loopback.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server (this is what happens without a command).
    ///
    /// Every setting can also stand in a TOML file (--config) and in the environment (POLYWIRE_PORT,
    /// POLYWIRE_API_KEY__KEY_NAME); flags count more than the environment, and that more than the file.
    Serve(ServeFlags),

    /// Publish messages to a channel.
    ///
    /// Speaks kn-sock, or with --header or --query the HTTP API of Seth-Pusher. kn-sock has no answers, so the end is a message to itself: when it has come
    /// back, the server has read everything before it. Messages that the server reads but refuses (a channel
    /// name over its limit, say) are not noticed.
    Pub(PublishFlags),

    /// Print the messages of channels as they come: local time, channel, publisher, message.
    ///
    /// Speaks Seth-Pusher over one WebSocket for each channel, because that shows who published, where the
    /// publisher named itself (`-` where not). Notices of who comes and goes are not printed; other clients
    /// of Seth-Pusher see this one come and go as user None.
    Sub(SubscribeFlags),

    /// Print the history of a channel, where the server keeps one: time, channel, publisher, message.
    ///
    /// Reads it over HTTP, whatever protocol the messages came by.
    History(HistoryFlags),

    /// Write what a store holds to standard output, one JSON object a line.
    Export(ExportFlags),

    /// Put what export has written into a store.
    Import(ImportFlags),

    /// Print a token with which a client can connect.
    ///
    /// It is a JSON Web Token, signed with the first key of [[jwt.keys]] that can sign; or that of a protocol which has
    /// tokens of its own. The server need not run, or be reached.
    Token(TokenFlags),

    /// Print the hash of a password, for [[roles.users]].
    ///
    /// The password is the first line of standard input.
    HashPassword,

    /// Print a key for channels of the Emitter protocol.
    ///
    /// The server knows it by its master key: it need not run, or be reached.
    Keygen(KeygenFlags),

    /// Take rights back on a running server, on all of its nodes: whoever is connected by them is sent away within a second.
    Revoke(RevokeFlags),

    /// Measure a server: deliveries per second, latency, loss, CPU per delivery, memory per connection.
    ///
    /// One thread opens the connections, publishes messages that carry the time and a number, and counts
    /// them where they arrive. Put the server and this on cores of their own (taskset -c).
    Bench(BenchFlags),
}

impl Default for Command {
    fn default() -> Self {
        Self::Serve(ServeFlags::default())
    }
}

/// Flags of `polywire serve`. What is not given is left out, so that it does not hide the other sources.
#[derive(Debug, Clone, Default, Args, Serialize)]
#[non_exhaustive]
pub struct ServeFlags {
    /// An app to serve; may be repeated. Without it: all of them.
    #[arg(long, value_name = "NAME", help = help_of_app())]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app: Vec<String>,

    /// What carries messages between processes: memory, or a redis:// or rediss:// URL [default: memory]. A URL with a
    /// password had better stand in a file (--backend-file), or in the environment (POLYWIRE_BACKEND): others on the machine can
    /// read the command line
    #[arg(long, value_name = "memory|URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,

    /// A file whose first line is the backend, for a URL with a password
    #[arg(long, value_name = "FILE", conflicts_with = "backend")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_file: Option<PathBuf>,

    /// Who somebody is and what they may do: echo (anybody everything), api-key, header, jwt, roles or http; or several,
    /// such as api-key,jwt, of which one is enough [default: echo]
    #[arg(long, value_name = "POLICY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,

    /// Where messages are kept: none, memory, disk, redis, or the http:// URL they are posted to [default: disk
    /// with --data-dir, none with a Redis backend, else memory]
    #[arg(long, value_name = "none|memory|disk|redis|URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<String>,

    /// Keep messages on disk in this directory, which is made when it is not there
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,

    /// The address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,

    /// The port to listen on; 0 takes any free one [default: 8080]
    #[arg(long, value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,

    #[command(flatten)]
    #[serde(skip_serializing_if = "TlsFlags::is_empty")]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub tls: TlsFlags,

    /// Serve the debug APIs, and log more. `--debug` and `--debug=true` are the same.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "true|false")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<bool>,

    /// Accept default secrets and open policies on an address that others can reach
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "true|false")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_network: Option<bool>,

    /// What to log: off, error, warn, info, debug, trace, or a list such as info,polywire_core=debug
    /// [default: info]
    #[arg(long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,

    /// How to log on standard error: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<String>,

    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

impl ServeFlags {
    /// The flag that has a password in it, which others on the machine can read.
    pub fn with_password(&self) -> Option<&'static str> {
        let has_password = |url: &Option<String>| {
            let url = url.as_deref().and_then(|url| url.split_once("://"));
            let user = url.and_then(|(_, rest)| rest.rsplit_once('@'));
            user.is_some_and(|(user, _)| user.contains(':'))
        };
        let flags = [
            ("--backend", &self.backend),
            ("--persistence", &self.persistence),
        ];
        let found = flags.iter().find(|(_, url)| has_password(url));
        found.map(|(flag, _)| *flag)
    }
}

/// Says which apps there are.
fn help_of_app() -> String {
    let known = AppName::list();
    format!("An app to serve; may be repeated. Known: {known}. Without it: all of them")
}

/// Flags of TLS on the common port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize)]
#[non_exhaustive]
pub struct TlsFlags {
    /// The certificate chain, in PEM: TLS is served on the port, beside plain connections
    #[arg(long = "tls-certificate", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long = "tls-key", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,

    /// Refuse connections without TLS
    #[arg(long = "tls-only", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "true|false")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<bool>,
}

impl TlsFlags {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_password_on_the_command_line_is_noticed() {
        let flags = |backend: &str, persistence: &str| ServeFlags {
            backend: Some(backend.into()),
            persistence: Some(persistence.into()),
            ..ServeFlags::default()
        };
        let open = "redis://10.0.0.1:6379/1";
        assert_eq!(flags("memory", "disk").with_password(), None);
        assert_eq!(flags(open, "http://a.example:80/x").with_password(), None);
        for url in [
            "redis://:secret@h",
            "rediss://me:secret@h:1/2",
            "redis://a:p@ss@h",
        ] {
            assert_eq!(flags(url, "none").with_password(), Some("--backend"));
            assert_eq!(flags(open, url).with_password(), Some("--persistence"));
        }
    }

    #[test]
    fn debug_takes_a_value_only_after_an_equals_sign() {
        let debug = |args: &[&str]| match Cli::try_parse_from(args).unwrap().command {
            Some(Command::Serve(flags)) => flags.debug,
            _ => None,
        };
        assert_eq!(debug(&["polywire", "serve", "--debug"]), Some(true));
        assert_eq!(debug(&["polywire", "serve", "--debug=false"]), Some(false));
        assert_eq!(debug(&["polywire", "serve"]), None);
        assert_eq!(debug(&["polywire"]), None);
    }
}
