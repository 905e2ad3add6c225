//! The script that places and announces a publication in one step.

use polywire_core::{Epoch, Position, Seq, Timetoken};
use redis::{Pipeline, Script, Value};

use super::envelope::number;

/// How long the place of a silent channel is remembered. After that its next publication begins a new
/// epoch, so that channels that nobody uses any more do not fill Redis.
const PLACE_TTL_SECS: u64 = 24 * 60 * 60;

/// `KEYS`: the place of the channel, the last timetoken. `ARGV`: the Redis channel, the body of the envelope,
/// the last timetoken that the publishing node knows, the life of the place in seconds, the id of the run
/// of the server, 1 for a publication that gets a number of its own or 0.
///
/// A server that was started again, or that took over from another, may have forgotten the last places
/// that were given. It runs under another id, and each channel begins a new epoch.
///
/// A timetoken has 17 digits and a Lua number 15: it is handled as microseconds and a last digit.
const SOURCE: &str = include_str!("place.lua");

/// The script and its hash.
pub(super) struct PlaceScript {
    script: Script,
}

/// One run of the script.
pub(super) struct Run<'r> {
    pub(super) place: &'r str,
    pub(super) timetoken: &'r str,
    pub(super) channel: &'r str,
    pub(super) body: &'r [u8],
    pub(super) floor: Timetoken,
    pub(super) server_run: &'r str,
    /// It is to be stored, and so gets a number of its own.
    pub(super) counts: bool,
}

impl PlaceScript {
    pub(super) fn new() -> Self {
        Self {
            script: Script::new(SOURCE),
        }
    }

    /// Adds the command that makes the script known.
    pub(super) fn load(&self, pipeline: &mut Pipeline) {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(SOURCE);
    }

    /// Adds the command that runs the script.
    pub(super) fn run(&self, pipeline: &mut Pipeline, run: &Run<'_>) {
        pipeline
            .cmd("EVALSHA")
            .arg(self.script.get_hash())
            .arg(2)
            .arg(run.place)
            .arg(run.timetoken)
            .arg(run.channel)
            .arg(run.body)
            .arg(run.floor.0)
            .arg(PLACE_TTL_SECS)
            .arg(run.server_run)
            .arg(u8::from(run.counts));
    }
}

/// The id of the run of the server, from what it says of itself.
pub(super) fn server_run(info: &str) -> &str {
    let lines = info.lines();
    lines
        .filter_map(|line| line.strip_prefix("run_id:"))
        .next()
        .unwrap_or_default()
        .trim()
}

/// The place that the script answers with.
pub(super) fn position(reply: &Value) -> Option<Position> {
    let Value::Array(parts) = reply else {
        return None;
    };
    let [epoch, Value::Int(seq), timetoken] = &parts[..] else {
        return None;
    };
    Some(Position {
        epoch: Epoch(digits(epoch)?),
        seq: Seq(u64::try_from(*seq).ok()?),
        timetoken: Timetoken(digits(timetoken)?),
    })
}

fn digits(value: &Value) -> Option<u64> {
    match value {
        Value::BulkString(digits) => number(digits),
        _ => None,
    }
}
