//! Dead letters: what could not be posted, for a person to look at.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use parking_lot::Mutex;
use polywire_core::PersistenceError;

use super::settings::ExternalApiSettings;
use crate::background::Queued;

/// A file of JSON lines to which is appended what could not be posted.
#[derive(Debug)]
pub(super) struct DeadLetters(Option<Arc<Letters>>);

#[derive(Debug)]
struct Letters {
    path: PathBuf,
    bytes_max: u64,
    file: Mutex<File>,
}

impl DeadLetters {
    /// Opens the file, where there is to be one, so that a path that cannot be written to is found at once.
    pub(super) fn new(settings: &ExternalApiSettings) -> Result<Self, PersistenceError> {
        let Some(path) = &settings.dead_letter_file else {
            return Ok(Self(None));
        };
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let file = opened.map_err(|error| {
            PersistenceError::Configuration(format!(
                "Settings of the external API: the dead-letter file {} cannot be written to ({error}).",
                path.display()
            ))
        })?;
        Ok(Self(Some(Arc::new(Letters {
            path: path.clone(),
            bytes_max: settings.dead_letter_bytes_max,
            file: Mutex::new(file),
        }))))
    }

    /// Appends publications; returns how many of them were.
    pub(super) async fn save(&self, batch: &[Queued]) -> usize {
        let Some(letters) = self.0.clone() else {
            return 0;
        };
        let count = batch.len();
        let mut lines = Vec::new();
        for queued in batch {
            // Between tokens an end of line is white space, and inside a string it cannot stand.
            let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
            lines.extend(
                queued
                    .record
                    .json
                    .iter()
                    .map(|byte| if ends(byte) { b' ' } else { *byte }),
            );
            lines.push(b'\n');
        }
        let saved = tokio::task::spawn_blocking(move || {
            let outcome = letters.append(&lines);
            if let Err(error) = &outcome {
                let path = letters.path.display();
                tracing::warn!(%error, %path, "the dead-letter file could not be written");
            }
            outcome.is_ok()
        });
        if saved.await.unwrap_or(false) {
            count
        } else {
            0
        }
    }
}

impl Letters {
    fn append(&self, lines: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock();
        if file.metadata()?.len() + lines.len() as u64 > self.bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it is as large as it may be",
            ));
        }
        file.write_all(lines)?;
        file.sync_data()
    }
}
