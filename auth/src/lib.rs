//! Authentication policies for polywire, and ways to combine them.
//!
//! ```
//! use polywire_auth::{ApiKey, AuthenticationPolicyExt, Header};
//! use polywire_core::{AuthenticationPolicy, Credentials};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let policy = ApiKey::new("batman", "bruce_wayne").or(Header::default());
//! let mut credentials = Credentials::for_app("seth");
//! credentials.query = "batman=bruce_wayne".into();
//! assert!(policy.authenticate(&credentials).await.is_ok());
//! # }
//! ```

mod api_key;
mod combine;
mod echo;
mod header;
mod http;
mod http_client;
mod intersection;
mod jwt;
mod rights;
mod roles;
mod secret;

#[cfg(test)]
mod loopback;

pub use self::{
    api_key::{ApiKey, ApiKeySettings},
    combine::{And, AuthenticationPolicyExt, Or},
    echo::Echo,
    header::{Header, HeaderSettings},
    http::{Http, HttpSettings},
    jwt::{IssueError, Jwt, JwtKeySettings, JwtSettings, NewToken},
    roles::{
        RoleKeySettings, RoleSettings, RoleSource, Roles, RolesSettings, UserSettings,
        WrittenRoles, hash_password,
    },
};
