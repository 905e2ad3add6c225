//! A TCP proxy that cuts connections.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Hands bytes on, and cuts every connection after so many of them, wherever that is: in one of two cases both
/// sides notice, in the other only the client does, as when a network is gone.
#[derive(Debug)]
pub struct CuttingProxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Mutex<SocketAddr>,
    cuts: AtomicUsize,
    /// Connections that the server believes in.
    half_open: Mutex<Vec<TcpStream>>,
}

/// A connection until it is cut.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    number: usize,
    left: Mutex<usize>,
}

impl CuttingProxy {
    /// Cuts the n-th connection to `server`, counted from 0, after `bytes(n)` bytes.
    pub fn start(server: SocketAddr, bytes: impl Fn(usize) -> usize + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            cuts: AtomicUsize::new(0),
            half_open: Mutex::default(),
        });
        let own = shared.clone();
        thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let server = *own.server.lock().unwrap();
                let Ok(to_server) = TcpStream::connect(server) else {
                    continue;
                };
                let pair = Arc::new(Pair {
                    client,
                    server: to_server,
                    number,
                    left: Mutex::new(bytes(number)),
                });
                for is_up in [true, false] {
                    let (pair, shared) = (pair.clone(), own.clone());
                    thread::spawn(move || pair.pump(is_up, &shared));
                }
            }
        });
        Self { address, shared }
    }

    /// Leads further connections to another server.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Pair {
    fn pump(&self, is_up: bool, shared: &Shared) {
        let (mut from, mut to) = match is_up {
            true => (&self.client, &self.server),
            false => (&self.server, &self.client),
        };
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut left = self.left.lock().unwrap();
            if *left == 0 {
                return;
            }
            let passing = count.min(*left);
            *left -= passing;
            if to.write_all(&buffer[..passing]).is_err() {
                break;
            }
            if *left == 0 {
                return self.cut(shared);
            }
        }
        if *self.left.lock().unwrap() > 0 {
            // Another end than ours.
            let _ = self.client.shutdown(Shutdown::Both);
            let _ = self.server.shutdown(Shutdown::Both);
        }
    }

    fn cut(&self, shared: &Shared) {
        shared.cuts.fetch_add(1, Ordering::SeqCst);
        let _ = self.client.shutdown(Shutdown::Both);
        if self.number.is_multiple_of(2) {
            let _ = self.server.shutdown(Shutdown::Both);
        } else if let Ok(server) = self.server.try_clone() {
            shared.half_open.lock().unwrap().push(server);
        }
    }
}
