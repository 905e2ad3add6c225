//! Flags of `polywire keygen`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::duration::duration;

/// What a key of the Emitter protocol is for.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(after_help = "\
Examples:
  polywire keygen a/b/ --master-key KEY
  polywire keygen 'sensors/#/' --permissions rl --expires 24h --config polywire.toml

Exit codes: 0 printed, 2 wrong usage.")]
pub struct KeygenFlags {
    /// The channel: a/b/ is one, a/+/ has any one level there, a/#/ is a/ and all below
    #[arg(value_name = "CHANNEL")]
    pub channel: String,

    /// What may be done with the key: r subscribe, w publish, s store, l load, p presence, e extend, x execute
    #[arg(long, value_name = "LETTERS", default_value = "rwslp", value_parser = letters)]
    pub permissions: String,

    /// How long the key is valid, such as 24h; without it for ever
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub expires: Option<Duration>,

    /// The master key of the server; without it the one of the configuration
    #[arg(long, value_name = "KEY")]
    pub master_key: Option<String>,

    /// The TOML file of the server
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

fn letters(text: &str) -> Result<String, String> {
    if text.chars().all(|letter| "rwslpex".contains(letter)) {
        Ok(text.to_owned())
    } else {
        Err("use some of the letters r, w, s, l, p, e and x".into())
    }
}
