//! Tells from the first bytes who speaks.

use std::{cell::RefCell, fmt, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use warp::filters::BoxedFilter;

use super::{Recognition, TcpProtocol};
use crate::transport::http::Response;

/// Bytes within which every protocol is recognised.
const FIRST_BYTES_MAX: usize = 64;

/// Bytes that the first read takes at most; the buffer belongs to the thread.
const READ_BYTES: usize = 4096;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Who may speak on a port.
#[derive(Clone)]
pub(in crate::transport) struct Speakers {
    /// Served when the first byte is an upper-case letter.
    pub(in crate::transport) http: Option<BoxedFilter<(Response,)>>,
    /// Asked in this order.
    pub(in crate::transport) tcp: Arc<[Arc<dyn TcpProtocol>]>,
}

/// Who speaks on a connection.
pub(in crate::transport) enum Speaker {
    Http(BoxedFilter<(Response,)>),
    Tcp(Arc<dyn TcpProtocol>),
}

/// Why nobody was found.
#[derive(Debug, thiserror::Error)]
pub(in crate::transport) enum Unrecognised {
    #[error("the first bytes did not come in time")]
    Late,
    #[error("TLS on a port that speaks none")]
    Tls,
    #[error("the first bytes are of no protocol that is spoken here")]
    Unknown,
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

impl Speakers {
    /// The only one, where nothing has to be told apart.
    fn only(&self) -> Option<Speaker> {
        match (&self.http, &*self.tcp) {
            (Some(http), []) => Some(Speaker::Http(http.clone())),
            (None, [protocol]) => Some(Speaker::Tcp(protocol.clone())),
            _ => None,
        }
    }

    /// `Ok(None)` when more bytes are needed.
    fn find(&self, first: &[u8]) -> Result<Option<Speaker>, Unrecognised> {
        let Some(byte) = first.first() else {
            return Ok(None);
        };
        if let (Some(http), true) = (&self.http, byte.is_ascii_uppercase()) {
            return Ok(Some(Speaker::Http(http.clone())));
        }
        let mut undecided = false;
        for protocol in self.tcp.iter() {
            match protocol.recognise(first) {
                Recognition::Yes => return Ok(Some(Speaker::Tcp(protocol.clone()))),
                Recognition::No => {}
                Recognition::NeedMore => undecided = true,
            }
        }
        match byte {
            _ if undecided && first.len() < FIRST_BYTES_MAX => Ok(None),
            // RFC 8446 section 5.1: a handshake record.
            22 => Err(Unrecognised::Tls),
            _ => Err(Unrecognised::Unknown),
        }
    }
}

/// Reads until it is clear who speaks, and returns what was read. Nothing is read where there is only one.
pub(in crate::transport) async fn recognise(
    tcp: &TcpStream,
    speakers: &Speakers,
    limit: Duration,
) -> Result<(Speaker, Bytes), Unrecognised> {
    if let Some(speaker) = speakers.only() {
        return Ok((speaker, Bytes::new()));
    }
    let found = tokio::time::timeout(limit, async {
        let mut first = BytesMut::new();
        loop {
            tcp.readable().await.map_err(Unrecognised::Io)?;
            match read(tcp, &mut first) {
                Ok(0) => return Err(Unrecognised::Io(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(Unrecognised::Io(error)),
            }
            match speakers.find(&first) {
                Ok(Some(speaker)) => return Ok((speaker, first.freeze())),
                Ok(None) => {}
                Err(error) => {
                    drop(first);
                    tracing::debug!(peer = ?tcp.peer_addr().ok(), %error, "nobody speaks this");
                    // Whoever tries protocols out learns nothing sooner than whoever says nothing.
                    return std::future::pending().await;
                }
            }
        }
    });
    found.await.unwrap_or(Err(Unrecognised::Late))
}

fn read(tcp: &TcpStream, first: &mut BytesMut) -> io::Result<usize> {
    READ_BUFFER.with_borrow_mut(|buffer| {
        let count = tcp.try_read(buffer)?;
        first.extend_from_slice(&buffer[..count]);
        Ok(count)
    })
}

impl fmt::Debug for Speakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tcp: Vec<_> = self.tcp.iter().map(|protocol| protocol.name()).collect();
        f.debug_struct("Speakers")
            .field("http", &self.http.is_some())
            .field("tcp", &tcp)
            .finish()
    }
}
