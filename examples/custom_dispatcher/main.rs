//! A dispatcher of your own: it masks a word in everything that is published, drops what is marked as a
//! draft, keeps a channel closed, and counts.
//!
//! ```text
//! cargo run --example custom_dispatcher
//! curl -d '{"text": "what the heck"}' http://localhost:8080/api/channels/chat/
//! ```

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use polywire::prelude::*;

#[derive(Default)]
struct Moderator {
    handlers: Handlers,
}

#[async_trait]
impl Dispatcher for Moderator {
    fn handlers(&self) -> &Handlers {
        &self.handlers
    }

    async fn validate(&self, _: &Origin, command: Command) -> Verdict {
        match command {
            Command::Subscribe(channel) if channel.as_str() == "board" => {
                Verdict::Refuse(Refusal::forbidden("The board meets in private."))
            }
            Command::Publish(draft) => moderate(draft),
            other => Verdict::Proceed(other),
        }
    }
}

fn moderate(mut draft: Draft) -> Verdict {
    let Payload::Json(json) = &draft.payload else {
        return Verdict::Proceed(Command::Publish(draft));
    };
    if json.as_str().contains("\"draft\"") {
        return Verdict::Drop;
    }
    if json.as_str().contains("heck") {
        let masked = json.as_str().replace("heck", "****");
        match JsonText::parse(masked.into()) {
            Ok(masked) => draft.payload = Payload::json(masked),
            Err(_) => return Verdict::Refuse(Refusal::invalid("The text cannot be masked.")),
        }
    }
    Verdict::Proceed(Command::Publish(draft))
}

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let moderator = Moderator::default();
    let published = Arc::new(AtomicU64::new(0));
    let counter = published.clone();
    moderator.register_handler(Arc::new(move |_: &Origin, event: &Event| {
        if let Event::Published(target, _) = event {
            let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
            println!("message {number} went to {target:?}");
        }
    }));
    let server = AppRunner::builder(Memory::default())
        .authentication(Echo)
        .dispatcher(moderator)
        .app(Seth::default())
        .listen(([127, 0, 0, 1], port()).into())
        .build()
        .await?;
    println!(
        "listening on http://{}",
        server.address().expect("it listens")
    );
    server.run(stop_signal()).await;
    println!(
        "{} messages were published",
        published.load(Ordering::Relaxed)
    );
    Ok(())
}

/// 8080, or the port given as the first argument.
fn port() -> u16 {
    std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("the argument is a port"))
}
