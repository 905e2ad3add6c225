//! The thread that writes, and the one that gives space back.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use polywire_core::{
    Annotation, HistoryError, PersistResult, PersistenceError, Publication, Span, Target, Timetoken,
};
use tokio::sync::oneshot;

use super::{
    log::{Log, Record},
    record::Note,
    store::{Haste, SYNCED, Store, now, refusal, unchanged},
};

/// How long a publication that nobody waits for may wait for company.
const BEHIND_WAIT: Duration = Duration::from_millis(20);
/// Annotations that are written at once.
const WISHES_MAX: usize = 256;
/// How long nothing is tried after it failed.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// How often limits are applied to channels where nothing is published, and space is given back.
const KEEPING_INTERVAL: Duration = Duration::from_secs(10);

/// Something for the writer to do.
#[derive(Debug)]
pub(super) enum Job {
    Persist(Vec<Arc<Publication>>, oneshot::Sender<Vec<PersistResult>>),
    /// Something is in memory that has to be written.
    Wake(Haste),
    Delete(Target, Span, oneshot::Sender<Result<u64, HistoryError>>),
    Annotate(Wish),
    Remove(
        Target,
        Timetoken,
        Timetoken,
        oneshot::Sender<Result<Option<Annotation>, HistoryError>>,
    ),
    Stop(oneshot::Sender<()>),
}

/// An annotation that somebody wants to attach.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) target: Target,
    pub(super) publication: Timetoken,
    pub(super) annotation: Annotation,
    pub(super) answer: oneshot::Sender<Result<(), HistoryError>>,
}

/// Starts the threads. The writer ends with [`Job::Stop`], or when nobody can send a job any more.
pub(super) fn start(log: Log) -> io::Result<Sender<Job>> {
    let (jobs, receiver) = channel();
    let (alive, ended) = channel();
    let store = log.store.clone();
    let keeper = thread::Builder::new()
        .name("history-keeper".into())
        .spawn(move || keep(&store, &ended))?;
    let writer = Writer {
        log,
        keeper: Some((alive, keeper)),
        behind_at: None,
        ahead: None,
    };
    thread::Builder::new()
        .name("history-writer".into())
        .spawn(move || writer.run(&receiver))?;
    Ok(jobs)
}

/// Applies limits and gives space back until the other end of `ended` is gone.
fn keep(store: &Store, ended: &Receiver<()>) {
    while ended.recv_timeout(KEEPING_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        store.sweep();
        if let Err(error) = store.compact() {
            tracing::warn!(%error, "Space of the history on disk could not be given back.");
        }
    }
}

struct Writer {
    log: Log,
    keeper: Option<(Sender<()>, JoinHandle<()>)>,
    /// When what is in memory has to be written.
    behind_at: Option<Instant>,
    /// A job that came while those before it were gathered.
    ahead: Option<Job>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = self.next(jobs) {
            match job {
                None => self.write_behind(),
                Some(Job::Wake(Haste::Now)) => self.write_behind(),
                Some(Job::Wake(Haste::Soon)) => {
                    self.behind_at.get_or_insert(Instant::now() + BEHIND_WAIT);
                }
                Some(Job::Persist(batch, answer)) => {
                    // Whoever does not wait any more is not told.
                    let _ = answer.send(self.persist(batch));
                }
                Some(Job::Delete(target, span, answer)) => {
                    let _ = answer.send(self.delete(target, span));
                }
                Some(Job::Annotate(wish)) => {
                    let wishes = self.gather(wish, jobs);
                    self.annotate(wishes);
                }
                Some(Job::Remove(target, publication, at, answer)) => {
                    let _ = answer.send(self.remove(target, publication, at));
                }
                Some(Job::Stop(answer)) => {
                    self.stop();
                    let _ = answer.send(());
                    return;
                }
            }
        }
        self.stop();
    }

    /// The next job; nothing when it is time to write what is in memory.
    fn next(&mut self, jobs: &Receiver<Job>) -> Result<Option<Job>, RecvTimeoutError> {
        if let Some(job) = self.ahead.take() {
            return Ok(Some(job));
        }
        let Some(at) = self.behind_at else {
            return match jobs.recv() {
                Ok(job) => Ok(Some(job)),
                Err(_) => Err(RecvTimeoutError::Disconnected),
            };
        };
        match jobs.recv_timeout(at.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Ok(job) => Ok(Some(job)),
            Err(disconnected) => Err(disconnected),
        }
    }

    /// Writes `records`, and with them what is waiting. Answers for `records`.
    fn write(&mut self, records: Vec<Record>) -> Vec<PersistResult> {
        let store = self.log.store.clone();
        let found = std::mem::take(&mut *store.found.lock());
        let mut all: Vec<_> = found.iter().cloned().map(Record::Note).collect();
        let behind = self.log.take_behind();
        let behind_count = behind.len();
        all.extend(behind);
        let own = all.len();
        all.extend(records);
        let done = self.log.append(&all);
        let written = done.iter().take_while(|done| done.is_ok()).count();
        if written < found.len() {
            store.found.lock().extend_from_slice(&found[written..]);
        }
        let behind_written = written.saturating_sub(found.len()).min(behind_count);
        self.log.settle_behind(behind_written);
        self.behind_at = if store.index.lock().behind.is_empty() {
            None
        } else if behind_written < behind_count {
            Some(Instant::now() + RETRY_WAIT)
        } else {
            Some(Instant::now() + BEHIND_WAIT)
        };
        done[own..]
            .iter()
            .map(|done| match done {
                Ok(()) => SYNCED,
                Err(error) => Err(refusal(error)),
            })
            .collect()
    }

    fn write_behind(&mut self) {
        self.write(Vec::new());
    }

    fn persist(&mut self, batch: Vec<Arc<Publication>>) -> Vec<PersistResult> {
        let records = batch.into_iter().map(|p| Record::Publication(p, false));
        self.write(records.collect())
    }

    fn note(&mut self, note: Note) -> Result<(), HistoryError> {
        match self.write(vec![Record::Note(note)]).pop() {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(unchanged(&error)),
            None => Err(unchanged(&PersistenceError::Closed)),
        }
    }

    fn delete(&mut self, target: Target, span: Span) -> Result<u64, HistoryError> {
        if span.is_empty() {
            return Ok(0);
        }
        // What is in memory comes before the deletion; so it is all on disk when it is counted.
        self.write_behind();
        if !self.log.store.index.lock().behind.is_empty()
            && self.log.store.full.load(Ordering::Relaxed)
        {
            return Err(HistoryError::Full);
        }
        let count = self.log.store.count(&target, span);
        let stored = {
            let index = self.log.store.index.lock();
            let channel = index.channels.get(&target);
            channel.is_some_and(|channel| channel.count(span, 0) > 0)
        };
        if stored {
            self.note(Note::Deletion { target, span })?;
        }
        Ok(count)
    }

    /// Further annotations that wait already.
    fn gather(&mut self, first: Wish, jobs: &Receiver<Job>) -> Vec<Wish> {
        let mut wishes = vec![first];
        while wishes.len() < WISHES_MAX {
            match jobs.try_recv() {
                Ok(Job::Annotate(wish)) => wishes.push(wish),
                Ok(other) => {
                    self.ahead = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        wishes
    }

    fn annotate(&mut self, wishes: Vec<Wish>) {
        let mut granted: Vec<Wish> = Vec::with_capacity(wishes.len());
        for wish in wishes {
            match self.check(&wish, &granted) {
                Ok(()) => granted.push(wish),
                Err(error) => {
                    let _ = wish.answer.send(Err(error));
                }
            }
        }
        let note = |wish: &Wish| {
            Record::Note(Note::Annotation {
                target: wish.target.clone(),
                publication: wish.publication,
                annotation: wish.annotation.clone(),
            })
        };
        let written = self.write(granted.iter().map(note).collect());
        for (wish, written) in granted.into_iter().zip(written) {
            let answer = written.map(|_| ()).map_err(|error| unchanged(&error));
            let _ = wish.answer.send(answer);
        }
    }

    /// Whether it may be attached when those before it are.
    fn check(&self, wish: &Wish, before: &[Wish]) -> Result<(), HistoryError> {
        let same =
            |other: &&Wish| other.publication == wish.publication && other.target == wish.target;
        let mut count = 0;
        for other in before.iter().filter(same) {
            let other = &other.annotation;
            if other.says_the_same(&wish.annotation) || other.at == wish.annotation.at {
                return Err(HistoryError::Exists(other.at));
            }
            count += 1;
        }
        let store = &self.log.store;
        store.check_annotation(&wish.target, wish.publication, &wish.annotation, count)
    }

    fn remove(
        &mut self,
        target: Target,
        publication: Timetoken,
        at: Timetoken,
    ) -> Result<Option<Annotation>, HistoryError> {
        let annotation = {
            let store = &self.log.store;
            let now = now();
            let live = store.live(&target, Span::ALL, now);
            let index = store.index.lock();
            let channel = index.channels.get(&target);
            let channel = channel.filter(|channel| channel.has(publication, live, now));
            channel.and_then(|channel| channel.attached.get(publication, at).cloned())
        };
        if annotation.is_some() {
            self.note(Note::Removal {
                target,
                publication,
                at,
            })?;
        }
        Ok(annotation)
    }

    fn stop(&mut self) {
        let store = self.log.store.clone();
        store.closed.store(true, Ordering::Relaxed);
        self.write_behind();
        if let Some((alive, keeper)) = self.keeper.take() {
            drop(alive);
            if keeper.join().is_err() {
                tracing::error!("The keeper of the history on disk panicked.");
            }
        }
        self.log.close();
        store.directory.release();
    }
}
