//! An authentication policy of your own: users and passwords, each with its own rights.
//!
//! ```text
//! cargo run --example custom_authentication
//! curl -u ann:wonder -d '{"hello": "all"}' http://localhost:8080/api/channels/news/
//! ```
//! Ann may publish anywhere; Bob only on channels under `sport/`. A team would look users up in its own
//! database here.

use polywire::{core::Grant, core::Pattern, core::Permissions, core::Scope, prelude::*};

struct Users;

#[async_trait]
impl AuthenticationPolicy for Users {
    async fn authenticate(&self, who: &Credentials) -> Result<Identity, AuthenticationError> {
        let shown = who.basic().ok_or(AuthenticationError::Missing)?;
        let scope = match shown.as_str() {
            "ann:wonder" => Scope::Everything,
            "bob:builder" => Scope::Pattern(Pattern::mqtt("sport/#").expect("this is a pattern")),
            _ => return Err(AuthenticationError::Refused),
        };
        let grant = Grant {
            scope,
            permissions: Permissions::ALL,
            expires_at: None,
        };
        Ok(Identity {
            client: shown
                .split_once(':')
                .and_then(|(user, _)| ClientId::new(user).ok()),
            grants: vec![grant],
            ..Identity::default()
        })
    }
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
