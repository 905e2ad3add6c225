//! Flags of `polywire bench`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::{ServerAddress, duration::duration};

/// What to measure, and how.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(after_help = "\
Examples:
  polywire bench knsock --pid $(pgrep -x polywire)
  polywire bench knsock --window 16 --pid PID       saturated: as fast as it goes
  polywire bench seth --rate 100 --pid PID          paced: no batching to hide in
  polywire bench seth --subs 5000 --idle --pid PID  memory of idle connections
  taskset -c 0 polywire bench serve-floor --addr 127.0.0.1:7100
  taskset -c 1 polywire bench floor --addr 127.0.0.1:7100 --window 16 --pid PID

Only ratios to the floor, measured in the same minutes on the same machine, can be compared with those of
others. Exit codes: 0 measured, 1 the server refused or went away, 2 wrong usage.")]
pub struct BenchFlags {
    /// The protocol to speak, or serve-floor
    #[arg(value_name = "PROTOCOL")]
    pub protocol: BenchProtocol,

    /// The server, or the address that serve-floor listens on. With https:// or tls:// it is spoken to
    /// with TLS
    #[arg(long, value_name = "HOST:PORT|URL", default_value = "127.0.0.1:8080")]
    pub addr: ServerAddress,

    /// Trust the certificates in this PEM file, instead of those that the system trusts
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// How many subscribers, spread over the channels
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = count)]
    pub subs: usize,

    /// How many channels
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = count)]
    pub channels: usize,

    /// How many publishers; each channel has one of them, so that its order can be checked
    #[arg(long, value_name = "P", default_value_t = 1, value_parser = count)]
    pub pubs: usize,

    /// Bytes of a message, at least 32
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = size)]
    pub size: usize,

    /// How long to measure, such as 5s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub secs: Duration,

    /// Publish this many messages a second, of all publishers together
    #[arg(long, value_name = "R", conflicts_with = "window", value_parser = rate)]
    pub rate: Option<f64>,

    /// Publish as fast as it goes, with this many messages on their way
    #[arg(long, value_name = "W", default_value_t = 16, value_parser = count)]
    pub window: usize,

    /// A process of the server, whose CPU time and memory are measured (its children too); may be repeated
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,

    /// Publish nothing: only connect, subscribe, and measure the memory of idle connections
    #[arg(long)]
    pub idle: bool,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What the load is spoken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum BenchProtocol {
    /// No protocol: what serve-floor serves
    Floor,
    /// Seth-Pusher: subscribers on raw WebSockets, publishers on the HTTP API
    Seth,
    /// kn-sock: JSON lines over TCP
    Knsock,
    /// Do not measure but serve: bytes framed once to every subscriber, nothing else. The physical limit
    ServeFloor,
}

fn count(text: &str) -> Result<usize, String> {
    number(text, 1)
}

fn size(text: &str) -> Result<usize, String> {
    number(text, 32)
}

fn number(text: &str, least: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("use a whole number from {least}")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("use a number above 0".into()),
    }
}
