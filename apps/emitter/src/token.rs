//! Where the authentication policy finds what a client shows.

use http::{HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use polywire_core::Credentials;

/// Where the authentication policy finds the password of a client.
#[derive(Debug, Clone)]
pub(crate) enum TokenPlace {
    Query(String),
    Header(HeaderName),
}

impl TokenPlace {
    pub(crate) fn put(&self, token: &str, credentials: &mut Credentials) {
        match self {
            Self::Query(name) => {
                let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
                credentials.query = format!("{}={}", encode(name), encode(token));
            }
            Self::Header(name) => {
                // What cannot stand in a header is not the token of a policy that looks there.
                if let Ok(mut value) = HeaderValue::from_str(token) {
                    value.set_sensitive(true);
                    credentials.headers.insert(name, value);
                }
            }
        }
    }
}
