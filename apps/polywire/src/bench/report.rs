//! The report of a measurement, for people and for programs.

use std::{fmt::Write, time::Duration};

use polywire::cli::BenchFlags;
use serde_json::{Value, json};

use super::histogram::Histogram;

/// Share of a core from which on this program, not the server, may be what is slow.
const BUSY: f64 = 0.97;

pub(super) struct Report {
    pub(super) protocol: &'static str,
    pub(super) flags: BenchFlags,
    pub(super) connections: usize,
    pub(super) connecting: Duration,
    /// Bytes of the server's memory, when its processes are known.
    pub(super) memory_per_connection: Option<f64>,
    pub(super) idle: Option<Idle>,
    pub(super) rates: Option<Rates>,
}

/// While nothing is published.
pub(super) struct Idle {
    pub(super) secs: f64,
    pub(super) closed: u64,
    pub(super) server_cpu_secs: Option<f64>,
    pub(super) server_memory_bytes: Option<u64>,
}

/// While messages are published.
pub(super) struct Rates {
    pub(super) secs: f64,
    pub(super) published_per_sec: f64,
    pub(super) delivered_per_sec: f64,
    pub(super) latency: Latency,
    pub(super) cost: Option<Cost>,
    /// CPU time of this program in a second.
    pub(super) own_cpu_share: f64,
    /// These count from the first message to the last, with those before and after the measured time.
    pub(super) published: u64,
    pub(super) expected: u64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) disordered: u64,
    pub(super) closed: u64,
}

/// Milliseconds from the publisher's write to the subscriber's read.
pub(super) struct Latency {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Latency {
    pub(super) fn of(nanos: &Histogram) -> Self {
        let millis = |nanos: u64| nanos as f64 / 1e6;
        Self {
            p50: millis(nanos.quantile(0.5)),
            p99: millis(nanos.quantile(0.99)),
            p999: millis(nanos.quantile(0.999)),
            max: millis(nanos.max()),
        }
    }
}

/// What the server spent in the measured time.
pub(super) struct Cost {
    pub(super) cpu_secs: f64,
    pub(super) deliveries: u64,
    pub(super) memory_bytes: u64,
}

impl Cost {
    /// None when the clock of the system did not move.
    fn per_delivery_micros(&self) -> Option<f64> {
        (self.deliveries > 0 && self.cpu_secs > 0.0)
            .then(|| self.cpu_secs * 1e6 / self.deliveries as f64)
    }
}

impl Report {
    pub(super) fn json(&self) -> Value {
        let flags = &self.flags;
        json!({
            "protocol": self.protocol,
            "address": flags.addr.to_string(),
            "subscribers": flags.subs,
            "channels": flags.channels,
            "publishers": flags.pubs,
            "message_bytes": flags.size,
            "rate": flags.rate,
            "window": (flags.rate.is_none() && !flags.idle).then_some(flags.window),
            "connections": self.connections,
            "connect_secs": self.connecting.as_secs_f64(),
            "server_memory_bytes_per_connection": self.memory_per_connection,
            "idle": self.idle.as_ref().map(|idle| json!({
                "secs": idle.secs,
                "closed": idle.closed,
                "server_cpu_secs": idle.server_cpu_secs,
                "server_memory_bytes": idle.server_memory_bytes,
            })),
            "measured": self.rates.as_ref().map(|rates| json!({
                "secs": rates.secs,
                "published_per_sec": rates.published_per_sec,
                "delivered_per_sec": rates.delivered_per_sec,
                "latency_ms": {
                    "p50": rates.latency.p50,
                    "p99": rates.latency.p99,
                    "p99.9": rates.latency.p999,
                    "max": rates.latency.max,
                },
                "server_cpu_secs": rates.cost.as_ref().map(|cost| cost.cpu_secs),
                "server_cpu_us_per_delivery": rates.cost.as_ref().and_then(Cost::per_delivery_micros),
                "deliveries_per_cpu_sec":
                    rates.cost.as_ref().and_then(Cost::per_delivery_micros).map(|us| 1e6 / us),
                "server_memory_bytes": rates.cost.as_ref().map(|cost| cost.memory_bytes),
                "own_cpu_share": rates.own_cpu_share,
            })),
            "total": self.rates.as_ref().map(|rates| json!({
                "published": rates.published,
                "expected": rates.expected,
                "delivered": rates.delivered,
                "lost": rates.lost,
                "out_of_order": rates.disordered,
                "closed": rates.closed,
            })),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text.trim_end().to_owned()
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let flags = &self.flags;
        writeln!(
            out,
            "{} at {}: {}, {}, {}",
            self.protocol,
            flags.addr,
            counted(flags.subs, "subscriber"),
            counted(flags.pubs, "publisher"),
            counted(flags.channels, "channel")
        )?;
        write!(
            out,
            "connected    {} in {:.2} s",
            grouped(self.connections as f64),
            self.connecting.as_secs_f64()
        )?;
        if let Some(bytes) = self.memory_per_connection {
            write!(
                out,
                "; {:.2} KiB of the server's memory each",
                bytes / 1024.0
            )?;
        }
        writeln!(out)?;
        if let Some(idle) = &self.idle {
            write!(
                out,
                "idle         {:.1} s; {} closed",
                idle.secs, idle.closed
            )?;
            if let (Some(cpu), Some(memory)) = (idle.server_cpu_secs, idle.server_memory_bytes) {
                let memory = memory as f64 / (1 << 20) as f64;
                write!(out, "; server: {cpu:.2} s of CPU, {memory:.1} MiB")?;
            }
            writeln!(out)?;
        }
        match &self.rates {
            Some(rates) => self.write_rates(rates, out),
            None => Ok(()),
        }
    }

    fn write_rates(&self, rates: &Rates, out: &mut String) -> std::fmt::Result {
        let how = match self.flags.rate {
            Some(rate) => format!("{rate} a second asked for"),
            None => format!("window {}", self.flags.window),
        };
        writeln!(
            out,
            "published    {}/s of {} bytes for {:.1} s; {how}",
            grouped(rates.published_per_sec),
            grouped(self.flags.size as f64),
            rates.secs
        )?;
        writeln!(out, "delivered    {}/s", grouped(rates.delivered_per_sec))?;
        let Latency {
            p50,
            p99,
            p999,
            max,
        } = rates.latency;
        writeln!(
            out,
            "latency ms   p50 {p50:.3}  p99 {p99:.3}  p99.9 {p999:.3}  max {max:.3}"
        )?;
        if let Some(cost) = &rates.cost {
            let memory = cost.memory_bytes as f64 / (1 << 20) as f64;
            match cost.per_delivery_micros() {
                Some(micros) => writeln!(
                    out,
                    "server       {micros:.3} us of CPU per delivery; {} deliveries per CPU-second; \
                     {:.0} % of a core; {memory:.1} MiB",
                    grouped(1e6 / micros),
                    cost.cpu_secs / rates.secs * 100.0
                )?,
                None => writeln!(
                    out,
                    "server       CPU too little to measure; {memory:.1} MiB"
                )?,
            }
        }
        writeln!(
            out,
            "in all       {} published, {} of {} delivered: {} lost, {} out of order, {} connections closed",
            grouped(rates.published as f64),
            grouped(rates.delivered as f64),
            grouped(rates.expected as f64),
            grouped(rates.lost as f64),
            grouped(rates.disordered as f64),
            grouped(rates.closed as f64)
        )?;
        if rates.own_cpu_share >= BUSY {
            writeln!(
                out,
                "note         this program used {:.0} % of a core: the server may be faster than that",
                rates.own_cpu_share * 100.0
            )?;
        }
        Ok(())
    }
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number as f64))
}

/// A whole number with commas.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0.0, "0"),
            (999.4, "999"),
            (1e3, "1,000"),
            (1234567.0, "1,234,567"),
        ] {
            assert_eq!(super::grouped(number), text);
        }
    }
}
