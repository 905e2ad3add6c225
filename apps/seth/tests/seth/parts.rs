//! What a server of one's own, or its configuration, replaces.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use polywire_core::{
    AppRunner, Command, CustomCommand, Dispatcher, Handlers, Origin, Refusal, Verdict,
    testkit::{AllowAll, LocalBackend},
};
use polywire_seth::{Seth, SethSettings};
use polywire_testing::Server;
use serde_json::{Value, json};

/// Knows the type `typing`, and refuses `shouting`.
#[derive(Default)]
struct OwnTypes {
    handlers: Handlers,
    taken: Arc<Mutex<Vec<CustomCommand>>>,
}

#[async_trait]
impl Dispatcher for OwnTypes {
    fn handlers(&self) -> &Handlers {
        &self.handlers
    }

    async fn validate(&self, _: &Origin, command: Command) -> Verdict {
        match command {
            Command::Custom(custom) if custom.kind == "typing" => {
                self.taken.lock().unwrap().push(custom);
                Verdict::Drop
            }
            Command::Custom(custom) if custom.kind == "shouting" => {
                Verdict::Refuse(Refusal::forbidden("Be quiet."))
            }
            other => Verdict::Proceed(other),
        }
    }
}

#[test]
fn a_dispatcher_takes_types_of_its_own() {
    let dispatcher = OwnTypes::default();
    let taken = dispatcher.taken.clone();
    let server = Server::start(Server::compose::<Seth>("").dispatcher(dispatcher));
    let mut ann = server.websocket();
    for kind in ["typing", "shouting", "unknown"] {
        ann.send(&json!({"type": kind, "in": "room"}));
    }
    let mut error = || -> Value { ann.receive()["message"]["body"].take() };
    assert_eq!(error(), "Be quiet.");
    assert_eq!(error(), "Wrong type: unknown.");
    let taken = taken.lock().unwrap();
    assert_eq!(taken[0].body.as_str(), r#"{"in":"room","type":"typing"}"#);
    assert_eq!(taken.len(), 1);
}

#[test]
fn sockjs_is_where_and_how_the_settings_say() {
    let server = Server::of::<Seth>(
        "prefix = \"/live/chat\"\nwebsocket = false\ndisconnect_delay_secs = 1\nheartbeat_secs = 1",
    );
    let get = |target: &str| server.get(target);
    assert_eq!(get("/live/chat").text(), "Welcome to SockJS!\n");
    assert_eq!(get("/live/chat/info").json()["websocket"], false);
    assert_eq!(get("/connect").status, 404);
    assert_eq!(get("/live/chat/websocket").status, 404);
    let poll = || server.post("/live/chat/000/s/xhr", "");
    assert_eq!(poll().text(), "o\n");
    assert_eq!(poll().text(), "h\n", "a heartbeat");
}

#[test]
fn a_function_may_say_which_pages_are_served() {
    let seth =
        Seth::new(&SethSettings::default()).check_origin(|origin, _| origin == "https://a.example");
    let runner = AppRunner::builder(LocalBackend::default()).authentication(AllowAll);
    let server = Server::start(runner.app(seth));
    for (origin, status) in [("https://a.example", 200), ("http://localhost", 403)] {
        let answer = server.request("GET", "/connect/info", &[("Origin", origin)], None);
        assert_eq!(answer.status, status, "{origin}");
    }
}
