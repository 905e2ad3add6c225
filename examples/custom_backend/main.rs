//! A pub/sub backend of your own: nodes inside one process, as a stand-in for a message bus that your
//! team already runs. Two servers share it; what is posted to one reaches the clients of both.
//!
//! ```text
//! cargo run --example custom_backend
//! ```
//! `tests` at the end runs the conformance suite that every backend has to pass.

mod bus;

use bus::Bus;
use polywire::prelude::*;

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let bus = Bus::default();
    let first = server(&bus).await?;
    let second = server(&bus).await?;
    println!(
        "listening on http://{}",
        first.address().expect("it listens")
    );
    println!(
        "listening on http://{}",
        second.address().expect("it listens")
    );
    tokio::join!(first.run(stop_signal()), second.run(stop_signal()));
    Ok(())
}

async fn server(bus: &Bus) -> Result<Server, StartError> {
    AppRunner::builder(bus.node())
        .authentication(Echo)
        .app(Seth::default().debug(true))
        .listen(([127, 0, 0, 1], 0).into())
        .build()
        .await
}

#[cfg(test)]
mod tests {
    use super::Bus;
    use polywire::core::testkit;

    #[tokio::test]
    async fn keeps_the_laws_of_a_backend() {
        testkit::backend_laws(|| Bus::default().node()).await;
    }
}
