//! What Redis keeps of a channel after a publication, and the places of channels.

use polywire_core::{Epoch, Timetoken};
use redis::{RedisError, RedisResult, Script, Value, aio::MultiplexedConnection};

use super::envelope::{self, Announced, number};

/// Bytes that one read takes at most, and one publication more.
const READ_BYTES_MAX: usize = 1 << 20;

/// The place of a channel in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) epoch: Epoch,
    /// The run of the server in which it was written.
    pub(super) run: String,
    /// Its last publication.
    pub(super) last: Timetoken,
}

/// What Redis keeps of a channel after a publication.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// The publications, the oldest first.
    pub(super) entries: Vec<Announced>,
    /// There are more, after these.
    pub(super) has_more: bool,
    pub(super) place: Option<Place>,
}

/// The keys of a channel.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) place: String,
    pub(super) window: String,
    /// Where messages are kept.
    pub(super) stream: Option<String>,
}

/// The scripts that read.
#[derive(Debug, Clone)]
pub(super) struct ReadScripts {
    missing: Script,
    places: Script,
}

impl Default for ReadScripts {
    fn default() -> Self {
        Self {
            missing: Script::new(include_str!("read_missing.lua")),
            places: Script::new(include_str!("compare_places.lua")),
        }
    }
}

impl ReadScripts {
    /// Reads what is kept of a channel after a publication.
    ///
    /// # Cancel safety
    /// It changes nothing.
    pub(super) async fn missing(
        &self,
        connection: &mut MultiplexedConnection,
        keys: &Keys,
        after: Timetoken,
    ) -> RedisResult<Missing> {
        let mut invocation = self.missing.key(&keys.place);
        invocation.key(&keys.window);
        if let Some(stream) = &keys.stream {
            invocation.key(stream);
        }
        let first = after.0.saturating_add(1);
        invocation.arg(format!("{}-{}", first / 10_000, first % 10_000));
        invocation.arg(READ_BYTES_MAX);
        let reply: Value = invocation.invoke_async(connection).await?;
        missing(reply).ok_or_else(|| unexpected("what is missing"))
    }

    /// Compares places with what the node has seen last. Gives those that differ, by their number.
    ///
    /// # Cancel safety
    /// It changes nothing.
    pub(super) async fn differing(
        &self,
        connection: &mut MultiplexedConnection,
        known: &[(impl AsRef<str>, Timetoken)],
        run: Option<&str>,
    ) -> RedisResult<Vec<(usize, Option<Place>)>> {
        let mut invocation = self.places.prepare_invoke();
        invocation.arg(run.unwrap_or_default());
        for (place, last) in known {
            invocation.key(place.as_ref()).arg(last.0);
        }
        let reply: Vec<Value> = invocation.invoke_async(connection).await?;
        differing(&reply).ok_or_else(|| unexpected("places"))
    }
}

fn unexpected(what: &'static str) -> RedisError {
    RedisError::from((
        redis::ErrorKind::UnexpectedReturnType,
        "Redis gave something else instead of",
        what.to_owned(),
    ))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

/// A place of three values; `None` within where there is none.
fn place(values: &[Value]) -> Option<Option<Place>> {
    let [epoch, run, last] = values else {
        return None;
    };
    let (epoch, run, last) = (text(epoch)?, text(run)?, text(last)?);
    let (Some(epoch), Some(last)) = (number(epoch.as_bytes()), number(last.as_bytes())) else {
        return Some(None);
    };
    Some(Some(Place {
        epoch: Epoch(epoch),
        run: run.to_owned(),
        last: Timetoken(last),
    }))
}

fn differing(reply: &[Value]) -> Option<Vec<(usize, Option<Place>)>> {
    let each = reply.chunks(4).map(|values| {
        let Some((Value::Int(number), rest)) = values.split_first() else {
            return None;
        };
        Some((usize::try_from(*number).ok()?.checked_sub(1)?, place(rest)?))
    });
    each.collect()
}

fn missing(reply: Value) -> Option<Missing> {
    let Value::Array(mut values) = reply else {
        return None;
    };
    let mut missing = Missing {
        place: place(values.get(..3)?)?,
        ..Missing::default()
    };
    let mut complete_up_to = Timetoken(u64::MAX);
    let mut parts = values.drain(3..);
    while let (Some(Value::Array(entries)), Some(Value::Int(has_more))) =
        (parts.next(), parts.next())
    {
        let mut last = None;
        for entry in entries {
            let Value::BulkString(bytes) = entry else {
                return None;
            };
            // What is not one of ours is not missing.
            if let Ok(announced) = envelope::decode(bytes.into()) {
                last = Some(announced.publication.position().timetoken);
                missing.entries.push(announced);
            }
        }
        if has_more != 0 {
            missing.has_more = true;
            complete_up_to = complete_up_to.min(last?);
        }
    }
    // Of the window and of the stream as much was read as fits: only up to the shorter of them nothing is left out.
    let at = |announced: &Announced| announced.publication.position().timetoken;
    missing.entries.retain(|one| at(one) <= complete_up_to);
    missing.entries.sort_by_key(at);
    missing.entries.dedup_by_key(|one| at(one));
    Some(missing)
}
