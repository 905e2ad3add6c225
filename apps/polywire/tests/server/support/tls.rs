//! Certificates, and clients that speak TLS.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::{Value, json};

use super::SOON;

/// A TLS connection of a client.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A self-signed certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Pair {
    /// For `localhost`.
    pub(crate) fn new() -> Self {
        Self::of("localhost")
    }

    /// For a name or an IP address.
    pub(crate) fn of(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            der: made.cert.der().clone(),
        }
    }
}

/// The files that a server takes its certificate from.
pub(crate) struct Files {
    _folder: tempfile::TempDir,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    pub(crate) fn of(pair: &Pair) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Self {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            _folder: folder,
        };
        files.put(&pair.certificate, &pair.key);
        files
    }

    pub(crate) fn put(&self, certificate: &str, key: &str) {
        std::fs::write(&self.certificate, certificate).unwrap();
        std::fs::write(&self.key, key).unwrap();
    }

    /// As flags of `polywire serve`.
    pub(crate) fn flags(&self) -> [&str; 4] {
        [
            "--tls-certificate",
            self.certificate.to_str().unwrap(),
            "--tls-key",
            self.key.to_str().unwrap(),
        ]
    }

    /// As an entry of a configuration file.
    pub(crate) fn entry(&self, only: bool) -> String {
        format!(
            "tls = {{ certificate = {:?}, key = {:?}, only = {only} }}\n",
            self.certificate, self.key
        )
    }
}

/// What a client trusts and speaks.
pub(crate) fn client_config(
    trusted: &[&Pair],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for pair in trusted {
        roots.add(pair.der.clone()).unwrap();
    }
    let provider = polywire_core::cryptography::provider();
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// What a client trusts; it speaks every version.
pub(crate) fn trusting(trusted: &[&Pair]) -> Arc<ClientConfig> {
    client_config(trusted, rustls::ALL_VERSIONS)
}

/// A client that has not said anything yet.
pub(crate) fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(config.clone(), name).unwrap()
}

pub(crate) fn connect_tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Connects and shakes hands.
pub(crate) fn try_connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream> {
    let mut stream = StreamOwned::new(client(config), connect_tcp(address));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

pub(crate) fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> TlsStream {
    try_connect(address, config).unwrap()
}

/// One GET request on a connection of its own; the whole answer.
pub(crate) fn get(mut stream: impl Read + Write, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // The end of TLS is said, or this fails.
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A client of kn-sock's lines.
pub(crate) struct LineClient<S> {
    pub(crate) stream: BufReader<S>,
}

impl<S: Read + Write> LineClient<S> {
    pub(crate) fn new(stream: S) -> Self {
        let stream = BufReader::new(stream);
        Self { stream }
    }

    pub(crate) fn send(&mut self, line: &Value) {
        let line = format!("{line}\n");
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    pub(crate) fn publish(&mut self, topic: &str, message: impl Into<Value>) {
        let message: Value = message.into();
        self.send(&json!({"action": "publish", "topic": topic, "message": message}));
    }

    /// Subscribes; returns when the server has done it.
    pub(crate) fn join(&mut self, topic: &str) {
        self.send(&json!({"action": "subscribe", "topic": topic}));
        self.publish(topic, "joined");
        assert_eq!(self.receive(), json!({"topic": topic, "message": "joined"}));
    }

    pub(crate) fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}
