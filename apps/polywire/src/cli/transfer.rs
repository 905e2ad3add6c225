//! Flags of `polywire export` and `polywire import`.

use std::path::PathBuf;

use clap::Args;

/// Which store.
#[derive(Debug, Clone, Default, Args)]
#[non_exhaustive]
pub struct StoreFlags {
    /// The data directory; no server may be using it
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// A TOML file with settings, as for serve
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to export.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(after_help = "\
Examples:
  polywire export --data-dir data > backup.jsonl
  polywire export --data-dir data --channel news | jq .data

Exit codes: 0 exported, 1 broken off, 2 wrong usage, or the store cannot be opened.")]
pub struct ExportFlags {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub store: StoreFlags,

    /// Only this channel; may be repeated
    #[arg(long, value_name = "CHANNEL")]
    pub channel: Vec<String>,
}

/// What to import.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(after_help = "\
Examples:
  polywire import --data-dir data backup.jsonl
  ssh old polywire export --data-dir data | polywire import --data-dir data

Messages keep their places and times. What a channel has already, or what is older than its last message, is left out.

Exit codes: 0 imported, 1 broken off (what was before is imported), 2 wrong usage, or the store cannot be opened.")]
pub struct ImportFlags {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub store: StoreFlags,

    /// What export has written; without it standard input
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}
