//! One measurement, from the first connection to the last delivery.

use std::time::{Duration, Instant};

use polywire::cli::BenchFlags;

use super::{
    BenchError,
    load::Load,
    process::Processes,
    protocols::{Client, Protocol, Role},
    report::{Cost, Idle, Latency, Rates, Report},
    target::Target,
    traffic::Traffic,
};
use crate::progress::Progress;

/// Connections that are opened at once: fewer than any server's backlog.
const BATCH: usize = 100;

/// How long the server may take over one batch, or over the first message to everybody.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long after the last connection the memory is looked at.
const SETTLE: Duration = Duration::from_millis(500);

/// How often the way to those who were not reached is tried.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// How long nothing may arrive before what is missing is lost, and how long everything may take.
const DRAIN_QUIET: Duration = Duration::from_secs(3);
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// Publications between two looks at what arrived.
const BURST: u64 = 256;

/// The longest wait for something to happen.
const TURN: Duration = Duration::from_millis(10);

pub(super) fn measure(
    flags: &BenchFlags,
    target: &Target,
    protocol: &dyn Protocol,
) -> Result<Report, BenchError> {
    let server = Processes::find(&flags.pid)?;
    let mut progress = Progress::new();
    let per_channel = |channel| {
        (channel..flags.subs)
            .step_by(flags.channels)
            .count()
            .try_into()
            .unwrap_or(u64::MAX)
    };
    let traffic = Traffic::new((0..flags.channels).map(per_channel).collect());
    let mut load = Load::new(protocol, flags.size, traffic)?;

    let memory = server.memory();
    let began = Instant::now();
    connect(flags, target, &mut load, &mut progress)?;
    let connecting = began.elapsed();
    wait(&mut load, SETTLE, |_| ())?;
    let mut report = Report {
        protocol: protocol.name(),
        flags: flags.clone(),
        connections: load.len(),
        connecting,
        memory_per_connection: (!server.is_empty())
            .then(|| server.memory().saturating_sub(memory) as f64 / load.len() as f64),
        idle: None,
        rates: None,
    };
    if flags.idle {
        report.idle = Some(idle(flags, &mut load, &server, &mut progress)?);
        return Ok(report);
    }
    reach_everybody(flags, &mut load, &mut progress)?;
    report.rates = Some(run(flags, &mut load, &server, &mut progress)?);
    Ok(report)
}

/// Opens all connections.
fn connect(
    flags: &BenchFlags,
    target: &Target,
    load: &mut Load<'_>,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let subscribers = (0..flags.subs).map(|number| Client {
        role: Role::Subscriber,
        number,
        channel: number % flags.channels,
    });
    let publishers = (0..flags.pubs).map(|number| Client {
        role: Role::Publisher,
        number,
        channel: 0,
    });
    let clients: Vec<_> = subscribers.chain(publishers).collect();
    for batch in clients.chunks(BATCH) {
        for client in batch {
            load.connect(target, *client)?;
        }
        let deadline = Instant::now() + READY_TIMEOUT;
        while load.opening > 0 {
            if Instant::now() > deadline {
                return Err(BenchError::NotReady(load.opening, clients.len()));
            }
            load.turn(TURN)?;
        }
        progress.show("connecting", load.len() as f64, clients.len() as f64);
    }
    Ok(())
}

/// Publishes messages that are not counted until every subscriber got one: then every subscription holds.
fn reach_everybody(
    flags: &BenchFlags,
    load: &mut Load<'_>,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        let mut channels: Vec<_> = load.unreached().map(|c| c.client.channel).collect();
        let missing = channels.len();
        if missing == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(BenchError::NotSubscribed(missing, flags.subs));
        }
        channels.sort_unstable();
        channels.dedup();
        for channel in channels {
            load.probe(channel)?;
        }
        let again = Instant::now() + PROBE_EVERY;
        while Instant::now() < again && load.unreached().next().is_some() {
            load.turn(TURN)?;
        }
        progress.show(
            "first message",
            (flags.subs - missing) as f64,
            flags.subs as f64,
        );
    }
}

/// Measures while nothing is published.
fn idle(
    flags: &BenchFlags,
    load: &mut Load<'_>,
    server: &Processes,
    progress: &mut Progress,
) -> Result<Idle, BenchError> {
    let (began, cpu) = (Instant::now(), server.cpu());
    let all = flags.secs.as_secs_f64();
    wait(load, flags.secs, |passed| {
        progress.show("idle", passed, all);
    })?;
    Ok(Idle {
        secs: began.elapsed().as_secs_f64(),
        closed: load.traffic.closed,
        server_cpu_secs: (!server.is_empty()).then(|| (server.cpu() - cpu).as_secs_f64()),
        server_memory_bytes: (!server.is_empty()).then(|| server.memory()),
    })
}

/// Lets time pass, and tells how many seconds have.
fn wait(
    load: &mut Load<'_>,
    time: Duration,
    mut passed: impl FnMut(f64),
) -> Result<(), BenchError> {
    let began = Instant::now();
    while began.elapsed() < time {
        load.turn(TURN)?;
        passed(began.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Publishes, and counts what arrives.
fn run(
    flags: &BenchFlags,
    load: &mut Load<'_>,
    server: &Processes,
    progress: &mut Progress,
) -> Result<Rates, BenchError> {
    let mut pace = Pace::new(flags);
    // Queues, buffers and caches fill first.
    let warm_up = flags.secs.mul_f64(0.2).min(Duration::from_secs(1));
    let own = Processes::own();
    publish_for(load, &mut pace, warm_up, |_| ())?;
    load.traffic.latency.clear();
    let (began, published, delivered) = (
        Instant::now(),
        load.traffic.published,
        load.traffic.delivered,
    );
    let (server_cpu, own_cpu) = (server.cpu(), own.cpu());

    let all = flags.secs.as_secs_f64();
    publish_for(load, &mut pace, flags.secs, |passed| {
        progress.show("measuring", passed, all);
    })?;

    let secs = began.elapsed().as_secs_f64();
    let deliveries = load.traffic.delivered - delivered;
    let cost = (!server.is_empty()).then(|| Cost {
        cpu_secs: (server.cpu() - server_cpu).as_secs_f64(),
        deliveries,
        memory_bytes: server.memory(),
    });
    let own_cpu_share = (own.cpu() - own_cpu).as_secs_f64() / secs;
    let published_per_sec = (load.traffic.published - published) as f64 / secs;
    let latency = Latency::of(&load.traffic.latency);
    drain(load)?;
    let traffic = &load.traffic;
    Ok(Rates {
        secs,
        published_per_sec,
        delivered_per_sec: deliveries as f64 / secs,
        latency,
        cost,
        own_cpu_share,
        published: traffic.published,
        expected: traffic.expected,
        delivered: traffic.delivered,
        lost: traffic.lost(),
        disordered: traffic.disordered,
        closed: traffic.closed,
    })
}

/// When to publish how much.
struct Pace {
    rate: Option<f64>,
    /// Deliveries that may be on their way.
    in_flight_max: u64,
    began: Instant,
    channels: usize,
    next_channel: usize,
}

impl Pace {
    fn new(flags: &BenchFlags) -> Self {
        let per_publication = (flags.subs / flags.channels).max(1);
        Self {
            rate: flags.rate,
            in_flight_max: (flags.window * per_publication) as u64,
            began: Instant::now(),
            channels: flags.channels,
            next_channel: 0,
        }
    }

    /// True when it is time for one more.
    fn is_due(&self, traffic: &Traffic) -> bool {
        match self.rate {
            Some(rate) => (traffic.published as f64) < self.began.elapsed().as_secs_f64() * rate,
            None => traffic.in_flight() < self.in_flight_max,
        }
    }

    /// How long nothing is due.
    fn pause(&self, traffic: &Traffic) -> Duration {
        let Some(rate) = self.rate else {
            return TURN;
        };
        let due = Duration::from_secs_f64((traffic.published as f64 + 1.0) / rate);
        due.saturating_sub(self.began.elapsed()).min(TURN)
    }
}

fn publish_for(
    load: &mut Load<'_>,
    pace: &mut Pace,
    time: Duration,
    mut passed: impl FnMut(f64),
) -> Result<(), BenchError> {
    let began = Instant::now();
    while began.elapsed() < time {
        for _ in 0..BURST {
            if !pace.is_due(&load.traffic) || !load.takes(pace.next_channel) {
                break;
            }
            load.publish(pace.next_channel);
            pace.next_channel = (pace.next_channel + 1) % pace.channels;
        }
        load.flush_publishers()?;
        load.turn(pace.pause(&load.traffic))?;
        passed(began.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Waits for what is still on its way.
fn drain(load: &mut Load<'_>) -> Result<(), BenchError> {
    let began = Instant::now();
    let (mut delivered, mut moved) = (load.traffic.delivered, Instant::now());
    while load.traffic.in_flight() > 0 && began.elapsed() < DRAIN_MAX {
        load.flush_publishers()?;
        load.turn(TURN)?;
        if load.traffic.delivered != delivered {
            (delivered, moved) = (load.traffic.delivered, Instant::now());
        }
        if moved.elapsed() > DRAIN_QUIET {
            break;
        }
    }
    Ok(())
}
