//! Polywire inside a warp application of your own: the application listens, has its own pages, and
//! publishes from its own code.
//!
//! ```text
//! cargo run --example mounted_in_warp
//! curl http://localhost:8080/order/42
//! ```
//! Everybody on the channel `orders` is told.

use std::{convert::Infallible, sync::Arc};

use polywire::{core::Space, prelude::*};
use warp::Filter;

#[tokio::main]
async fn main() -> Result<(), StartError> {
    // Without an address of its own the server is mounted by its filter.
    let server = AppRunner::builder(Memory::default())
        .authentication(Echo)
        .app(Seth::default())
        .build()
        .await?;
    let space = server.space().clone();
    let order = warp::path!("order" / u32)
        .and(warp::get())
        .and_then(move |number| place_order(space.clone(), number));
    let routes = order.or(server.filter());

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port()))
        .await
        .expect("a free port");
    println!(
        "listening on http://{}",
        listener.local_addr().expect("it listens")
    );
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    server.run(stop_signal()).await;
    Ok(())
}

async fn place_order(space: Arc<Space>, number: u32) -> Result<String, Infallible> {
    let origin = Origin::new("shop", Identity::unrestricted());
    let message = JsonText::parse(format!(r#"{{"order":{number}}}"#).into()).expect("this is JSON");
    let orders = Channel::new("orders").expect("this is a name");
    Ok(
        match space
            .publish(&origin, Draft::new(orders, Payload::json(message)))
            .await
        {
            Ok(_) => format!("order {number} is on its way\n"),
            Err(refusal) => format!("{refusal}\n"),
        },
    )
}

/// 8080, or the port given as the first argument.
fn port() -> u16 {
    std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("the argument is a port"))
}
