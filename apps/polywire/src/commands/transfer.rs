//! `polywire export` and `polywire import`.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use polywire::{
    cli::{ExportFlags, ImportFlags, ServeFlags, StoreFlags},
    compose,
    config::{self, PersistenceChoice},
};
use polywire_core::{
    Channel, History, HistoryError, InvalidChannel, PersistenceError, PersistencePolicy,
    Publication, Query, Span, StartError, Stored, Target, Timetoken,
};
use polywire_history::{InvalidLine, Line};

use crate::{exit, progress::Progress};

/// Publications that are read or written at once.
const BATCH: usize = 1000;

#[derive(Debug, thiserror::Error)]
enum TransferError {
    #[error("a message could not be read from the store")]
    Read(#[from] HistoryError),
    #[error("a message could not be kept: it is line {0}")]
    Write(u64, #[source] PersistenceError),
    #[error("line {0} cannot be imported; it and what follows was left out")]
    Line(u64, #[source] InvalidLine),
    #[error("{} could not be read", .0.display())]
    File(PathBuf, #[source] io::Error),
    #[error("the output could not be written")]
    Output(#[source] io::Error),
    #[error("{0:?} cannot be the name of a channel")]
    Channel(String, #[source] InvalidChannel),
}

#[derive(Debug, thiserror::Error)]
#[error("there is no store to open: name its directory with --data-dir DIR")]
struct NoStore;

pub(crate) fn export(flags: &ExportFlags) -> ExitCode {
    with_store(&flags.store, async |store| {
        let channels = flags.channel.iter().map(|name| match Channel::new(name) {
            Ok(channel) => Ok(Target::from(channel)),
            Err(error) => Err(TransferError::Channel(name.clone(), error)),
        });
        let channels: Vec<_> = channels.collect::<Result<_, _>>()?;
        write_all(store.history().ok_or(HistoryError::NotKept)?, channels).await
    })
}

pub(crate) fn import(flags: &ImportFlags) -> ExitCode {
    with_store(&flags.store, async |store| {
        let (input, size): (Box<dyn BufRead>, _) = match &flags.file {
            None => (Box::new(io::stdin().lock()), None),
            Some(path) => {
                let unreadable = |error| TransferError::File(path.clone(), error);
                let file = File::open(path).map_err(unreadable)?;
                let size = file.metadata().map_err(unreadable)?.len();
                (Box::new(BufReader::new(file)), Some(size))
            }
        };
        let name = flags
            .file
            .clone()
            .unwrap_or_else(|| "standard input".into());
        let (kept, left_out) = read_all(&*store, input, &name, size).await?;
        eprintln!("imported {kept} messages, left out {left_out} that were there or are older");
        Ok(())
    })
}

/// Opens the store, works with it, and closes it.
fn with_store(
    flags: &StoreFlags,
    work: impl AsyncFnOnce(Arc<dyn PersistencePolicy>) -> Result<(), TransferError>,
) -> ExitCode {
    let mut serve = ServeFlags::default();
    serve.data_dir.clone_from(&flags.data_dir);
    serve.config.clone_from(&flags.config);
    let config = match config::load(&serve) {
        Ok(config) => config,
        Err(problems) => return exit::refused(&problems),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return exit::failed(&error),
    };
    runtime.block_on(async {
        let refused = |error: &dyn Error| exit::refused(error);
        // What a server has in its memory is not here.
        if config.persistence == PersistenceChoice::Memory {
            return refused(&NoStore);
        }
        let store = match compose::store(&config) {
            Ok(store) => store,
            Err(error) => return refused(&StartError::Composition(vec![error.to_string()])),
        };
        if store.history().is_none() {
            return refused(&NoStore);
        }
        let outcome = work(store.clone()).await;
        store.stop().await;
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => exit::failed(&error),
        }
    })
}

async fn write_all(history: &dyn History, mut targets: Vec<Target>) -> Result<(), TransferError> {
    if targets.is_empty() {
        loop {
            let more = history.targets(targets.last(), BATCH).await?;
            if more.is_empty() {
                break;
            }
            targets.extend(more);
        }
    }
    let (mut done, mut all) = (0, 0);
    for target in &targets {
        all += history.count(target, Span::ALL).await?;
    }
    let mut progress = Progress::new();
    let mut out = BufWriter::new(io::stdout().lock());
    for target in &targets {
        let mut query = Some(Query::new(Span::ALL, BATCH));
        while let Some(next) = query {
            let page = history.read(target, &next).await?;
            for line in page.entries.iter().filter_map(Line::write) {
                match writeln!(out, "{line}") {
                    // Whoever read the output has seen enough.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    result => result.map_err(TransferError::Output)?,
                }
            }
            done += page.entries.len() as u64;
            progress.show("exporting", done as f64, all as f64);
            query = page.rest(&next);
        }
    }
    exit::printed(out.flush()).map_err(TransferError::Output)
}

/// Returns how many publications were kept, and how many were left out.
async fn read_all(
    store: &dyn PersistencePolicy,
    mut input: Box<dyn BufRead>,
    name: &std::path::Path,
    size: Option<u64>,
) -> Result<(u64, u64), TransferError> {
    let mut importing = Importing {
        store,
        history: store.history().ok_or(HistoryError::NotKept)?,
        last: HashMap::new(),
        batch: Vec::new(),
        line: 0,
        kept: 0,
        left_out: 0,
    };
    let mut progress = Progress::new();
    let (mut text, mut read) = (String::new(), 0);
    loop {
        text.clear();
        let len = input
            .read_line(&mut text)
            .map_err(|error| TransferError::File(name.to_owned(), error))?;
        if len == 0 {
            break;
        }
        read += len as u64;
        importing.line += 1;
        if !text.trim().is_empty() {
            match Line::read(&text) {
                Ok(stored) => importing.take(stored).await?,
                Err(error) => {
                    importing.write().await?;
                    return Err(TransferError::Line(importing.line, error));
                }
            }
        }
        if let Some(size) = size {
            progress.show("importing", read as f64, size as f64);
        }
    }
    importing.write().await?;
    Ok((importing.kept, importing.left_out))
}

struct Importing<'s> {
    store: &'s dyn PersistencePolicy,
    history: &'s dyn History,
    /// The last publication of each channel that was seen.
    last: HashMap<Target, Timetoken>,
    batch: Vec<Stored>,
    line: u64,
    kept: u64,
    left_out: u64,
}

impl Importing<'_> {
    async fn take(&mut self, stored: Stored) -> Result<(), TransferError> {
        let target = &stored.publication.target;
        let last = match self.last.get(target) {
            Some(last) => *last,
            None => {
                let last = self.history.last_position(target).await?;
                last.map_or(Timetoken(0), |last| last.timetoken)
            }
        };
        let timetoken = stored.publication.position().timetoken;
        self.last.insert(target.clone(), last.max(timetoken));
        if timetoken <= last {
            self.left_out += 1;
            return Ok(());
        }
        self.batch.push(stored);
        if self.batch.len() >= BATCH {
            self.write().await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), TransferError> {
        let batch = std::mem::take(&mut self.batch);
        let failed = |error| TransferError::Write(self.line, error);
        let (wait, now): (Vec<_>, Vec<Arc<Publication>>) = batch
            .iter()
            .map(|stored| stored.publication.clone())
            .partition(|publication| self.store.waits(&publication.target));
        for publication in &now {
            self.store.persist_now(publication).map_err(failed)?;
        }
        if !wait.is_empty() {
            for kept in self.store.persist_all(&wait).await {
                kept.map_err(failed)?;
            }
        }
        for stored in &batch {
            let (target, position) = (&stored.publication.target, stored.publication.position());
            for annotation in &stored.annotations {
                let attached =
                    self.history
                        .annotate(target, position.timetoken, annotation.clone());
                match attached.await {
                    // A rule has taken the publication away already.
                    Ok(()) | Err(HistoryError::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        self.kept += batch.len() as u64;
        Ok(())
    }
}
