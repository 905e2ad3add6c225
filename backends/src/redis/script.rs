//! The script that places, keeps and announces publications: many in one step.

use std::time::Duration;

use polywire_core::Timetoken;
use redis::{Pipeline, Script, Value};

use super::envelope::Placed;

/// How long the place of a silent channel is remembered. After that its next publication begins a new
/// epoch, so that channels that nobody uses any more do not fill Redis. It is set at most once an hour.
const PLACE_TTL_SECS: u64 = 25 * 60 * 60;

/// Publications of a channel that its window has at most, and bytes of them: what a node that missed some can read
/// without history. The script bounds it by time, too.
pub(super) const WINDOW_ENTRIES_MAX: usize = 1000;
const WINDOW_BYTES_MAX: usize = 1 << 20;

/// How a publication is kept.
#[derive(Debug, Clone)]
pub(super) struct Keep {
    /// The key of the stream.
    pub(super) stream: String,
    pub(super) entries_max: Option<usize>,
    pub(super) age_max: Option<Duration>,
    pub(super) ttl: Option<Duration>,
}

impl Keep {
    /// True when all that the window would have is kept anyway.
    fn covers_the_window(&self) -> bool {
        let minutes = Duration::from_secs(120);
        self.ttl.is_none()
            && self.entries_max.is_none_or(|max| max >= WINDOW_ENTRIES_MAX)
            && self.age_max.is_none_or(|age| age >= minutes)
    }
}

/// The script.
///
/// `KEYS`: the last timetoken, the list of channels that were silent; then for each publication its place, its window,
/// and, where it is kept, its stream. `ARGV`: the last timetoken that the publishing node knows, the id of the run of the
/// server; then for each publication the Redis channel, the body of the envelope, 1 for one that gets a number of its own
/// or 0, 1 for one that is kept or 0, the most entries of the window or nothing, the life of the place in seconds or
/// nothing; and where it is kept the most entries, the greatest age in milliseconds and the time to live in microseconds,
/// each of them or nothing. It answers with the place of each, or the error that refused it.
///
/// A server that was started again, or that took over from another, may have forgotten the last places
/// that were given. It runs under another id, and each channel begins a new epoch.
///
/// A timetoken has 17 digits and a Lua number 15: it is handled as microseconds and a last digit.
const SOURCE: &str = include_str!("publish.lua");

/// The script and its hash.
pub(super) struct PublishScript {
    script: Script,
}

/// A publication that the script is given.
pub(super) struct Run<'r> {
    pub(super) place: &'r str,
    pub(super) window: &'r str,
    pub(super) channel: &'r str,
    pub(super) body: &'r [u8],
    /// It is to be stored, and so gets a number of its own.
    pub(super) counts: bool,
    pub(super) keep: Option<&'r Keep>,
}

/// What all publications of a step have in common.
pub(super) struct Common<'r> {
    pub(super) timetoken: &'r str,
    pub(super) listed: &'r str,
    pub(super) floor: Timetoken,
    pub(super) server_run: &'r str,
}

impl PublishScript {
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
    pub(super) fn run(&self, pipeline: &mut Pipeline, common: &Common<'_>, runs: &[Run<'_>]) {
        let kept = runs.iter().filter(|run| run.keep.is_some()).count();
        let pipeline = pipeline.cmd("EVALSHA").arg(self.script.get_hash());
        pipeline
            .arg(2 + 2 * runs.len() + kept)
            .arg(common.timetoken)
            .arg(common.listed);
        for run in runs {
            pipeline.arg(run.place).arg(run.window);
            if let Some(keep) = run.keep {
                pipeline.arg(&keep.stream);
            }
        }
        pipeline.arg(common.floor.0).arg(common.server_run);
        for run in runs {
            run.write(pipeline);
        }
    }
}

impl Run<'_> {
    fn write(&self, pipeline: &mut Pipeline) {
        let window = match self.keep {
            Some(keep) if keep.covers_the_window() => None,
            _ => Some((WINDOW_BYTES_MAX / self.body.len().max(1)).clamp(1, WINDOW_ENTRIES_MAX)),
        };
        let life = match self.keep.map(|keep| keep.age_max) {
            None => Some(PLACE_TTL_SECS),
            // What can be read back goes on where it ended, however long ago that was.
            Some(None) => None,
            Some(Some(age)) => Some(age.as_secs().saturating_add(PLACE_TTL_SECS)),
        };
        pipeline
            .arg(self.channel)
            .arg(self.body)
            .arg(u8::from(self.counts))
            .arg(u8::from(self.keep.is_some()))
            .arg(written(window))
            .arg(written(life));
        if let Some(keep) = self.keep {
            pipeline
                .arg(written(keep.entries_max))
                .arg(written(keep.age_max.map(|age| age.as_millis())))
                .arg(written(keep.ttl.map(|ttl| ttl.as_micros())));
        }
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
pub(super) fn placed(reply: &Value) -> Option<Placed> {
    match reply {
        Value::BulkString(line) => Placed::read(std::str::from_utf8(line).ok()?, true),
        _ => None,
    }
}
