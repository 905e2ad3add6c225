//! An authentication policy of your own: users and passwords, each with its own rights.
//!
//! ```text
//! cargo run --example custom_authentication
//! curl -u ann:wonder -d '{"hello": "all"}' http://localhost:8080/api/channels/news/
//! ```
//! Ann may publish anywhere; Bob only on channels under `sport/`. A team would look users up in its own
//! database here.

use base64::{Engine, engine::general_purpose::STANDARD};
use polywire::{core::Grant, core::Pattern, core::Permissions, core::Scope, prelude::*};

struct Users;

#[async_trait]
impl AuthenticationPolicy for Users {
    async fn authenticate(&self, who: &Credentials) -> Result<Identity, AuthenticationError> {
        let (user, password) = basic(who).ok_or(AuthenticationError::Refused)?;
        let scope = match (user.as_str(), password.as_str()) {
            ("ann", "wonder") => Scope::Everything,
            ("bob", "builder") => {
                Scope::Pattern(Pattern::mqtt("sport/#").expect("this is a pattern"))
            }
            _ => return Err(AuthenticationError::Refused),
        };
        let grant = Grant {
            scope,
            permissions: Permissions::ALL,
            expires_at: None,
        };
        Ok(Identity {
            client: ClientId::new(&user).ok(),
            grants: vec![grant],
        })
    }
}

/// RFC 7617: user and password from the `Authorization` header.
fn basic(who: &Credentials) -> Option<(String, String)> {
    let header = who.headers.get("authorization")?.to_str().ok()?;
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let server = AppRunner::builder(Memory::default())
        .authentication(Users)
        .app(Seth::default().debug(true))
        .listen(([127, 0, 0, 1], port()).into())
        .build()
        .await?;
    println!(
        "listening on http://{}",
        server.address().expect("it listens")
    );
    server.run(stop_signal()).await;
    Ok(())
}

/// 8080, or the port given as the first argument.
fn port() -> u16 {
    std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("the argument is a port"))
}
