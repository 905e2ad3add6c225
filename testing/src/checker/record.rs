//! Logs, as they are written and read.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::Path,
    sync::Mutex,
    time::Instant,
};

use super::{Event, What};

/// Takes what clients did and saw, from many threads, in the order of the clock.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    events: Mutex<Vec<Event>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            events: Mutex::default(),
        }
    }
}

impl Recorder {
    /// Writes down what happened just now.
    pub fn add(&self, what: What) {
        let mut events = self.events.lock().unwrap();
        // Under the lock, so that the log is in the order of its times.
        let at = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        events.push(Event { at, what });
    }

    /// What happened so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Looks at what happened so far.
    pub fn look<T>(&self, look: impl FnOnce(&[Event]) -> T) -> T {
        look(&self.events.lock().unwrap())
    }
}

/// Writes a log, one event a line, in JSON.
///
/// # Errors
/// Those of the file.
pub fn write_log(path: &Path, events: &[Event]) -> io::Result<()> {
    let mut file = io::BufWriter::new(std::fs::File::create(path)?);
    for event in events {
        serde_json::to_writer(&mut file, event)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// Reads a log back.
///
/// # Errors
/// Those of the file, and of a line that is no event.
pub fn read_log(path: &Path) -> io::Result<Vec<Event>> {
    let lines = BufReader::new(std::fs::File::open(path)?).lines();
    lines
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect()
}
