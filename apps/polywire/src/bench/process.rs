//! Resources that a process uses, as Linux tells in /proc.

use std::{fs, time::Duration};

use super::BenchError;

/// Processes with all that they have started.
pub(super) struct Processes(Vec<u32>);

impl Processes {
    /// These and their children, now.
    pub(super) fn find(pids: &[u32]) -> Result<Self, BenchError> {
        if let Some(pid) = pids.iter().find(|pid| stat(**pid).is_none()) {
            return Err(BenchError::NoProcess(*pid));
        }
        let mut all = pids.to_vec();
        let mut next = 0;
        while let Some(pid) = all.get(next) {
            for child in children(*pid) {
                if !all.contains(&child) {
                    all.push(child);
                }
            }
            next += 1;
        }
        Ok(Self(all))
    }

    /// This one.
    pub(super) fn own() -> Self {
        Self(vec![std::process::id()])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// CPU time so far, of user and system.
    pub(super) fn cpu(&self) -> Duration {
        let ticks: u64 = self.0.iter().filter_map(|pid| stat(*pid)).sum();
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Resident memory, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.0.iter().filter_map(|pid| resident(*pid)).sum()
    }
}

/// Clock ticks of user and system, fields 14 and 15 of proc(5). The name before them may hold anything.
fn stat(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

fn resident(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let lists = threads.into_iter().flatten().flatten();
    let lists = lists.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
            pids.collect::<Vec<u32>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_no_process_is_an_error() {
        let own = Processes::find(&[std::process::id()]).unwrap();
        assert!(own.memory() > 100_000);
        assert!(Processes::find(&[u32::MAX]).is_err());
    }
}
