//! Agents: processes that hold clients of one SDK each, led line by line (`tests/py/agent.py`, `tests/js/agent.cjs`).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::Protocol;
use crate::support::{Process, SOON, node, python};

/// What an agent runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sdk {
    pub(super) protocol: Protocol,
    script: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    JavaScript,
}

impl Sdk {
    pub(super) fn language(self) -> Language {
        if self.script.ends_with(".py") {
            Language::Python
        } else {
            Language::JavaScript
        }
    }

    pub(super) fn name(self) -> String {
        format!("{}, {:?}", self.protocol.name(), self.language())
    }
}

/// Every SDK that a protocol has in the two languages.
pub(super) const SDKS: &[Sdk] = &[
    sdk(Protocol::PubNub, "pubnub_agent.py"),
    sdk(Protocol::PubNub, "pubnub-agent.cjs"),
    sdk(Protocol::WebPubSub, "webpubsub_agent.py"),
    sdk(Protocol::WebPubSub, "webpubsub-agent.cjs"),
    sdk(Protocol::Mqtt, "mqtt_agent.py"),
    sdk(Protocol::Mqtt, "mqtt-agent.cjs"),
    sdk(Protocol::Emitter, "emitter_agent.py"),
    sdk(Protocol::Emitter, "emitter-agent.cjs"),
    sdk(Protocol::Seth, "seth-agent.mjs"),
    sdk(Protocol::KnSock, "knsock_agent.py"),
];

const fn sdk(protocol: Protocol, script: &'static str) -> Sdk {
    Sdk { protocol, script }
}

/// A running one.
pub(super) struct Agent {
    pub(super) sdk: Sdk,
    process: Process,
    asked: u64,
    /// What its clients were told and nobody has looked at.
    told: VecDeque<Value>,
}

impl Agent {
    /// All of them, side by side.
    pub(super) fn start_all(address: &str) -> Vec<Self> {
        let start = |sdk: &Sdk| {
            let mut command = match sdk.language() {
                Language::Python => python(sdk.script),
                Language::JavaScript => node(sdk.script, &[]),
            };
            // Modules that scenarios share look for an address there.
            command.arg(address);
            Self {
                sdk: *sdk,
                process: Process::start_with_input(sdk.script, &mut command),
                asked: 0,
                told: VecDeque::new(),
            }
        };
        SDKS.iter().map(start).collect()
    }

    /// Asks without waiting; the number is for [`Self::answer`].
    pub(super) fn begin(&mut self, what: &str, client: &str, more: &Value) -> u64 {
        self.asked += 1;
        let mut request = json!({"id": self.asked, "do": what, "client": client});
        let more = more.as_object().unwrap().clone();
        request.as_object_mut().unwrap().extend(more);
        self.process.say(&request.to_string());
        self.asked
    }

    /// What the agent answered, or why it could not.
    pub(super) fn answer(&mut self, id: u64) -> Result<Value, String> {
        let deadline = Instant::now() + 2 * SOON;
        loop {
            let line = self
                .next(deadline)
                .unwrap_or_else(|| panic!("{}: no answer to {id}", self.sdk.name()));
            if line["id"] != id {
                self.told.push_back(line);
            } else if let Some(error) = line["error"].as_str() {
                return Err(error.to_owned());
            } else {
                return Ok(line["gives"].clone());
            }
        }
    }

    /// The first thing that a client was told, and nobody has looked at, for which `wanted` gives something.
    #[track_caller]
    pub(super) fn told<T>(&mut self, client: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let found = self.told_within(client, SOON, wanted);
        found.unwrap_or_else(|| {
            let name = self.sdk.name();
            panic!("{name}: {client} was not told; there is {:?}", self.told)
        })
    }

    fn told_within<T>(
        &mut self,
        client: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let wanted = |told: &Value| (told["client"] == client).then(|| wanted(told)).flatten();
        let found = self.told.iter().enumerate();
        let mut found = found.filter_map(|(at, told)| Some((at, wanted(told)?)));
        if let Some((at, found)) = found.next() {
            self.told.remove(at);
            return Some(found);
        }
        let deadline = Instant::now() + within;
        loop {
            let line = self.next(deadline)?;
            match wanted(&line) {
                Some(found) => return Some(found),
                None => self.told.push_back(line),
            }
        }
    }

    /// Forgets what a client was told.
    pub(super) fn forget(&mut self, client: &str) {
        self.told.retain(|told| told["client"] != client);
    }

    fn next(&mut self, deadline: Instant) -> Option<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.process.next_line(left)?;
        // Some SDKs print what they do.
        serde_json::from_str(&line).ok().or(Some(Value::Null))
    }
}
