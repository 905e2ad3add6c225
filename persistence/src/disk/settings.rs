//! Settings: where history is kept on disk, and within which bounds.

use std::path::PathBuf;

use polywire_core::{
    PersistenceError,
    settings::{Problem, Settings},
};
use serde::{Deserialize, Serialize};

/// Where history is kept on disk, and within which bounds. Only the directory has no default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSettings {
    /// The data directory. It is made when it is not there, and belongs to one process at a time.
    pub dir: PathBuf,
    /// The bounds.
    #[serde(default)]
    pub bounds: DiskBounds,
}

/// `[disk]`: the bounds of history on disk. Every one has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskBounds {
    /// Bytes after which a new file is begun (65,536 to 268,435,456). Space comes back by the file, for which one is
    /// read into memory; each needs a file descriptor. Default 64 MiB.
    pub segment_bytes: u64,
    /// Bytes of memory for the index, about 30 for each message; beyond, the oldest messages of the largest channels
    /// go. Default 1 GiB.
    pub index_bytes_max: usize,
    /// Bytes that may be acknowledged from memory and not written yet; beyond, publishers are refused. Default 64 MiB.
    pub behind_bytes_max: usize,
    /// Bytes of messages, the newest first, that are checked at the start; the others are checked when they are read.
    /// Default 256 MiB.
    pub verify_bytes: u64,
}

impl Default for DiskBounds {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            index_bytes_max: 1 << 30,
            behind_bytes_max: 64 << 20,
            verify_bytes: 256 << 20,
        }
    }
}

impl Settings for DiskBounds {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(64 << 10..=256 << 20).contains(&self.segment_bytes) {
            let message = "must be between 65536 and 268435456";
            problems.push(Problem::new("segment_bytes", message));
        }
        if self.index_bytes_max < 1 << 20 {
            problems.push(Problem::new("index_bytes_max", "must be at least 1048576"));
        }
        problems
    }
}

impl DiskSettings {
    /// History in `dir`, within the default bounds.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            bounds: DiskBounds::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), PersistenceError> {
        let wrong = |what: String| Err(PersistenceError::Configuration(what));
        if self.dir.as_os_str().is_empty() {
            return wrong("The data directory has no name: give it one.".into());
        }
        match self.bounds.problems().into_iter().next() {
            Some(Problem { setting, message }) => {
                wrong(format!("The setting {setting} {message}."))
            }
            None => Ok(()),
        }
    }
}
