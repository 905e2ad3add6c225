//! A simulation of what several masters of Redis would mean for timetokens and cursors, for `docs/redis-cluster.md`: prints
//! its table.

/// Nodes, each of which hears all channels.
const NODES: usize = 4;
/// Publications of each run.
const PUBLICATIONS: usize = 1_000_000;
/// Microseconds that a master takes for a publication, and for each node that hears it (measured with batches of 64).
const PUBLISH_MICROS: f64 = 11.0;
const PUSH_MICROS: f64 = 2.0;
/// The part of their time that masters work.
const LOAD: f64 = 0.7;
/// Microseconds by which the clocks of masters differ, at most, each way.
const SKEW: f64 = 500.0;
/// Microseconds that a message takes from a master to a node: at least, and on average beyond that.
const LATENCY: (f64, f64) = (200.0, 300.0);
/// One in so many messages is held up with all behind it, for so long in microseconds.
const STALL: (u64, f64) = (20_000, 50_000.0);
/// One in so many publications is the last that a client sees before it goes to another node.
const MOVES: usize = 1000;

/// A publication: its time by the clock of its master, and when it came to each node.
struct Publication {
    master: usize,
    timetoken: f64,
    arrivals: [f64; NODES],
}

/// What a run shows.
struct Shown {
    masters: usize,
    per_second: f64,
    /// Of a million publications those that came to a node behind a younger one, and by how much at most.
    late: f64,
    latest_millis: f64,
    /// Publications that a client misses each time that it goes to another node, where its cursor is the greatest timetoken.
    missed: f64,
    /// Milliseconds for which a message waits until no older one can come, half of them and 99 % of them at most, where
    /// masters say every so many milliseconds how late it is.
    waits: [(f64, f64, f64); 2],
}

/// Chance that is the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn exponential(dice: &mut Dice, mean: f64) -> f64 {
    -mean * (1.0 - dice.fraction()).ln()
}

fn publish(masters: usize, dice: &mut Dice) -> Vec<Publication> {
    let service = PUBLISH_MICROS + PUSH_MICROS * NODES as f64;
    let pause = service / LOAD / masters as f64;
    let skews: Vec<_> = (0..masters)
        .map(|_| (dice.fraction() * 2.0 - 1.0) * SKEW)
        .collect();
    let mut now = 0.0;
    let mut free = vec![0.0; masters];
    let mut last = vec![[0.0; NODES]; masters];
    let published = (0..PUBLICATIONS).map(|_| {
        now += exponential(dice, pause);
        let master = (dice.next() % masters as u64) as usize;
        let begun = f64::max(now, free[master]);
        free[master] = begun + service;
        let mut arrivals = [0.0; NODES];
        for (node, arrival) in arrivals.iter_mut().enumerate() {
            let mut at = free[master] + LATENCY.0 + exponential(dice, LATENCY.1);
            if dice.next().is_multiple_of(STALL.0) {
                at += STALL.1;
            }
            // One connection: what is behind waits.
            last[master][node] = f64::max(at, last[master][node]);
            *arrival = last[master][node];
        }
        Publication {
            master,
            timetoken: begun + skews[master],
            arrivals,
        }
    });
    published.collect()
}

/// A time that is passed by this part of them.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

fn run(masters: usize) -> Shown {
    let dice = &mut Dice(1);
    let published = publish(masters, dice);
    // As they come to the first node.
    let mut order: Vec<_> = (0..published.len()).collect();
    order.sort_by(|a, b| published[*a].arrivals[0].total_cmp(&published[*b].arrivals[0]));
    let (mut horizon, mut late, mut latest) = (f64::MIN, 0, 0.0);
    // The cursor that a client has, and when it was given it.
    let mut cursors = Vec::new();
    for (number, index) in order.iter().enumerate() {
        let one = &published[*index];
        if one.timetoken < horizon {
            late += 1;
            latest = f64::max(latest, horizon - one.timetoken);
        }
        horizon = f64::max(horizon, one.timetoken);
        if number % MOVES == MOVES - 1 {
            cursors.push((horizon, one.arrivals[0]));
        }
    }
    // What has a time up to a cursor and comes after the cursor was given is not asked for at another node.
    let mut by_time: Vec<_> = published.iter().collect();
    by_time.sort_by(|a, b| a.timetoken.total_cmp(&b.timetoken));
    let mut missed = 0;
    for (cursor, given) in &cursors {
        let until = by_time.partition_point(|one| one.timetoken <= *cursor);
        let recent = by_time[..until].iter().rev();
        let recent = recent.take_while(|one| one.timetoken > cursor - 2.0 * STALL.1);
        missed += recent.filter(|one| one.arrivals[0] > *given).count();
    }
    let waits = [10.0, 50.0].map(|every_millis: f64| {
        let every = every_millis * 1000.0;
        // Up to when each master has been heard, with its words of how late it is between its publications.
        let mut heard = vec![f64::MIN; masters];
        let mut waiting: Vec<(f64, f64)> = Vec::new();
        let mut waited = Vec::with_capacity(published.len());
        let mut next_word = 0.0;
        for index in &order {
            let one = &published[*index];
            let now = one.arrivals[0];
            while next_word < now {
                let said = next_word - LATENCY.0 - LATENCY.1;
                heard
                    .iter_mut()
                    .for_each(|heard| *heard = f64::max(*heard, said - SKEW));
                next_word += every;
            }
            heard[one.master] = f64::max(heard[one.master], one.timetoken);
            waiting.push((one.timetoken, now));
            let sure = heard.iter().copied().fold(f64::MAX, f64::min);
            waiting.retain(|(timetoken, came)| {
                let is_held = *timetoken > sure;
                if !is_held {
                    waited.push((now - came) / 1000.0);
                }
                is_held
            });
        }
        waited.sort_by(f64::total_cmp);
        (
            every_millis,
            quantile(&waited, 0.5),
            quantile(&waited, 0.99),
        )
    });
    let million = 1e6 / published.len() as f64;
    let service = PUBLISH_MICROS + PUSH_MICROS * NODES as f64;
    Shown {
        masters,
        per_second: LOAD * masters as f64 / service * 1e6,
        late: late as f64 * million,
        latest_millis: latest / 1000.0,
        missed: missed as f64 / cursors.len() as f64,
        waits,
    }
}

fn main() {
    for masters in [1, 4, 16] {
        let Shown {
            masters,
            per_second,
            late,
            latest_millis,
            missed,
            waits: [often, seldom],
        } = run(masters);
        println!(
            "| {masters} | {per_second:.0} | {late:.0} | {latest_millis:.1} ms | {missed:.2} | {:.1} / {:.1} ms | {:.1} / {:.1} ms |",
            often.1, often.2, seldom.1, seldom.2
        );
    }
}
