//! Clients that begin and never get anywhere: each is cut at the limit, and the others do not notice.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    LineSocket, Server, ServerOptions,
    tls::{self, Files, Pair},
};

const COUNT: usize = 5_000;

/// How long the limit may take to be enforced on a busy machine, for all of them.
const GRACE: Duration = Duration::from_secs(10);

/// How long publications take until they are received, one after another until `is_over` says so.
fn round_trips(client: &mut LineSocket, is_over: impl Fn() -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !is_over() {
        let began = Instant::now();
        client.publish("t", times.len());
        client.expect("t", times.len());
        times.push(began.elapsed());
    }
    times
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// A byte of its text at a time.
struct Dribble<'t> {
    stream: TcpStream,
    rest: std::slice::Iter<'t, u8>,
    is_open: bool,
}

impl<'t> Dribble<'t> {
    fn start(address: SocketAddr, text: &'t [u8]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            rest: text.iter(),
            is_open: true,
        }
    }

    fn go_on(&mut self) {
        let byte = self.rest.next().expect("it was cut before its text ended");
        // A failure shows in the next read.
        let _ = self.stream.write(&[*byte]);
        self.look();
    }

    fn look(&mut self) {
        // HTTP may say 408 first.
        let mut buffer = [0; 1024];
        self.is_open = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break false,
                Ok(_) => {}
                Err(error) => break error.kind() == ErrorKind::WouldBlock,
            }
        };
    }
}

#[test]
fn five_thousand_that_dribble_are_cut_and_others_do_not_wait() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = Server::start(&files.flags());
    let mut hello = Vec::new();
    tls::client(&tls::trusting(&[&pair]))
        .write_tls(&mut hello)
        .unwrap();
    let starts = [
        &b"GET /connect/info HTTP/1.1\r\nHost: localhost\r\n"[..],
        &hello,
        br#"{"action": "subscribe", "topic": "t"}"#,
    ];
    let mut client = LineSocket::subscribed(server.address, "t");
    // The first ones find empty caches.
    let warm = Instant::now();
    round_trips(&mut client, || warm.elapsed() > Duration::from_millis(200));
    let began = Instant::now();
    let before = round_trips(&mut client, || began.elapsed() > Duration::from_secs(2));

    let is_over = AtomicBool::new(false);
    let meanwhile = thread::scope(|scope| {
        let measuring = scope.spawn(|| round_trips(&mut client, || is_over.load(Ordering::SeqCst)));
        let mut slow: Vec<_> = (0..COUNT)
            .map(|number| Dribble::start(server.address, starts[number % starts.len()]))
            .collect();
        let last = Instant::now();
        // A byte each second; five seconds are the limit.
        for second in 1.. {
            slow.iter_mut().for_each(Dribble::go_on);
            slow.retain(|dribble| dribble.is_open);
            if second <= 3 {
                let early = COUNT - slow.len();
                assert!(
                    last.elapsed() > Duration::from_secs(4) || early == 0,
                    "{early} were cut early"
                );
            }
            if slow.is_empty() {
                break;
            }
            let elapsed = last.elapsed();
            assert!(
                elapsed < Duration::from_secs(5) + GRACE,
                "{} are still open",
                slow.len()
            );
            thread::park_timeout(Duration::from_secs(second).saturating_sub(elapsed));
        }
        is_over.store(true, Ordering::SeqCst);
        measuring.join().unwrap()
    });
    assert!(before.len() > 200 && meanwhile.len() > 200);
    let (before, meanwhile) = (p99(before), p99(meanwhile));
    // 20 ms: what one look at a busy machine's scheduler may cost.
    let bound = (before * 3 / 2).max(Duration::from_millis(20));
    println!("p99 before: {before:?}, meanwhile: {meanwhile:?}");
    assert!(meanwhile <= bound, "p99 {before:?} became {meanwhile:?}");
}

#[test]
fn tls_handshakes_wait_for_their_turn() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = ServerOptions::new(&files.flags())
        .config("[limits]\ntls_handshakes_max = 2\nheader_secs = 3\n")
        .start();
    let config = tls::trusting(&[&pair]);
    let mut hello = Vec::new();
    tls::client(&config).write_tls(&mut hello).unwrap();
    let mut stuck: Vec<_> = (0..2).map(|_| tls::connect_tcp(server.address)).collect();
    for stream in &mut stuck {
        stream.write_all(&hello[..20]).unwrap();
    }
    let began = Instant::now();
    // Those without TLS do not wait.
    assert_eq!(server.get("/connect").status, 200);
    // The server begins one after another, as they were accepted: these two have begun now.
    thread::park_timeout(Duration::from_secs(1));
    let answer = tls::get(tls::connect(server.address, &config), "/connect");
    assert!(answer.ends_with("Welcome to SockJS!\n"), "{answer}");
    let elapsed = began.elapsed();
    assert!(
        elapsed > Duration::from_secs(2),
        "it did not wait: {elapsed:?}"
    );
    // Who is done takes no place.
    let kept: Vec<_> = (0..5)
        .map(|_| tls::connect(server.address, &config))
        .collect();
    drop(kept);
}
