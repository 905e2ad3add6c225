//! The place where an authentication policy finds the token of a client whose protocol has neither query nor header.

use http::{HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::authentication::Credentials;

/// Where an [`AuthenticationPolicy`](crate::AuthenticationPolicy) finds the token of a client whose protocol has
/// neither query nor header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// In a query parameter of this name.
    Query(String),
    /// In this header.
    Header(HeaderName),
}

impl TokenPlace {
    /// Puts a token there.
    pub fn put(&self, token: &str, credentials: &mut Credentials) {
        credentials.token = Some(token.to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_where_the_policy_looks() {
        let mut credentials = Credentials::for_app("knsock");
        TokenPlace::Query("a key".into()).put("x&y=%é", &mut credentials);
        assert_eq!(credentials.query_value("a key").as_deref(), Some("x&y=%é"));
        assert_eq!(credentials.query_value("y"), None);
        let place = TokenPlace::Header(HeaderName::from_static("x-key"));
        place.put("secret", &mut credentials);
        assert_eq!(credentials.headers["x-key"], "secret");
    }
}
