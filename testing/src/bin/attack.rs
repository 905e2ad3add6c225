//! Attacks a server, one way after the other, and measures well-behaved clients beside it.
//!
//! `attack POLYWIRE [SECONDS [NAME [ATTACKERS]]]` starts the program at that path, and attacks it for so many seconds in
//! each way whose name contains NAME, by so many attackers. It prints a table, and fails when a canary was kept waiting or
//! too much memory was taken.
//!
//! Attackers run at the lowest priority of the system: those of the open web take nothing of the server's processor.

#![allow(clippy::unwrap_used, reason = "it is a test")]
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use polywire_testing::{
    attack::{Attack, Latencies, canaries, fill_history, fills, floods, measure},
    peers::azure::AZURE_KEY,
};

/// What a flood may add to the time within which 99 of 100 round trips of a canary come back.
const ADDED_MAX: Duration = Duration::from_millis(50);

/// The memory that the server is told to keep to, in MiB.
const BUDGET: u64 = 256;

/// What it may pass the budget by, in hundredths: the budget does not know what the allocator keeps.
const OVER_MAX: u64 = 10;

/// How many flood at a time, one after the other.
const FLOODERS: [usize; 3] = [1, 4, 16];

/// How many fill memory at a time, each with 60 connections.
const FILLERS: usize = 8;

/// How many do so in each way, where all ways go on together.
const FILLERS_TOGETHER: usize = 4;

/// The argument with which the program starts itself to be an attacker.
const CHILD: &str = "--attackers";

struct Server {
    child: Child,
    address: SocketAddr,
    /// The most that was seen, in MiB.
    peak: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Server {
    fn start(program: &str) -> Self {
        let mut child = Command::new(program)
            .args(["serve", "--port", "0"])
            .env("POLYWIRE_APPS__WEBPUBSUB__ACCESS_KEY", AZURE_KEY)
            .env("POLYWIRE_PERSISTENCE", "memory")
            .env("POLYWIRE_LIMITS__MEMORY_BYTES", (BUDGET << 20).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on http://")?.parse().ok())
            .expect("the server says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let (peak, is_over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (watched, until, pid) = (peak.clone(), is_over.clone(), child.id());
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                watched.fetch_max(resident(pid), Ordering::Relaxed);
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        Self {
            child,
            address,
            peak,
            is_over,
        }
    }
}

/// Resident memory of a process in MiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Attackers in a process of their own.
struct Attackers(Child);

impl Attackers {
    fn start(name: &str, server: SocketAddr, attackers: usize) -> Self {
        let own = std::env::current_exe().expect("the program is there");
        let child = Command::new("nice")
            .args(["-n", "19"])
            .arg(own)
            .args([CHILD, name, &server.to_string(), &attackers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.expect("nice starts the attackers"))
    }

    /// Bytes that they sent, and how their connections ended.
    fn stop(mut self) -> (u64, String) {
        drop(self.0.stdin.take());
        let mut said = String::new();
        let _ = self.0.stdout.take().unwrap().read_to_string(&mut said);
        let _ = self.0.wait();
        let (sent, ends) = said.trim().split_once(' ').unwrap_or(("0", "died"));
        (sent.parse().unwrap_or_default(), ends.to_owned())
    }
}

/// What an attacker process does: it attacks until its input ends.
fn be_attackers(arguments: &[String]) -> ExitCode {
    let [name, server, attackers] = arguments else {
        return ExitCode::FAILURE;
    };
    let server = server.parse().expect("an address");
    let attackers = attackers.parse().expect("a number");
    let all: Vec<_> = floods().into_iter().chain(fills()).collect();
    let running: Vec<_> = all
        .iter()
        .filter(|way| way.name == name || (name == EVERYTHING && is_fill(way)))
        .map(|way| way.start(server, attackers))
        .collect();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let sent: u64 = running.iter().map(|attackers| attackers.sent()).sum();
    let mut ends: Vec<_> = running
        .into_iter()
        .flat_map(|attackers| attackers.stop())
        .collect();
    ends.sort();
    ends.dedup();
    println!("{sent} {}", ends.join(", "));
    ExitCode::SUCCESS
}

/// All that fills memory at once.
const EVERYTHING: &str = "all that fills memory together";

fn is_fill(way: &Attack) -> bool {
    fills().iter().any(|fill| fill.name == way.name)
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

fn cells(latencies: &Latencies) -> String {
    let (p50, p99) = (latencies.per_mille(500), latencies.per_mille(990));
    format!("{} / {} / {}", ms(p50), ms(p99), ms(latencies.max()))
}

/// Attacks, prints a row with the canary that had it worst, and tells whether the server stood it.
fn attack(program: &str, name: &str, attackers: usize, time: Duration, is_fill: bool) -> bool {
    // A server of its own, so that memory is that of this attack.
    let server = Server::start(program);
    if is_fill {
        fill_history(server.address);
    }
    let mut canaries = canaries(server.address);
    let without = measure(&mut canaries, time / 4);
    let running = Attackers::start(name, server.address, attackers);
    let with = measure(&mut canaries, time);
    let (sent, ends) = running.stop();
    let peak = server.peak.load(Ordering::Relaxed);
    let rate = sent as f64 / time.as_secs_f64() / 1e6;
    let added = |index: usize| {
        let (with, without): (&Latencies, &Latencies) = (&with[index].1, &without[index].1);
        with.per_mille(990).saturating_sub(without.per_mille(990))
    };
    let worst = (0..with.len()).max_by_key(|index| added(*index)).unwrap();
    let refused: usize = with.iter().map(|(_, latencies)| latencies.refused).sum();
    let is_fair = is_fill || (refused == 0 && added(worst) < ADDED_MAX);
    let is_small = peak <= BUDGET * (100 + OVER_MAX) / 100;
    println!(
        "| {name} | {attackers} | {rate:.1} | {} | {} | {} | {refused} | {peak} | {ends} |{}{}",
        with[worst].0,
        cells(&without[worst].1),
        cells(&with[worst].1),
        if is_fair { "" } else { " **kept waiting**" },
        if is_small { "" } else { " **too much memory**" },
    );
    is_fair && is_small
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == CHILD) {
        return be_attackers(&arguments[1..]);
    }
    let argument = |index: usize, otherwise: &str| {
        let given = arguments.get(index).cloned();
        given.unwrap_or_else(|| otherwise.to_owned())
    };
    let program = argument(0, "target/release/polywire");
    let time = Duration::from_secs(argument(1, "4").parse().expect("seconds are a number"));
    let only = argument(2, "");
    let attackers: Option<usize> = arguments
        .get(3)
        .map(|number| number.parse().expect("attackers are a number"));
    let flooders = attackers.map_or(FLOODERS.to_vec(), |attackers| vec![attackers]);
    println!(
        "| attack | attackers | MB/s sent | canary that had it worst | p50 / p99 / max without, ms | with, ms | refused | \
         memory at most, MiB | connections |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut stands = true;
    for way in floods().iter().filter(|way| way.name.contains(&only)) {
        for attackers in &flooders {
            stands &= attack(&program, way.name, *attackers, time, false);
        }
    }
    for way in fills().iter().filter(|way| way.name.contains(&only)) {
        let fillers = attackers.unwrap_or(FILLERS);
        stands &= attack(&program, way.name, fillers, time * 2, true);
    }
    if EVERYTHING.contains(&only) {
        let fillers = attackers.unwrap_or(FILLERS_TOGETHER);
        stands &= attack(&program, EVERYTHING, fillers, time * 30, true);
    }
    if stands {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
