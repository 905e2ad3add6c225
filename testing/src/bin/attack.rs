//! Attacks a server, one way after the other, and measures well-behaved clients beside it.
//!
//! `attack POLYWIRE [SECONDS [NAME]]` starts the program at that path, and attacks it for so many seconds in each way
//! whose name contains NAME. It prints a table, and fails when a canary was kept waiting.

#![allow(clippy::unwrap_used, reason = "it is a test")]
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use polywire_testing::{
    attack::{Attack, Latencies, canaries, floods, measure},
    peers::azure::AZURE_KEY,
};

/// What an attack may add to the time within which 99 of 100 round trips of a canary come back.
const ADDED_MAX: Duration = Duration::from_millis(50);

/// How many attack at a time.
const ATTACKERS: [usize; 3] = [1, 4, 16];

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(program: &str) -> Self {
        let mut child = Command::new(program)
            .args(["serve", "--port", "0"])
            .env("POLYWIRE_APPS__WEBPUBSUB__ACCESS_KEY", AZURE_KEY)
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
        Self { child, address }
    }

    /// Resident memory in MiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_default() / 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

fn cells(latencies: &Latencies) -> String {
    let (p50, p99) = (latencies.per_mille(500), latencies.per_mille(990));
    format!("{} / {} / {}", ms(p50), ms(p99), ms(latencies.max()))
}

/// Attacks, prints a row for each canary that had it worst, and tells whether all came through.
fn attack(program: &str, attack: &Attack, attackers: usize, time: Duration) -> bool {
    // A server of its own, so that memory is that of this attack.
    let server = Server::start(program);
    let mut canaries = canaries(server.address);
    let without = measure(&mut canaries, time / 4);
    let running = attack.start(server.address, attackers);
    let with = measure(&mut canaries, time);
    let (memory, sent) = (server.memory(), running.sent());
    let ends = running.stop();
    let rate = sent as f64 / time.as_secs_f64() / 1e6;
    let added = |index: usize| {
        let (with, without): (&Latencies, &Latencies) = (&with[index].1, &without[index].1);
        with.per_mille(990).saturating_sub(without.per_mille(990))
    };
    let worst = (0..with.len()).max_by_key(|index| added(*index)).unwrap();
    let is_fair = added(worst) < ADDED_MAX;
    println!(
        "| {} | {attackers} | {rate:.1} | {} | {} | {} | {memory} | {} |{}",
        attack.name,
        with[worst].0,
        cells(&without[worst].1),
        cells(&with[worst].1),
        ends.join(", "),
        if is_fair { "" } else { " **kept waiting**" }
    );
    is_fair
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let program = arguments
        .next()
        .unwrap_or_else(|| "target/release/polywire".into());
    let seconds = arguments
        .next()
        .map_or(4, |text| text.parse().expect("seconds are a number"));
    let name = arguments.next().unwrap_or_default();
    println!(
        "| attack | attackers | MB/s sent | canary that had it worst | p50 / p99 / max without, ms | with, ms | RSS, MiB | ends |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut is_fair = true;
    for way in floods().iter().filter(|way| way.name.contains(&name)) {
        for attackers in ATTACKERS {
            is_fair &= attack(&program, way, attackers, Duration::from_secs(seconds));
        }
    }
    if is_fair {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
