//! Proxies that are believed when they say whom they speak for.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Networks of proxies that are believed when they say whom they speak for: with the PROXY protocol, or with the headers
/// `X-Forwarded-For` or `Forwarded` (RFC 7239). Whoever else says such a thing is not listened to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads networks such as `10.0.0.0/8` or `::1`.
    ///
    /// # Errors
    /// A sentence about the first that is none.
    pub fn parse<T: AsRef<str>>(networks: &[T]) -> Result<Self, String> {
        let network = |text: &T| {
            let text = text.as_ref().trim();
            let network = text.parse::<IpNet>().ok();
            network
                .or_else(|| Some(text.parse::<IpAddr>().ok()?.into()))
                .ok_or_else(|| {
                    format!(
                        "{text:?} is no network: use an IP address, or a range such as 10.0.0.0/8"
                    )
                })
        };
        networks
            .iter()
            .map(network)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// True for the address of a proxy that is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whom a request is from that came from `peer`: the last address on its way that is no proxy's. The port is 0 where it is
    /// not said.
    pub(crate) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let mut client = peer;
        if !self.trusts(client.ip()) {
            return client;
        }
        // What a proxy appends to is what it got: only what stands last was said by itself.
        let name = if headers.contains_key(X_FORWARDED_FOR) {
            X_FORWARDED_FOR
        } else {
            FORWARDED
        };
        let lines: Vec<_> = headers.get_all(&name).iter().collect();
        let hops = lines.iter().rev().flat_map(|line| {
            let line = line.to_str().unwrap_or_default();
            line.rsplit(',')
        });
        for hop in hops {
            let said = if name == FORWARDED {
                forwarded_for(hop)
            } else {
                Some(hop)
            };
            // Somebody hides behind a proxy that is believed: that proxy is as far as is known.
            let Some(address) = said.and_then(address) else {
                break;
            };
            client = address;
            if !self.trusts(client.ip()) {
                break;
            }
        }
        client
    }
}

/// The `for` of one element of `Forwarded`, without quotes.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    Some(value.trim().trim_matches('"'))
}

/// An address with a port or without, where IPv6 may stand in brackets.
fn address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>().ok()?;
    Some(SocketAddr::new(address.to_canonical(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8", "::1", "127.0.0.1"]).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        trusted.client(peer, &map).to_string()
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        let forwarded = |value| client("10.1.1.1", &[("x-forwarded-for", value)]);
        assert_eq!(forwarded("192.0.2.7"), "192.0.2.7:0");
        // What stands before it the client may have made up.
        assert_eq!(forwarded("127.0.0.1, 192.0.2.7"), "192.0.2.7:0");
        assert_eq!(forwarded("1.1.1.1, 192.0.2.7 ,10.2.2.2"), "192.0.2.7:0");
        assert_eq!(forwarded("10.3.3.3, 10.2.2.2"), "10.3.3.3:0");
        assert_eq!(forwarded("192.0.2.7:99"), "192.0.2.7:99");
        assert_eq!(forwarded("2001:db8::1"), "[2001:db8::1]:0");
        assert_eq!(forwarded("[2001:db8::1]:5"), "[2001:db8::1]:5");
        assert_eq!(forwarded("::ffff:192.0.2.7"), "192.0.2.7:0");
        assert_eq!(forwarded("192.0.2.7, unknown, 10.2.2.2"), "10.2.2.2:0");
        for nothing in ["", "unknown", "192.0.2.7,", "\"192.0.2.7\""] {
            assert_eq!(forwarded(nothing), "10.1.1.1:1", "{nothing:?}");
        }
        let lines = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        assert_eq!(client("::1", &lines), "192.0.2.7:0");
        assert_eq!(client("::ffff:127.0.0.1", &lines), "192.0.2.7:0");
    }

    #[test]
    fn the_standard_header_counts_where_the_other_is_missing() {
        let both = [
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        assert_eq!(client("10.1.1.1", &both), "192.0.2.7:0");
        for (value, expected) in [
            ("for=192.0.2.7", "192.0.2.7:0"),
            (
                "for=1.1.1.1, proto=https; For=\"192.0.2.7:5\";by=10.1.1.1",
                "192.0.2.7:5",
            ),
            ("for=\"[2001:db8::1]\"", "[2001:db8::1]:0"),
            ("for=_hidden", "10.1.1.1:1"),
            ("proto=https", "10.1.1.1:1"),
        ] {
            assert_eq!(
                client("10.1.1.1", &[("forwarded", value)]),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn nobody_else_is_listened_to() {
        let lines = [
            ("x-forwarded-for", "10.1.1.1"),
            ("forwarded", "for=10.1.1.1"),
        ];
        assert_eq!(client("192.0.2.9", &lines), "192.0.2.9:1");
        assert_eq!(client("11.0.0.1", &lines), "11.0.0.1:1");
        assert!(TrustedProxies::parse(&["10.0.0.0/33"]).is_err());
        assert!(TrustedProxies::parse(&["proxy.example"]).is_err());
    }
}
