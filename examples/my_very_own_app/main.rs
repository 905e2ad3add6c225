//! Seth-Pusher's tutorial app: an API key of its own, and a persistence policy that prints.
//!
//! Run it and look into it:
//!
//! ```text
//! cargo run --example my_very_own_app
//! curl http://localhost:6666/debug/?batman=bruce_wayne
//! ```

use std::sync::Arc;

use polywire::prelude::*;

/// Prints what is published.
struct MyPersistence;

#[async_trait]
impl PersistencePolicy for MyPersistence {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        println!("{:?}", publication.payload);
        println!("{:?}", publication.target);
        println!("KABOOM !");
        Ok(Durability::Delivered)
    }
}

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let server = AppRunner::builder(Memory::default())
        .authentication(ApiKey::new("batman", "bruce_wayne"))
        .persistence(MyPersistence)
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

/// 6666, or the port given as the first argument.
fn port() -> u16 {
    std::env::args()
        .nth(1)
        .map_or(6666, |port| port.parse().expect("the argument is a port"))
}
