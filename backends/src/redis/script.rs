//! The script that places and announces a publication in one step.

use std::time::Duration;

use polywire_core::{Epoch, Position, Seq, Timetoken};
use redis::{Pipeline, Script, Value};

use super::envelope::number;

/// How long the place of a silent channel is remembered. After that its next publication begins a new
/// epoch, so that channels that nobody uses any more do not fill Redis.
const PLACE_TTL_SECS: u64 = 24 * 60 * 60;

/// How a publication is kept.
#[derive(Debug, Clone)]
pub(super) struct Keep {
    /// The key of the stream.
    pub(super) stream: String,
    pub(super) entries_max: Option<usize>,
    pub(super) age_max: Option<Duration>,
    pub(super) ttl: Option<Duration>,
}

/// `KEYS`: the place of the channel, the last timetoken. `ARGV`: the Redis channel, the body of the envelope,
/// the last timetoken that the publishing node knows, the life of the place in seconds, the id of the run
/// of the server, 1 for a publication that gets a number of its own or 0. For one that is kept, the third of
/// `KEYS` is its stream, and `ARGV` has the most entries, the greatest age in milliseconds and the time to live in
/// microseconds, each of them or nothing.
///
/// A server that was started again, or that took over from another, may have forgotten the last places
/// that were given. It runs under another id, and each channel begins a new epoch.
///
/// A timetoken has 17 digits and a Lua number 15: it is handled as microseconds and a last digit.
const SOURCE: &str = include_str!("assign_position.lua");

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
    pub(super) keep: Option<&'r Keep>,
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
            .arg(if run.keep.is_some() { 3 } else { 2 })
            .arg(run.place)
            .arg(run.timetoken);
        let pipeline = match run.keep {
            Some(keep) => pipeline.arg(&keep.stream),
            None => pipeline,
        };
        let day = PLACE_TTL_SECS.to_string();
        let life = match run.keep {
            None => day,
            // What can be read back goes on where it ended, however long ago that was.
            Some(Keep { age_max: None, .. }) => String::new(),
            Some(Keep {
                age_max: Some(age), ..
            }) => (age.as_secs() + PLACE_TTL_SECS).to_string(),
        };
        pipeline
            .arg(run.channel)
            .arg(run.body)
            .arg(run.floor.0)
            .arg(life)
            .arg(run.server_run)
            .arg(u8::from(run.counts))
            .arg(written(run.keep.and_then(|keep| keep.entries_max)))
            .arg(written(
                run.keep
                    .and_then(|keep| keep.age_max)
                    .map(|age| age.as_millis()),
            ))
            .arg(written(
                run.keep
                    .and_then(|keep| keep.ttl)
                    .map(|ttl| ttl.as_micros()),
            ));
    }
}

/// A number, or nothing.
fn written(number: Option<impl ToString>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
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
