//! The data directory: who may use it, and in which format it is.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use polywire_core::PersistenceError;

use super::{
    frame::Salt,
    names::FileName,
    output::{is_full, sync_dir},
};

/// The format that this version writes, and the only one that it reads.
const VERSION: u32 = 1;
const FORMAT: &str = "format";
const LOCK: &str = "lock";

/// What every file of the log begins with: this, the salt, and a checksum of both.
const FILE_MAGIC: &[u8; 8] = b"polywire";
/// Bytes in front of the first record of a file.
pub(super) const FILE_HEADER: usize = 20;

/// A data directory that is ours alone until this is dropped or released.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) salt: Salt,
    lock: File,
}

impl Directory {
    /// Takes the directory, and makes it when it is not there.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub(super) fn open(path: &Path) -> Result<Self, PersistenceError> {
        let failed = |error| PersistenceError::Configuration(explain(path, &error));
        // What people write to each other is for nobody else on the machine.
        let mut dir = fs::DirBuilder::new();
        dir.recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let lock = lock(path)?;
        let salt = match read_format(path)? {
            Some(salt) => salt,
            None => {
                // New, or damaged: then the files of the log know the salt too.
                let found = logs(path).map_err(failed)?;
                let salt = found.iter().find_map(|name| read_header(&name.log(path)));
                if !found.is_empty() {
                    tracing::warn!(dir = %path.display(), "The format file was damaged.");
                }
                let salt = salt.unwrap_or_else(|| Salt(rand::random()));
                write_format(path, salt).map_err(failed)?;
                salt
            }
        };
        Ok(Self {
            path: path.to_owned(),
            salt,
            lock,
        })
    }

    /// False when the directory was deleted, or is another one: what is written is not found again.
    pub(super) fn is_there(&self) -> bool {
        let identity = |found: io::Result<fs::Metadata>| found.ok().map(|at| (at.dev(), at.ino()));
        let ours = identity(self.lock.metadata());
        ours.is_some() && ours == identity(fs::metadata(self.path.join(LOCK)))
    }

    /// Lets others use the directory.
    pub(super) fn release(&self) {
        // It ends with the process at the latest.
        let _ = self.lock.unlock();
    }
}

impl Drop for Directory {
    /// Closing the file would not do while a child process that is just being started has it open too.
    fn drop(&mut self) {
        self.release();
    }
}

/// A sentence about a directory that cannot be used.
pub(super) fn explain(path: &Path, error: &io::Error) -> String {
    let dir = path.display();
    if is_full(error) {
        return format!(
            "There is no room left on the disk of the data directory {dir}: make room, and start again."
        );
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!(
            "The data directory {dir} cannot be written to ({error}): give its user the right to, or choose \
             another directory."
        ),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("The data directory {dir} is not a directory: choose another one.")
        }
        _ => format!("The data directory {dir} cannot be used ({error}): choose another one."),
    }
}

fn lock(dir: &Path) -> Result<File, PersistenceError> {
    let failed = |error| PersistenceError::Configuration(explain(dir, &error));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(LOCK))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only to be helpful: who holds it is known by the lock, not by the text.
            let _ = (&mut file).take(20).read_to_string(&mut holder);
            let holder = match holder.trim().parse::<u32>() {
                Ok(pid) => format!("process {pid}"),
                Err(_) => "another process".to_owned(),
            };
            return Err(PersistenceError::Configuration(format!(
                "The data directory {} is in use by {holder}: stop it, or choose another directory.",
                dir.display()
            )));
        }
    }
    let pid = format!("{}\n", std::process::id());
    file.set_len(0).map_err(failed)?;
    file.write_all_at(pid.as_bytes(), 0).map_err(failed)?;
    Ok(file)
}

/// The salt; `None` when the file is not there or damaged.
fn read_format(dir: &Path) -> Result<Option<Salt>, PersistenceError> {
    let text = match fs::read(dir.join(FORMAT)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PersistenceError::Configuration(explain(dir, &error))),
    };
    let Some((version, salt)) = parse_format(&text) else {
        return Ok(None);
    };
    if version != VERSION {
        return Err(PersistenceError::Configuration(format!(
            "The data directory {} has format {version}, and this version of polywire knows format \
             {VERSION}: start the version that wrote it, or choose another directory.",
            dir.display()
        )));
    }
    Ok(Some(salt))
}

fn format_text(version: u32, salt: Salt) -> String {
    let text = format!("polywire data, format {version}, salt {:016x}", salt.0);
    let checksum = crc32fast::hash(text.as_bytes());
    format!("{text}, checksum {checksum:08x}\n")
}

/// Version and salt of a text that is not damaged. Later versions keep to the first line.
fn parse_format(text: &str) -> Option<(u32, Salt)> {
    let line = text.lines().next()?;
    let (said, checksum) = line.split_once(", checksum ")?;
    if u32::from_str_radix(checksum, 16).ok()? != crc32fast::hash(said.as_bytes()) {
        return None;
    }
    let (version, salt) = said
        .strip_prefix("polywire data, format ")?
        .split_once(", salt ")?;
    let salt = u64::from_str_radix(salt, 16).ok()?;
    Some((version.parse().ok()?, Salt(salt)))
}

fn write_format(dir: &Path, salt: Salt) -> io::Result<()> {
    let new = dir.join("format.new");
    let mut file = File::create(&new)?;
    file.write_all(format_text(VERSION, salt).as_bytes())?;
    file.sync_all()?;
    fs::rename(new, dir.join(FORMAT))?;
    sync_dir(dir)
}

/// The files of the log, in order.
pub(super) fn logs(dir: &Path) -> io::Result<Vec<FileName>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(FileName::of_log(&entry?.path()));
    }
    found.sort();
    Ok(found)
}

/// The header of a file.
pub(super) fn file_header(salt: Salt) -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    header[..8].copy_from_slice(FILE_MAGIC);
    header[8..16].copy_from_slice(&salt.0.to_le_bytes());
    let checksum = crc32fast::hash(&header[..16]);
    header[16..].copy_from_slice(&checksum.to_le_bytes());
    header
}

fn read_header(path: &Path) -> Option<Salt> {
    let mut header = [0; FILE_HEADER];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    let salt = Salt(u64::from_le_bytes(header[8..16].try_into().ok()?));
    (file_header(salt) == header).then_some(salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(dir: &Path) -> String {
        Directory::open(dir).unwrap_err().to_string()
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Directory::open(dir.path()).unwrap();
        let said = message(dir.path());
        let pid = std::process::id();
        assert!(
            said.contains(&format!("in use by process {pid}: stop it")),
            "{said}"
        );
        first.release();
        assert_eq!(Directory::open(dir.path()).unwrap().salt, first.salt);
    }

    #[test]
    fn a_directory_that_was_replaced_is_noticed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let directory = Directory::open(&path).unwrap();
        assert!(directory.is_there());
        fs::rename(&path, parent.path().join("elsewhere")).unwrap();
        assert!(!directory.is_there());
        let _other = Directory::open(&path).unwrap();
        assert!(!directory.is_there());
    }

    #[test]
    fn a_later_format_is_refused_and_a_damaged_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let format = dir.path().join(FORMAT);
        fs::write(&format, format_text(2, Salt(3)) + "more\n").unwrap();
        let said = message(dir.path());
        assert!(said.contains("has format 2"), "{said}");

        let mut text = format_text(1, Salt(3)).into_bytes();
        text[22] = b'3';
        fs::write(&format, &text).unwrap();
        let log = FileName::one(4).log(dir.path());
        fs::write(log, file_header(Salt(9))).unwrap();
        assert_eq!(Directory::open(dir.path()).unwrap().salt, Salt(9));
        assert_eq!(Directory::open(dir.path()).unwrap().salt, Salt(9));
    }

    #[test]
    fn a_child_process_does_not_keep_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let children = scope.spawn(|| {
                for _ in 0..50 {
                    let child = std::process::Command::new("true").status();
                    assert!(child.unwrap().success());
                }
            });
            while !children.is_finished() {
                Directory::open(dir.path()).unwrap();
            }
        });
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence() {
        let say = |kind: io::ErrorKind| explain(Path::new("data"), &kind.into());
        for (kind, expected) in [
            (io::ErrorKind::StorageFull, "no room left on the disk"),
            (io::ErrorKind::PermissionDenied, "cannot be written to"),
            (io::ErrorKind::ReadOnlyFilesystem, "cannot be written to"),
            (io::ErrorKind::NotADirectory, "is not a directory"),
            (io::ErrorKind::Other, "cannot be used"),
        ] {
            let said = say(kind);
            assert!(said.contains(expected) && said.ends_with('.'), "{said}");
        }
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = message(file.path());
        assert!(
            said.contains("is not a directory: choose another one."),
            "{said}"
        );
    }
}
