//! The list of channels that were silent for a minute before their last publication.

use polywire_core::Timetoken;
use redis::{RedisResult, Value, aio::MultiplexedConnection};

use super::envelope::number;

/// Entries that are read at once.
const ENTRIES_MAX: usize = 10_000;

/// A part of the list.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Redis channels, with the time of their publication.
    pub(super) channels: Vec<(String, Timetoken)>,
    /// The time of the last one that was read.
    pub(super) up_to: Timetoken,
}

/// Reads on after a time.
pub(super) async fn read_listed(
    mut connection: MultiplexedConnection,
    key: String,
    after: Timetoken,
) -> RedisResult<Listed> {
    let mut command = redis::cmd("XRANGE");
    let first = after.0.saturating_add(1);
    command
        .arg(key)
        .arg(format!("{}-{}", first / 10_000, first % 10_000))
        .arg("+")
        .arg("COUNT")
        .arg(ENTRIES_MAX);
    let entries: Vec<Value> = command.query_async(&mut connection).await?;
    let channels: Vec<_> = entries.iter().filter_map(entry).collect();
    let up_to = channels.last().map_or(after, |(_, at)| *at);
    Ok(Listed { channels, up_to })
}

fn entry(value: &Value) -> Option<(String, Timetoken)> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [Value::BulkString(id), Value::Array(fields)] = &parts[..] else {
        return None;
    };
    let Some(Value::BulkString(channel)) = fields.last() else {
        return None;
    };
    let dash = id.iter().position(|byte| *byte == b'-')?;
    let (millis, rest) = (number(&id[..dash])?, number(&id[dash + 1..])?);
    let at = Timetoken(millis.checked_mul(10_000)?.checked_add(rest)?);
    Some((String::from_utf8(channel.clone()).ok()?, at))
}
