//! Output to the log, which tests can let fail.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

/// Opens files to be written.
pub(super) trait Medium: fmt::Debug + Send + Sync + 'static {
    /// A file to be written at any place; it is created when it is not there.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Output>>;
}

/// A file that is written.
pub(super) trait Output: fmt::Debug + Send {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when what was written survives a crash of the machine.
    fn sync(&self) -> io::Result<()>;
    /// Drops what is behind `len`.
    fn cut(&self, len: u64) -> io::Result<()>;
    /// False when the file was deleted: what is written is gone with the process.
    fn is_there(&self) -> io::Result<bool>;
}

/// The file system.
#[derive(Debug)]
pub(super) struct Files;

impl Medium for Files {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Box::new(file))
    }
}

impl Output for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn is_there(&self) -> io::Result<bool> {
        Ok(self.metadata()?.nlink() > 0)
    }
}

/// What is written goes to files that were deleted.
#[derive(Debug, thiserror::Error)]
#[error("the files of the data directory were deleted under the server: start it again")]
pub(super) struct Gone;

/// True when the disk, or what the user may use of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Makes new and renamed files of a directory survive a crash of the machine.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
