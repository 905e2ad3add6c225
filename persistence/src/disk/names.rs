//! Names of the files of a data directory.

use std::path::{Path, PathBuf};

/// A file of the log. One that was rewritten stands for all the files that went into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    pub(super) first: u64,
    pub(super) last: u64,
    /// How often its content was rewritten.
    pub(super) generation: u32,
}

const LOG: &str = "log";
const LIST: &str = "list";

impl FileName {
    pub(super) fn one(number: u64) -> Self {
        Self {
            first: number,
            last: number,
            generation: 0,
        }
    }

    /// True when all of `other` went into this one.
    pub(super) fn replaces(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last && self.generation > other.generation
    }

    /// The records.
    pub(super) fn log(self, dir: &Path) -> PathBuf {
        self.path(dir, LOG)
    }

    /// The list of what the records are.
    pub(super) fn list(self, dir: &Path) -> PathBuf {
        self.path(dir, LIST)
    }

    /// A name that the file has until it is whole.
    pub(super) fn unfinished(path: &Path) -> PathBuf {
        path.with_added_extension("new")
    }

    fn path(self, dir: &Path, extension: &str) -> PathBuf {
        let Self {
            first,
            last,
            generation,
        } = self;
        dir.join(format!("{first:010}-{last:010}-{generation}.{extension}"))
    }

    /// The file of the log that `path` is the name of.
    pub(super) fn of_log(path: &Path) -> Option<Self> {
        (path.extension()? == LOG).then(|| Self::of(path))?
    }

    /// The file of the log that `path` is the list of.
    pub(super) fn of_list(path: &Path) -> Option<Self> {
        (path.extension()? == LIST).then(|| Self::of(path))?
    }

    fn of(path: &Path) -> Option<Self> {
        let mut numbers = path.file_stem()?.to_str()?.split('-');
        let name = Self {
            first: numbers.next()?.parse().ok()?,
            last: numbers.next()?.parse().ok()?,
            generation: numbers.next()?.parse().ok()?,
        };
        (name.first <= name.last && numbers.next().is_none()).then_some(name)
    }

    /// True for a file that was not finished, and is of no use.
    pub(super) fn is_unfinished(path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.ends_with(".log.new") || name.ends_with(".list.new"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let name = FileName {
            first: 3,
            last: 17,
            generation: 2,
        };
        let dir = Path::new("data");
        assert_eq!(FileName::of_log(&name.log(dir)), Some(name));
        assert_eq!(FileName::of_log(&name.list(dir)), None);
        assert_eq!(FileName::of_list(&name.list(dir)), Some(name));
        assert!(FileName::is_unfinished(&FileName::unfinished(
            &name.log(dir)
        )));
        assert!(!FileName::is_unfinished(&name.log(dir)));
        assert!(name.replaces(FileName::one(3)));
        assert!(!name.replaces(name));
        assert!(!name.replaces(FileName::one(18)));
    }
}
