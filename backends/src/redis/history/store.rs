//! The history itself.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bytes::Bytes;
use polywire_core::{
    Annotation, BackendError, Durability, Epoch, History, HistoryError, Order, Page, PersistResult,
    PersistenceError, PersistencePolicy, Position, Publication, Query, Rules, Seq, Span, Stored,
    Target, Timetoken,
};
use redis::{Pipeline, RedisError, Script, Value};

use super::{
    annotation_codec,
    connection::{Ask, Connection},
};
use crate::redis::{
    envelope::{self, PublishId, number},
    names::Names,
    settings::RedisSettings,
};

/// Entries that are asked for at first; then as many as are likely to fit into a page.
const FIRST: usize = 32;
const ENTRIES_MAX: usize = 1000;
/// Entries that are deleted at once.
const DELETE_AT_ONCE: usize = 500;

/// Keeps publications in Redis streams, one for each channel, where every node reads them.
///
/// With the backend [`Redis`](crate::Redis) a publication is placed, kept and announced in one step: see
/// [`Redis::with_history`](crate::Redis::with_history). As the policy of a node with another backend it keeps
/// what that node publishes, before anybody gets it.
///
/// A [`Rule`](polywire_core::Rule) bounds a channel by number and age; Redis trims in blocks, so that a few more
/// may stay for a while. Bytes are not counted there. How safe it is once Redis has it is a setting of the
/// Redis server (`appendonly`, `appendfsync`).
pub struct RedisHistory {
    connection: Connection,
    names: Names,
    rules: Rules,
    scripts: Scripts,
}

struct Scripts {
    keep: Script,
    count: Script,
    delete: Script,
    annotate: Script,
    remove: Script,
    annotations_of: Script,
    annotations: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            keep: Script::new(include_str!("keep.lua")),
            count: Script::new(include_str!("count.lua")),
            delete: Script::new(include_str!("delete.lua")),
            annotate: Script::new(include_str!("annotate.lua")),
            remove: Script::new(include_str!("remove.lua")),
            annotations_of: Script::new(include_str!("annotations_of.lua")),
            annotations: Script::new(include_str!("annotations.lua")),
        }
    }
}

impl RedisHistory {
    /// Checks the settings; connects when it is needed.
    ///
    /// # Errors
    /// [`BackendError::Configuration`] when a setting is wrong.
    pub fn new(settings: &RedisSettings, rules: Rules) -> Result<Self, BackendError> {
        let client = settings.client()?;
        let (connect, response) = (settings.connect_timeout(), settings.response_timeout());
        Ok(Self {
            connection: Connection::new(client, connect, response),
            names: Names::new(&settings.prefix),
            rules,
            scripts: Scripts::default(),
        })
    }

    pub(in crate::redis) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What is older has gone by the rule, though Redis may still have it.
    fn limits(&self, target: &Target, span: Span) -> Span {
        match self.rules.of(target).age_max {
            None => span,
            Some(age) => {
                let age = u64::try_from(age.as_nanos() / 100).unwrap_or(u64::MAX);
                let from = Timetoken((now_micros() * 10).saturating_sub(age));
                span.and(Span::from(from..=Timetoken(u64::MAX)))
            }
        }
    }

    async fn annotations_of(
        &self,
        target: &Target,
        entries: &mut [Stored],
    ) -> Result<(), HistoryError> {
        if entries.is_empty() {
            return Ok(());
        }
        let (order, annotations) = (self.names.annotated(target), self.names.annotations(target));
        let mut invocation = self.scripts.annotations_of.prepare_invoke();
        invocation.key(order).key(annotations);
        for entry in entries.iter() {
            invocation.arg(digits(entry.publication.position().timetoken));
        }
        let found: Vec<(usize, Vec<u8>, Vec<u8>)> = self
            .connection
            .ask(Ask::Script(&invocation))
            .await
            .map_err(failed)?;
        for (place, at, text) in found {
            if let (Some(entry), Some(at)) = (entries.get_mut(place), number(&at)) {
                entry
                    .annotations
                    .extend(annotation_codec::read(Timetoken(at), text.into()));
            }
        }
        Ok(())
    }
}

/// A timetoken as the id of an entry: milliseconds, and tenths of a microsecond in it.
fn id(timetoken: Timetoken) -> String {
    format!("{}-{}", timetoken.0 / 10_000, timetoken.0 % 10_000)
}

/// A timetoken in digits that sort like numbers.
fn digits(timetoken: Timetoken) -> String {
    format!("{:020}", timetoken.0)
}

fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

fn failed(error: RedisError) -> HistoryError {
    HistoryError::store(error)
}

/// An entry of a stream; `None` when it has expired, or is none of ours.
fn publication(fields: &[Value], now: u64) -> Option<Publication> {
    let mut found = None;
    for pair in fields.chunks_exact(2) {
        match (&pair[0], &pair[1]) {
            (Value::BulkString(name), Value::BulkString(value)) if name == b"p" => {
                found = Some(Bytes::copy_from_slice(value));
            }
            (Value::BulkString(name), Value::BulkString(expires))
                if name == b"x" && number(expires).is_some_and(|expires| expires <= now) =>
            {
                return None;
            }
            _ => {}
        }
    }
    Some(envelope::decode(found?).ok()?.publication)
}

/// The id of an entry, and its fields.
fn entry(value: &Value) -> Option<(&[u8], &[Value])> {
    let Value::Array(parts) = value else {
        return None;
    };
    match &parts[..] {
        [Value::BulkString(id), Value::Array(fields)] => Some((id, fields)),
        _ => None,
    }
}

#[async_trait]
impl History for RedisHistory {
    async fn last_position(&self, target: &Target) -> Result<Option<Position>, HistoryError> {
        let key = self.names.place(target);
        let mut command = redis::cmd("HMGET");
        command.arg(&key).arg("epoch").arg("seq").arg("last");
        let (epoch, seq, last): (Option<u64>, Option<u64>, Option<u64>) = self
            .connection
            .ask(Ask::Command(&command))
            .await
            .map_err(failed)?;
        Ok(match (epoch, seq, last) {
            (Some(epoch), Some(seq), Some(last)) => Some(Position {
                epoch: Epoch(epoch),
                seq: Seq(seq),
                timetoken: Timetoken(last),
            }),
            _ => None,
        })
    }

    async fn last_timetoken(&self) -> Result<Timetoken, HistoryError> {
        let key = self.names.timetoken();
        let mut command = redis::cmd("GET");
        command.arg(&key);
        let last: Option<u64> = self
            .connection
            .ask(Ask::Command(&command))
            .await
            .map_err(failed)?;
        Ok(Timetoken(last.unwrap_or(0)))
    }

    async fn read(&self, target: &Target, query: &Query) -> Result<Page, HistoryError> {
        let (key, now) = (self.names.stream(target), now_micros());
        let span = self.limits(target, query.span);
        let mut page = Page::default();
        if query.limit == 0 || span.is_empty() {
            return Ok(page);
        }
        let (mut from, mut to) = (id(span.from), id(span.to));
        let (mut bytes, mut count) = (0, FIRST);
        loop {
            let (command, first, second) = match query.order {
                Order::OldestFirst => ("XRANGE", &from, &to),
                Order::NewestFirst => ("XREVRANGE", &to, &from),
            };
            // One more shows whether there is more.
            let wanted = (query.limit - page.entries.len())
                .saturating_add(1)
                .min(count);
            let mut command = redis::cmd(command);
            command.arg(&key).arg(first).arg(second);
            command.arg("COUNT").arg(wanted);
            let entries: Vec<Value> = self
                .connection
                .ask(Ask::Command(&command))
                .await
                .map_err(failed)?;
            for value in &entries {
                let Some((id, fields)) = entry(value) else {
                    continue;
                };
                let beyond = format!("({}", String::from_utf8_lossy(id));
                match query.order {
                    Order::OldestFirst => from = beyond,
                    Order::NewestFirst => to = beyond,
                }
                let Some(publication) = publication(fields, now) else {
                    continue;
                };
                bytes += publication.bytes();
                let full = page.entries.len() >= query.limit;
                if full || (bytes > Page::BYTES_MAX && !page.entries.is_empty()) {
                    page.more = true;
                    self.annotations_of(target, &mut page.entries).await?;
                    return Ok(page);
                }
                page.entries.push(Stored::new(Arc::new(publication)));
            }
            if entries.len() < wanted {
                self.annotations_of(target, &mut page.entries).await?;
                return Ok(page);
            }
            let each = (bytes / page.entries.len().max(1)).max(1);
            count = (Page::BYTES_MAX / each).clamp(1, ENTRIES_MAX);
        }
    }

    async fn count(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        let span = self.limits(target, span);
        if span.is_empty() {
            return Ok(0);
        }
        let mut invocation = self.scripts.count.key(self.names.stream(target));
        invocation
            .arg(id(span.from))
            .arg(id(span.to))
            .arg(now_micros());
        self.connection
            .ask(Ask::Script(&invocation))
            .await
            .map_err(failed)
    }

    async fn delete(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        if span.is_empty() {
            return Ok(0);
        }
        let mut invocation = self.scripts.delete.key(self.names.stream(target));
        invocation.key(self.names.annotated(target));
        invocation.key(self.names.annotations(target));
        invocation.arg(id(span.from)).arg(id(span.to));
        invocation.arg(DELETE_AT_ONCE).arg(now_micros());
        let mut deleted = 0;
        loop {
            let (went, seen): (usize, u64) = self
                .connection
                .ask(Ask::Script(&invocation))
                .await
                .map_err(failed)?;
            deleted += seen;
            if went < DELETE_AT_ONCE {
                return Ok(deleted);
            }
        }
    }

    async fn targets(
        &self,
        after: Option<&Target>,
        limit: usize,
    ) -> Result<Vec<Target>, HistoryError> {
        let (mut cursor, glob) = (0u64, self.names.streams());
        let mut targets = Vec::new();
        loop {
            let mut command = redis::cmd("SCAN");
            command.arg(cursor).arg("MATCH").arg(&glob);
            command.arg("COUNT").arg(ENTRIES_MAX);
            let (next, keys): (u64, Vec<String>) = self
                .connection
                .ask(Ask::Command(&command))
                .await
                .map_err(failed)?;
            let found = keys.iter().filter_map(|key| self.names.target(key));
            targets.extend(found.filter(|target| after.is_none_or(|after| target > after)));
            // Only the first ones are of interest, however many there are.
            targets.sort_unstable();
            targets.dedup();
            targets.truncate(limit);
            cursor = next;
            if cursor == 0 {
                return Ok(targets);
            }
        }
    }

    async fn annotate(
        &self,
        target: &Target,
        publication: Timetoken,
        annotation: Annotation,
    ) -> Result<(), HistoryError> {
        let mut invocation = self.scripts.annotate.key(self.names.stream(target));
        invocation.key(self.names.annotated(target));
        invocation.key(self.names.annotations(target));
        invocation.arg(id(publication)).arg(digits(publication));
        invocation.arg(digits(annotation.at));
        invocation.arg(&annotation_codec::write(&annotation)[..]);
        invocation
            .arg(Annotation::PER_PUBLICATION_MAX)
            .arg(now_micros());
        let answer: Vec<u8> = self
            .connection
            .ask(Ask::Script(&invocation))
            .await
            .map_err(failed)?;
        match &answer[..] {
            b"OK" => Ok(()),
            b"missing" => Err(HistoryError::NotFound),
            b"full" => Err(HistoryError::Full),
            at => Err(HistoryError::Exists(Timetoken(number(at).unwrap_or(0)))),
        }
    }

    async fn remove_annotation(
        &self,
        target: &Target,
        publication: Timetoken,
        at: Timetoken,
    ) -> Result<Option<Annotation>, HistoryError> {
        let mut invocation = self.scripts.remove.key(self.names.annotated(target));
        invocation.key(self.names.annotations(target));
        invocation.arg(digits(publication)).arg(digits(at));
        let text: Option<Vec<u8>> = self
            .connection
            .ask(Ask::Script(&invocation))
            .await
            .map_err(failed)?;
        Ok(text.and_then(|text| annotation_codec::read(at, text.into())))
    }

    async fn annotations(
        &self,
        target: &Target,
        attached: Span,
        limit: usize,
    ) -> Result<Vec<(Timetoken, Annotation)>, HistoryError> {
        if attached.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut invocation = self.scripts.annotations.key(self.names.stream(target));
        invocation.key(self.names.annotated(target));
        invocation.key(self.names.annotations(target));
        invocation
            .arg(digits(attached.to))
            .arg(digits(attached.from));
        invocation.arg(limit.min(ENTRIES_MAX)).arg(now_micros());
        let found: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = self
            .connection
            .ask(Ask::Script(&invocation))
            .await
            .map_err(failed)?;
        let found = found.into_iter().filter_map(|(message, at, text)| {
            let at = Timetoken(number(&at)?);
            let annotation = annotation_codec::read(at, text.into())?;
            Some((Timetoken(number(&message)?), annotation))
        });
        Ok(found.collect())
    }
}

#[async_trait]
impl PersistencePolicy for RedisHistory {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        let kept = self.persist_all(std::slice::from_ref(publication)).await;
        kept.into_iter()
            .next()
            .unwrap_or(Err(PersistenceError::Closed))
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        let mut pipeline = Pipeline::with_capacity(batch.len() + 1);
        pipeline
            .cmd("SCRIPT")
            .arg("LOAD")
            .arg(include_str!("keep.lua"));
        let mut sent = Vec::with_capacity(batch.len());
        for publication in batch {
            let commands = self.keep(publication, &mut pipeline);
            sent.push(commands);
        }
        let answers = self.connection.ask(Ask::Pipeline(&pipeline)).await;
        // The first answers the command that loads the script.
        let mut replies = match answers {
            Ok(Value::Array(replies)) => replies.into_iter().skip(1),
            Ok(_) => Vec::new().into_iter().skip(1),
            Err(error) => {
                let error = PersistenceError::store(error);
                return batch.iter().map(|_| Err(error.clone())).collect();
            }
        };
        sent.into_iter()
            .map(|sent| {
                sent?;
                match replies.next().unwrap_or(Value::Nil).extract_error() {
                    Ok(_) => Ok(Durability::Replicated),
                    Err(error) if error.code() == Some("OOM") => Err(PersistenceError::Full),
                    Err(error) => Err(PersistenceError::store(error)),
                }
            })
            .collect()
    }

    fn history(&self) -> Option<&dyn History> {
        Some(self)
    }
}

impl RedisHistory {
    fn keep(
        &self,
        publication: &Publication,
        pipeline: &mut Pipeline,
    ) -> Result<(), PersistenceError> {
        let (target, position) = (&publication.target, publication.position());
        // Whose it was when it was announced is of no interest here.
        let nobody = PublishId {
            node: polywire_core::NodeId(0),
            number: 0,
        };
        let body = envelope::encode(nobody, publication).map_err(PersistenceError::store)?;
        let Position {
            epoch,
            seq,
            timetoken,
        } = position;
        let mut whole = format!("pw1 {} {} {}\n", epoch.0, seq.0, timetoken.0).into_bytes();
        whole.extend_from_slice(&body);
        let entries_max = self.rules.of(target).entries_max;
        let expires = publication.retention.ttl.map(|ttl| {
            let ttl = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
            (timetoken.0 / 10).saturating_add(ttl).to_string()
        });
        pipeline
            .cmd("EVALSHA")
            .arg(self.scripts.keep.get_hash())
            .arg(3)
            .arg(self.names.place(target))
            .arg(self.names.timetoken())
            .arg(self.names.stream(target))
            .arg(epoch.0)
            .arg(seq.0)
            .arg(timetoken.0)
            .arg(id(timetoken))
            .arg(whole)
            .arg(entries_max.map(|max| max.to_string()).unwrap_or_default())
            .arg(expires.unwrap_or_default());
        Ok(())
    }
}

impl fmt::Debug for RedisHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisHistory")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
