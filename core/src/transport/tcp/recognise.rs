//! Recognition of protocols: the first bytes tell who speaks.

use std::{fmt, io, sync::Arc};

use bytes::{Bytes, BytesMut};
use rustls::ServerConfig;

use super::{Recognition, TcpProtocol};
use crate::{
    net::{Socket, tls::HandshakeFailure, with_read_buffer},
    transport::{http::Site, proxy_header::BadHeader},
};

/// Bytes within which every protocol is recognised.
const FIRST_BYTES_MAX: usize = 64;

/// Bytes that the first read takes at most.
const READ_BYTES: usize = 4096;

/// RFC 8446 section 5.1: what a TLS handshake record begins with.
const TLS_HANDSHAKE: u8 = 22;

/// Who may speak on a port.
#[derive(Clone)]
pub(crate) struct Speakers {
    /// Served when the first byte is an upper-case letter.
    pub(crate) http: Option<Site>,
    /// Asked in this order.
    pub(crate) tcp: Arc<[Arc<dyn TcpProtocol>]>,
    /// Served when the first byte is that of a TLS handshake.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Nothing is served but TLS.
    pub(crate) tls_only: bool,
}

/// Who speaks on a connection.
pub(in crate::transport) enum Speaker {
    Http(Site),
    Tcp(Arc<dyn TcpProtocol>),
    /// Who speaks inside is to be found out after the handshake.
    Tls(Arc<ServerConfig>),
}

/// Why nobody was found.
#[derive(Debug, thiserror::Error)]
pub(in crate::transport) enum Unrecognised {
    #[error("the first bytes, or the TLS handshake, did not come in time")]
    Late,
    #[error("the server stops")]
    Stopping,
    #[error("TLS on a port that has no certificate")]
    Tls,
    #[error("no TLS on a port that serves nothing else")]
    Plain,
    #[error("the first bytes are of no protocol that is spoken here")]
    Unknown,
    #[error("a proxy said nothing sensible of the connection")]
    ProxyHeader(#[from] BadHeader),
    #[error("too many connections are open from there")]
    TooMany,
    #[error("it said nothing, and others took its place")]
    Silent,
    #[error("the connection could not be secured")]
    Handshake(#[source] HandshakeFailure),
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

impl Speakers {
    /// The only one, where nothing has to be told apart.
    fn only(&self, is_tls: bool) -> Option<Speaker> {
        match (&self.http, &*self.tcp) {
            (None, [protocol]) if is_tls || self.tls.is_none() => {
                Some(Speaker::Tcp(protocol.clone()))
            }
            _ => None,
        }
    }

    /// True where a client may wait for as long as it likes before it speaks: an HTTP client has no reason to, and where a protocol
    /// is alone it has its own bounds.
    pub(in crate::transport) fn may_be_silent(&self) -> bool {
        !self.tcp.is_empty() && self.only(false).is_none()
    }

    /// `Ok(None)` when more bytes are needed.
    fn find(&self, first: &[u8], is_tls: bool) -> Result<Option<Speaker>, Unrecognised> {
        let Some(&byte) = first.first() else {
            return Ok(None);
        };
        if byte == TLS_HANDSHAKE && !is_tls {
            return match &self.tls {
                Some(config) => Ok(Some(Speaker::Tls(config.clone()))),
                None => Err(Unrecognised::Tls),
            };
        }
        if self.tls_only && !is_tls {
            return Err(Unrecognised::Plain);
        }
        // RFC 9112 section 2.2: empty lines before a request mean nothing.
        let empty = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let begin = first.iter().find(|byte| !empty(byte));
        match &self.http {
            // Where there is nothing else, bad HTTP is told so in HTTP.
            Some(http) if self.tcp.is_empty() || begin.is_some_and(u8::is_ascii_uppercase) => {
                return Ok(Some(Speaker::Http(http.clone())));
            }
            _ => {}
        }
        let mut undecided = self.http.is_some() && begin.is_none();
        for protocol in self.tcp.iter() {
            // It may be the only one on a port where TLS had to be told apart.
            if self.http.is_none() && self.tcp.len() == 1 {
                return Ok(Some(Speaker::Tcp(protocol.clone())));
            }
            match protocol.recognise(first) {
                Recognition::Yes => return Ok(Some(Speaker::Tcp(protocol.clone()))),
                Recognition::No => {}
                Recognition::NeedMore => undecided = true,
            }
        }
        if undecided && first.len() < FIRST_BYTES_MAX {
            Ok(None)
        } else {
            Err(Unrecognised::Unknown)
        }
    }
}

/// Reads on behind `first` until it is clear who speaks, and returns what was read. Nothing is read where there is only one.
/// The caller bounds the time.
pub(in crate::transport) async fn recognise(
    socket: &Socket,
    speakers: &Speakers,
    mut first: BytesMut,
) -> Result<(Speaker, Bytes), Unrecognised> {
    if let Some(speaker) = speakers.only(socket.is_tls()) {
        return Ok((speaker, first.freeze()));
    }
    let mut has_more = !first.is_empty();
    loop {
        if !std::mem::take(&mut has_more) {
            read_more(socket, &mut first).await?;
        }
        match speakers.find(&first, socket.is_tls()) {
            Ok(Some(speaker)) => return Ok((speaker, first.freeze())),
            Ok(None) => {}
            Err(error @ Unrecognised::Unknown) => {
                drop(first);
                tracing::debug!(peer = ?socket.peer(), %error, "nobody speaks this");
                // Whoever tries protocols out learns nothing sooner than whoever says nothing.
                return std::future::pending().await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits for more. Cancel safe.
pub(in crate::transport) async fn read_more(
    socket: &Socket,
    first: &mut BytesMut,
) -> Result<(), Unrecognised> {
    loop {
        socket.readable().await.map_err(Unrecognised::Io)?;
        match read(socket, first) {
            Ok(0) => return Err(Unrecognised::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Unrecognised::Io(error)),
        }
    }
}

fn read(socket: &Socket, first: &mut BytesMut) -> io::Result<usize> {
    with_read_buffer(|buffer| {
        let count = socket.try_read(&mut buffer[..READ_BYTES])?;
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
            .field("tls", &self.tls.is_some())
            .field("tls_only", &self.tls_only)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use rustls::server::ResolvesServerCertUsingSni;
    use warp::Filter;

    use super::*;
    use crate::transport::http;

    /// Begins with `{`, after any white space.
    struct Braces;

    #[async_trait::async_trait]
    impl TcpProtocol for Braces {
        fn name(&self) -> &'static str {
            "braces"
        }

        fn recognise(&self, first: &[u8]) -> Recognition {
            match first.trim_ascii_start().first() {
                None => Recognition::NeedMore,
                Some(b'{') => Recognition::Yes,
                Some(_) => Recognition::No,
            }
        }

        async fn serve(self: Arc<Self>, _: Socket, _: Bytes) {}
    }

    fn speakers(http: bool, braces: bool, tls: bool, tls_only: bool) -> Speakers {
        let config = || {
            let config = ServerConfig::builder_with_provider(crate::cryptography::provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
            Arc::new(config)
        };
        let site = || http::Site {
            routes: warp::any()
                .map(|| http::status(::http::StatusCode::OK))
                .boxed(),
            responders: Arc::new([]),
        };
        let braces: Vec<Arc<dyn TcpProtocol>> = if braces {
            vec![Arc::new(Braces)]
        } else {
            Vec::new()
        };
        Speakers {
            http: http.then(site),
            tcp: braces.into(),
            tls: tls.then(config),
            tls_only,
        }
    }

    fn found(speakers: &Speakers, first: &[u8], is_tls: bool) -> &'static str {
        match speakers.find(first, is_tls) {
            Ok(Some(Speaker::Http(_))) => "http",
            Ok(Some(Speaker::Tcp(_))) => "tcp",
            Ok(Some(Speaker::Tls(_))) => "tls",
            Ok(None) => "more",
            Err(Unrecognised::Tls) => "no certificate",
            Err(Unrecognised::Plain) => "no tls",
            Err(_) => "unknown",
        }
    }

    #[test]
    fn the_first_bytes_decide() {
        let (hello, blank) = ([22, 3, 1], [b' '; FIRST_BYTES_MAX]);
        let shared = speakers(true, true, true, false);
        for is_tls in [false, true] {
            assert_eq!(found(&shared, b"", is_tls), "more");
            assert_eq!(found(&shared, b"G", is_tls), "http");
            assert_eq!(found(&shared, b"\r\n", is_tls), "more");
            assert_eq!(found(&shared, b"\r\n\r\nG", is_tls), "http");
            assert_eq!(found(&shared, b"\r\n{", is_tls), "tcp");
            assert_eq!(found(&shared, b" ", is_tls), "more");
            assert_eq!(found(&shared, b" {", is_tls), "tcp");
            assert_eq!(found(&shared, b"get", is_tls), "unknown");
            assert_eq!(found(&shared, &blank, is_tls), "unknown");
        }
        assert_eq!(found(&shared, &hello, false), "tls");
        assert_eq!(found(&shared, &hello, true), "unknown", "no TLS in TLS");

        let plain = speakers(true, true, false, false);
        assert_eq!(found(&plain, &hello, false), "no certificate");
        let secure = speakers(true, true, true, true);
        for first in [&b"GET"[..], b"{", b" ", b"\0"] {
            assert_eq!(found(&secure, first, false), "no tls");
        }
        assert_eq!(found(&secure, b"GET", true), "http");
    }

    #[test]
    fn who_is_alone_gets_everything_but_tls() {
        let http = speakers(true, false, false, false);
        assert_eq!(found(&http, b"\r\nGET", false), "http");
        assert_eq!(found(&http, &[22], false), "no certificate");

        let lines = speakers(false, true, false, false);
        assert!(lines.only(false).is_some());
        let lines = speakers(false, true, true, false);
        assert!(lines.only(false).is_none(), "TLS may come");
        assert!(lines.only(true).is_some());
        assert_eq!(found(&lines, b"GET", false), "tcp");
        assert_eq!(found(&lines, &[22], false), "tls");
        assert!(speakers(true, true, false, false).only(false).is_none());
    }
}
