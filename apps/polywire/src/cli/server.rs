//! Flags that say which server a command talks to.

use std::{fmt, path::PathBuf, str::FromStr};

use clap::Args;
use http::{HeaderName, HeaderValue};

/// The server, and whom to trust that it is the right one.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
pub struct ServerFlags {
    /// The server: HOST:PORT, or a URL as the server prints it. With https:// or tls:// it is spoken to
    /// with TLS
    #[arg(
        long,
        short,
        value_name = "HOST:PORT|URL",
        default_value = "127.0.0.1:8080"
    )]
    pub server: ServerAddress,

    /// Trust the certificates in this PEM file, instead of those that the system trusts
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// A name or an IP address, without the brackets of IPv6.
    pub host: String,
    /// The port.
    pub port: u16,
    /// True when it is spoken to with TLS.
    pub tls: bool,
}

/// It is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use HOST:PORT, such as 127.0.0.1:8080, or a URL such as https://example.org")]
pub struct InvalidAddress;

impl ServerAddress {
    /// Host and port, as they stand in a URL.
    pub fn authority(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl FromStr for ServerAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        let (tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => (false, Some(80)),
            "https" | "wss" => (true, Some(443)),
            "tcp" => (false, None),
            "tls" => (true, None),
            _ => return Err(InvalidAddress),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(InvalidAddress)?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| InvalidAddress)?,
            None if port.is_empty() => default_port.ok_or(InvalidAddress)?,
            None => return Err(InvalidAddress),
        };
        if host.is_empty()
            || host.contains(['/', '@', '?', '#'])
            || host.contains(char::is_whitespace)
        {
            return Err(InvalidAddress);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            tls,
        })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "tls://" } else { "" })?;
        f.write_str(&self.authority())
    }
}

/// A header, as curl takes it.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    const USE: &str = "use 'Name: value'";
    let (name, value) = text.split_once(':').ok_or(USE)?;
    let name = name.trim().parse().map_err(|_| USE)?;
    let mut value: HeaderValue = value.trim().parse().map_err(|_| USE)?;
    // It is most often a secret: kept out of what is printed for debugging.
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_a_port_or_a_url() {
        for (text, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:1", "localhost:1"),
            ("[::1]:8080", "[::1]:8080"),
            ("http://example.org/", "example.org:80"),
            ("HTTPS://example.org", "tls://example.org:443"),
            ("https://[::1]:8443", "tls://[::1]:8443"),
            ("tls://127.0.0.1:9000", "tls://127.0.0.1:9000"),
            ("tcp://127.0.0.1:9000", "127.0.0.1:9000"),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
        }
        for text in [
            "",
            "nowhere",
            ":8080",
            "a:b",
            "a:70000",
            "::1:8080",
            "[::1]",
            "[::1]8080",
            "tls://a",
            "ftp://a:1",
            "http://a/connect",
            "http://me@a",
            "a b:1",
        ] {
            assert_eq!(text.parse::<ServerAddress>(), Err(InvalidAddress), "{text}");
        }
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let (name, value) = header("X-Secret:  a: b ").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("x-secret", &b"a: b"[..])
        );
        for text in ["", "name", ": value", "na me: value", "name: a\nb"] {
            assert!(header(text).is_err(), "{text}");
        }
    }
}
