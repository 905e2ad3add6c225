//! A TCP proxy that is shut and opened.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Hands bytes on while it is open. Shutting it cuts every connection without a word, and lets nobody in until it is
/// opened.
#[derive(Debug)]
pub struct Gate {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    is_open: bool,
    /// The two sides of every connection.
    sockets: Vec<TcpStream>,
}

impl Gate {
    /// Open, and leads to `server`.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            server,
            is_open: true,
            sockets: Vec::new(),
        }));
        let own = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Dropping it closes it.
                own.lock().unwrap().take(client);
            }
        });
        Self { address, shared }
    }

    pub fn shut(&self) {
        let mut shared = self.shared.lock().unwrap();
        shared.is_open = false;
        for socket in shared.sockets.drain(..) {
            // One that has ended already cannot be shut down.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Opens it, to `server` from now on.
    pub fn open_to(&self, server: SocketAddr) {
        let mut shared = self.shared.lock().unwrap();
        shared.server = server;
        shared.is_open = true;
    }
}

impl Shared {
    fn take(&mut self, client: TcpStream) {
        if !self.is_open {
            return;
        }
        let Ok(server) = TcpStream::connect(self.server) else {
            return;
        };
        for (from, to) in [(&client, &server), (&server, &client)] {
            // Small messages must not wait for each other.
            from.set_nodelay(true).unwrap();
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            thread::spawn(move || pump(&from, &to));
        }
        self.sockets.extend([client, server]);
    }
}

fn pump(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // A half-close goes on to the other side.
    let _ = to.shutdown(Shutdown::Write);
}
