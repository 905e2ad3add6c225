//! Programs that a test starts and stops.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{SOON, eventually};

/// A running program. What it prints on stderr is shown when the test fails; it is killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stdout: Vec<String>,
    stderr: Arc<Mutex<Vec<String>>>,
    stderr_reader: Option<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command.stdin(Stdio::null()))
    }

    /// Starts one that is told what to do line by line.
    pub(crate) fn start_with_input(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command.stdin(Stdio::piped()))
    }

    fn spawn(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        thread::spawn(move || each_line(stdout, |line| drop(sender.send(line))));
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (pipe, kept) = (child.stderr.take().unwrap(), stderr.clone());
        let reader = move || each_line(pipe, |line| kept.lock().unwrap().push(line));
        let stderr_reader = Some(thread::spawn(reader));
        Self {
            name: name.to_owned(),
            stdin: child.stdin.take(),
            child,
            lines,
            stdout: Vec::new(),
            stderr,
            stderr_reader,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads stdout up to the line for which `wanted` gives something.
    pub(crate) fn wait_for_line<T>(
        &mut self,
        within: Duration,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = wanted(&line);
                    self.stdout.push(line);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{} did not say it within {within:?}", self.name)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{} ended: {:?}", self.name, self.child.wait())
                }
            }
        }
    }

    /// Writes a line to its stdin.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line of its stdout, which is not kept.
    pub(crate) fn next_line(&mut self, within: Duration) -> Option<String> {
        match self.lines.recv_timeout(within) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("{} ended: {:?}", self.name, self.child.wait())
            }
        }
    }

    /// What it printed on stdout so far.
    pub(crate) fn stdout(&mut self) -> &[String] {
        self.stdout.extend(self.lines.try_iter());
        &self.stdout
    }

    /// Returns when it has closed its stdout.
    pub(crate) fn wait_for_end_of_output(&mut self) {
        let deadline = Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.stdout.push(line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("{} keeps its stdout open", self.name),
            }
        }
    }

    /// What it printed on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().join("\n")
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {pid}")])
            .status()
            .unwrap();
        assert!(sent.success(), "kill -{signal} {}", self.name);
    }

    /// Stops it until it gets `CONT`, and returns when none of its threads runs any more: the signal takes its time.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.pid());
        let is_stopped = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
            // A thread that has ended has no file any more.
            stat.map_or(true, |stat| stat.contains(") T "))
        };
        eventually(&format!("{} at rest", self.name), SOON, || {
            let mut tasks = std::fs::read_dir(&tasks).unwrap();
            tasks.all(is_stopped).then_some(())
        });
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self, within: Duration) -> ExitStatus {
        let (name, child) = (&self.name, &mut self.child);
        eventually(&format!("the end of {name}"), within, || {
            child.try_wait().unwrap()
        })
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended by itself, and returns all that it printed.
    pub(crate) fn output(&mut self) -> Output {
        let status = self.wait(SOON);
        self.wait_for_end_of_output();
        if let Some(reader) = self.stderr_reader.take() {
            reader.join().unwrap();
        }
        Output {
            status,
            stdout: self.stdout.join("\n").into(),
            stderr: self.stderr().into(),
        }
    }

    /// How many file descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.pid());
        std::fs::read_dir(folder).unwrap().count()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let stdout = self.stdout().join("\n");
            let (name, stderr) = (&self.name, self.stderr());
            eprintln!("--- stdout of {name}\n{stdout}\n--- stderr of {name}\n{stderr}\n---");
        }
    }
}

fn each_line(pipe: impl Read, mut take: impl FnMut(String)) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(pipe.read_until(b'\n', &mut line), Ok(1..)) {
        take(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

/// Node with a script of `tests/js`.
pub(crate) fn node(script: &str, args: &[&str]) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
    assert!(
        folder.join("node_modules").exists(),
        "the npm packages are missing: run `./check install`"
    );
    let mut command = Command::new("node");
    command.arg(script).args(args).current_dir(folder);
    command
}

/// Runs a script of `tests/js` to its end; the test fails when the script does.
pub(crate) fn run_node(script: &str, args: &[&str]) {
    let mut node = Process::start(script, &mut node(script, args));
    let status = node.wait(6 * SOON);
    assert!(status.success(), "{script} {args:?}: {status}");
}

/// A folder of Python packages beside those that the clients mostly use.
pub(crate) fn python_packages(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let folder = root.unwrap().join("target/python-packages").join(name);
    assert!(
        folder.exists(),
        "the Python packages are missing: run `./check install`"
    );
    folder
}

/// The Python that has the clients, with a script of `tests/py`.
pub(crate) fn python(script: &str) -> Command {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = crate_folder.ancestors().nth(2).unwrap();
    let program = root.join("target/python/bin/python");
    assert!(
        program.exists(),
        "the Python packages are missing: run `./check install`"
    );
    let mut command = Command::new(program);
    command.arg(crate_folder.join("tests/py").join(script));
    command
}
