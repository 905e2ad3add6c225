//! The source of roles: the configuration, and a file that may change.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::{Mutex, RwLock};
use polywire_core::settings::{Problem, Settings};

use super::{book::Book, settings::RolesSettings, written::WrittenRoles};

/// Time between two looks at the file.
const EVERY: Duration = Duration::from_secs(1);

/// The roles of a configuration, with those of a file that is read again when it has changed. A file that cannot be read, or
/// has something wrong in it, changes nothing.
#[derive(Debug)]
pub struct RoleSource {
    written: WrittenRoles,
    file: Option<PathBuf>,
    book: RwLock<Arc<Book>>,
    looked: Mutex<Looked>,
}

/// What was seen of the file.
#[derive(Debug)]
struct Looked {
    at: Instant,
    state: Option<State>,
}

/// By which a change of a file is noticed.
type State = (SystemTime, u64);

impl RoleSource {
    /// The roles of these settings; the file is read.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn new(settings: &RolesSettings) -> Result<Self, Vec<Problem>> {
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let written = settings.written();
        let (book, state) = match &settings.file {
            None => (Book::new(&written)?, None),
            Some(file) => {
                let of_file = |messages: Vec<String>| -> Vec<Problem> {
                    let messages = messages.into_iter();
                    messages.map(|said| Problem::new("file", said)).collect()
                };
                let state = state(file).map_err(|said| of_file(vec![said]))?;
                (read(file, &written).map_err(of_file)?, Some(state))
            }
        };
        Ok(Self {
            written,
            file: settings.file.clone(),
            book: RwLock::new(Arc::new(book)),
            looked: Mutex::new(Looked {
                at: Instant::now(),
                state,
            }),
        })
    }

    /// The roles as they are now. Where it is time to look at the file, this waits for that.
    pub(crate) async fn book(self: &Arc<Self>) -> Arc<Book> {
        if self.is_due() {
            let source = self.clone();
            // A file may lie on a disk that is slow, or far away.
            let looked = tokio::task::spawn_blocking(move || source.look());
            if let Err(error) = looked.await {
                tracing::error!(%error, "could not look at the file of the roles");
            }
        }
        self.book.read().clone()
    }

    /// True when nobody could come in by them now.
    pub(crate) fn is_for_nobody(&self) -> bool {
        self.book.read().is_empty()
    }

    /// True for one caller in each interval.
    fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut looked = self.looked.lock();
        let is_due = self.file.is_some() && now.duration_since(looked.at) >= EVERY;
        if is_due {
            looked.at = now;
        }
        is_due
    }

    /// Reads the file if it has changed.
    fn look(&self) {
        let Some(file) = &self.file else { return };
        let found = state(file);
        let state = found.as_ref().ok().copied();
        if std::mem::replace(&mut self.looked.lock().state, state) == state {
            return;
        }
        match found
            .map_err(|said| vec![said])
            .and_then(|_| read(file, &self.written))
        {
            Ok(book) => {
                *self.book.write() = Arc::new(book);
                tracing::info!(file = %file.display(), "the roles are those of the changed file");
            }
            Err(said) => {
                let said = said.join("; ");
                tracing::warn!(
                    said,
                    "the roles stay as they were: their file has changed and is wrong"
                );
            }
        }
    }
}

fn state(file: &Path) -> Result<State, String> {
    let state = fs::metadata(file).and_then(|data| Ok((data.modified()?, data.len())));
    state.map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

/// What the file says, beside what is written elsewhere.
fn read(file: &Path, written: &WrittenRoles) -> Result<Book, Vec<String>> {
    let shown = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| vec![format!("{shown} cannot be read: {error}")])?;
    let mut all: WrittenRoles = toml::from_str(&text).map_err(|error| {
        // With the line, but without what stands in it.
        let line = error.span().map_or(1, |span| {
            let before = &text.as_bytes()[..span.start.min(text.len())];
            before.iter().filter(|byte| **byte == b'\n').count() + 1
        });
        vec![format!("{shown}, line {line}: {}", error.message())]
    })?;
    if let Some(name) = all
        .role
        .keys()
        .find(|name| written.role.contains_key(*name))
    {
        return Err(vec![format!(
            "{shown}: the role {name:?} stands in the configuration too: leave one of the two out"
        )]);
    }
    all.role.extend(written.role.clone());
    all.users.extend(written.users.iter().cloned());
    all.keys.extend(written.keys.iter().cloned());
    Book::new(&all).map_err(|problems| {
        let problems = problems.iter();
        problems
            .map(|problem| format!("{shown}: {problem}"))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(file: &Path) -> Result<RoleSource, Vec<Problem>> {
        let settings = RolesSettings {
            role: [("inline".to_owned(), Default::default())].into(),
            file: Some(file.into()),
            ..RolesSettings::default()
        };
        RoleSource::new(&settings)
    }

    const KEY: &str = "key = '0123456789abcdef'";

    #[test]
    fn a_file_that_changes_is_read_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roles.toml");
        let knows = |source: &RoleSource, key: &str| {
            let digest = super::super::key::digest(key);
            source.book.read().key(&digest).is_some()
        };
        let write = |text: &str| fs::write(&file, text).unwrap();
        write(&format!("keys = [{{ id = 'a', {KEY}, roles = 'inline' }}]"));
        let source = source(&file).unwrap();
        assert!(knows(&source, "0123456789abcdef"));
        for broken in [
            "keys = [",
            "keys = [{ id = 'a' }]",
            "users = [{ name = 'ann', password = 'hunter2' }]",
            "role.inline.read = 'a'",
            "nope = 1",
        ] {
            write(broken);
            source.look();
            assert!(knows(&source, "0123456789abcdef"), "{broken}");
        }
        fs::remove_file(&file).unwrap();
        source.look();
        assert!(knows(&source, "0123456789abcdef"));
        write("keys = [{ id = 'b', key = 'fedcba9876543210' }]");
        source.look();
        assert!(!knows(&source, "0123456789abcdef"));
        assert!(knows(&source, "fedcba9876543210"));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roles.toml");
        assert_eq!(source(&file).unwrap_err()[0].setting, "file");
        for (text, said) in [
            ("role.x.read = 'a'\nkeys = [{ id = 's3cr3t-v }]", "line 2"),
            (
                "users = [{ name = 'ann', password = 's3cr3t-v' }]",
                "users.0.password",
            ),
            ("keys = [{ id = 'a', key = 's3cr3t-v' }]", "keys.0.key"),
            ("role.inline.read = 'a'", "inline"),
        ] {
            fs::write(&file, text).unwrap();
            let problems = source(&file).unwrap_err();
            let problem = problems[0].to_string();
            assert!(
                problem.contains(said) && problem.contains("roles.toml"),
                "{problem}"
            );
            assert!(!problem.contains("s3cr3t-v"), "{problem}");
        }
    }
}
