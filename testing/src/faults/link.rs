//! The way from a node to Redis, and what may be wrong with it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::resp::{message, read_frame};
use crate::dice::Dice;

/// What a link does with what goes over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// Bytes wait, both ways, and so do new connections.
    pub stalls: bool,
    /// New connections are closed at once.
    pub refuses: bool,
    /// Of so many messages that Redis sends unasked one is left out; all with 1, none with 0.
    pub drops_one_of: u64,
    /// What passes waits for so long, and up to as long again, in its order.
    pub delay: Duration,
}

/// A proxy before Redis. Messages that Redis sends unasked are frames of their own here, and can be left out while
/// everything else passes.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    redis: AtomicU16,
    seed: u64,
    weather: Mutex<Weather>,
    dice: Mutex<Dice>,
    /// Messages that were left out.
    dropped: AtomicU64,
    /// The two sides of every connection.
    sockets: Mutex<Vec<TcpStream>>,
}

/// What waits until it is due.
type Piece = (Instant, Vec<u8>);

/// How long a stalled piece waits before it looks again.
const LOOK: Duration = Duration::from_millis(5);

impl Link {
    /// A good link to the Redis on this port of loopback.
    pub fn start(redis: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            redis: AtomicU16::new(redis),
            seed,
            weather: Mutex::default(),
            dice: Mutex::new(Dice::new(seed)),
            dropped: AtomicU64::new(0),
            sockets: Mutex::default(),
        });
        let own = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let own = own.clone();
                thread::spawn(move || own.take(client));
            }
        });
        Self { address, shared }
    }

    /// The port on which the node finds its Redis.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what the link does.
    pub fn set(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap() = weather;
    }

    /// Cuts every connection without a word.
    pub fn cut(&self) {
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            // One that has ended already cannot be shut down.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Leads further connections to another Redis.
    pub fn lead_to(&self, redis: u16) {
        self.shared.redis.store(redis, Ordering::Relaxed);
    }

    /// Messages that were left out so far.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }

    fn take(self: &Arc<Self>, client: TcpStream) {
        while self.weather().stalls {
            thread::park_timeout(LOOK);
        }
        let redis = ("127.0.0.1", self.redis.load(Ordering::Relaxed));
        let Ok(redis) = TcpStream::connect(redis) else {
            return;
        };
        if self.weather().refuses {
            return;
        }
        for side in [&client, &redis] {
            // It goes on though the other side has ended.
            let _ = side.set_nodelay(true);
        }
        let Ok(sides) = [&client, &redis, &client, &redis]
            .map(TcpStream::try_clone)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
        else {
            return;
        };
        let [to_client, to_redis, kept_client, kept_redis] =
            <[TcpStream; 4]>::try_from(sides).unwrap();
        self.sockets
            .lock()
            .unwrap()
            .extend([kept_client, kept_redis]);
        let (up, upward) = mpsc::channel();
        let (down, downward) = mpsc::channel();
        let own = self.clone();
        thread::spawn(move || own.read_commands(client, &up));
        let own = self.clone();
        thread::spawn(move || own.read_answers(redis, &down));
        let own = self.clone();
        thread::spawn(move || own.write(upward, to_redis));
        self.write(downward, to_client);
    }

    fn read_commands(&self, mut client: TcpStream, to: &Sender<Piece>) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            if to.send((self.due(), buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    }

    fn read_answers(&self, redis: TcpStream, to: &Sender<Piece>) {
        let mut redis = BufReader::new(redis);
        while let Ok(frame) = read_frame(&mut redis) {
            if message(&frame).is_some_and(|published| self.drops(published)) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            } else if to.send((self.due(), frame)).is_err() {
                return;
            }
        }
    }

    /// Whether a message is left out: with each of its copies, since one comes for every subscription that it matches.
    fn drops(&self, published: &[u8]) -> bool {
        let one_of = self.weather().drops_one_of;
        let mut hasher = DefaultHasher::new();
        (self.seed, published).hash(&mut hasher);
        one_of > 0 && hasher.finish().is_multiple_of(one_of)
    }

    fn due(&self) -> Instant {
        let delay = self.weather().delay;
        let jitter = self.dice.lock().unwrap().throw(1000) as f64 / 1000.0;
        Instant::now() + delay + delay.mul_f64(jitter)
    }

    /// Writes pieces when they are due, in their order, and ends the other side with the last one.
    fn write(&self, from: Receiver<Piece>, mut to: TcpStream) {
        for (due, piece) in from {
            loop {
                let wait = due.saturating_duration_since(Instant::now());
                let stalls = self.weather().stalls;
                if wait.is_zero() && !stalls {
                    break;
                }
                thread::park_timeout(if stalls { LOOK } else { wait });
            }
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}
