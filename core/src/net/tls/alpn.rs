//! Application-layer protocol negotiation, RFC 7301: the names of what is spoken inside TLS.

/// RFC 9113 section 3.1.
pub(super) const HTTP_2: &[u8] = b"h2";

/// RFC 7301 section 6.
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";

/// What MQTT clients say; a client whose names are all unknown is refused.
pub(super) const MQTT: &[u8] = b"mqtt";
