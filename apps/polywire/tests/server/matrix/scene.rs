//! A scene: the servers, and the agents with their clients.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    Protocol,
    agents::{Agent, Language},
};
use crate::support::{Redis, Server, ServerOptions, azure::AZURE_KEY};

const MASTER: &str = "0123456789abcdefghijklmnop";
pub(super) const SECRET: &str = "sec";

/// One node, or two with one Redis, and all agents.
pub(super) struct Scene {
    nodes: Nodes,
    pub(super) agents: Vec<Agent>,
    clients: usize,
    /// Ids that Emitter gives.
    ids: HashMap<String, String>,
}

/// One node, or several with one Redis.
struct Nodes {
    servers: Vec<Server>,
    _redis: Option<Redis>,
}

/// A client of an agent.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) agent: usize,
    pub(super) name: String,
    pub(super) protocol: Protocol,
}

impl Scene {
    pub(super) fn on_one_node() -> Self {
        Self::new(Nodes::start(1, ""))
    }

    pub(super) fn on_two_nodes() -> Self {
        Self::new(Nodes::start(2, ""))
    }

    fn new(nodes: Nodes) -> Self {
        Self {
            agents: Agent::start_all(&nodes.servers[0].address.to_string()),
            nodes,
            clients: 0,
            ids: HashMap::new(),
        }
    }

    /// The same with further settings; clients that are left are of no use any more.
    pub(super) fn start_anew(&mut self, settings: &str) {
        self.nodes = Nodes::start(self.nodes.servers.len(), settings);
    }

    pub(super) fn server(&self, node: usize) -> &Server {
        &self.nodes.servers[node]
    }

    pub(super) fn servers(&self) -> &[Server] {
        &self.nodes.servers
    }

    /// The agent of a protocol in this language, or in the only one that it has.
    pub(super) fn agent_of(&self, protocol: Protocol, language: Language) -> usize {
        let all = 0..self.agents.len();
        let own: Vec<_> = all
            .filter(|&agent| self.agents[agent].sdk.protocol == protocol)
            .collect();
        let wanted = own
            .iter()
            .find(|&&agent| self.agents[agent].sdk.language() == language);
        *wanted.unwrap_or(&own[0])
    }

    /// A client of each agent on each node.
    pub(super) fn everywhere(&mut self) -> Vec<Client> {
        let mut clients = Vec::new();
        for agent in 0..self.agents.len() {
            for node in 0..self.nodes.servers.len() {
                clients.push(self.open(agent, node, &json!({})));
            }
        }
        clients
    }

    /// A client of each agent, those of the two languages on different nodes.
    pub(super) fn one_each(&mut self) -> Vec<Client> {
        let last = self.nodes.servers.len() - 1;
        let agents = 0..self.agents.len();
        agents
            .map(|agent| {
                let node = match self.agents[agent].sdk.language() {
                    Language::Python => last,
                    Language::JavaScript => 0,
                };
                self.open(agent, node, &json!({}))
            })
            .collect()
    }

    /// A client on a node, with an id of its own where `more` says none.
    pub(super) fn open(&mut self, agent: usize, node: usize, more: &Value) -> Client {
        let address = self.server(node).address.to_string();
        let mut options = json!({"address": address});
        let more = more.as_object().unwrap().clone();
        options.as_object_mut().unwrap().extend(more);
        self.open_at(agent, &options)
    }

    /// A client at the address that the options say.
    pub(super) fn open_at(&mut self, agent: usize, options: &Value) -> Client {
        self.clients += 1;
        let client = Client {
            agent,
            name: format!("client-{}", self.clients),
            protocol: self.agents[agent].sdk.protocol,
        };
        let mut all = json!({"user": client.name, "key": AZURE_KEY, "master": MASTER});
        let options = options.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(options);
        if let Value::String(id) = self.ask(&client, "open", &all) {
            self.ids.insert(client.name.clone(), id);
        }
        client
    }

    #[track_caller]
    pub(super) fn ask(&mut self, client: &Client, what: &str, more: &Value) -> Value {
        let answer = self.try_ask(client, what, more);
        let name = self.agents[client.agent].sdk.name();
        answer.unwrap_or_else(|error| panic!("{name}: {what} {more}: {error}"))
    }

    pub(super) fn try_ask(
        &mut self,
        client: &Client,
        what: &str,
        more: &Value,
    ) -> Result<Value, String> {
        let agent = &mut self.agents[client.agent];
        let id = agent.begin(what, &client.name, more);
        agent.answer(id)
    }

    /// Asks several clients at once.
    pub(super) fn ask_all(&mut self, what: &str, asked: &[(&Client, Value)]) -> Vec<Value> {
        let begun: Vec<_> = asked
            .iter()
            .map(|(client, more)| self.agents[client.agent].begin(what, &client.name, more))
            .collect();
        let both = asked.iter().zip(begun);
        both.map(|((client, more), id)| {
            let agent = &mut self.agents[client.agent];
            let answer = agent.answer(id);
            answer.unwrap_or_else(|error| panic!("{}: {what} {more}: {error}", agent.sdk.name()))
        })
        .collect()
    }

    /// All of them subscribe to a channel.
    pub(super) fn subscribe_all(&mut self, clients: &[Client], channel: &str) {
        let asked: Vec<_> = clients
            .iter()
            .map(|client| (client, json!({"channel": channel})))
            .collect();
        self.ask_all("subscribe", &asked);
    }

    /// The next thing that a client was told for which `wanted` gives something.
    #[track_caller]
    pub(super) fn told<T>(&mut self, client: &Client, wanted: impl Fn(&Value) -> Option<T>) -> T {
        self.agents[client.agent].told(&client.name, wanted)
    }

    /// Everything that a client was told by now for which `wanted` gives something.
    pub(super) fn pending<T>(
        &mut self,
        client: &Client,
        wanted: impl Fn(&Value) -> Option<T>,
    ) -> Vec<T> {
        self.agents[client.agent].pending(&client.name, wanted)
    }

    /// The id that a client was given, where it cannot choose one.
    pub(super) fn id_of(&self, client: &Client) -> Option<String> {
        self.ids.get(&client.name).cloned()
    }

    /// Closes a client that cannot say goodbye any more.
    pub(super) fn abandon(&mut self, client: &Client) {
        // It may fail to: nobody is there.
        let _ = self.try_ask(client, "close", &json!({"gone": true}));
        self.agents[client.agent].forget(&client.name);
    }

    pub(super) fn close_all(&mut self, clients: &[Client]) {
        let asked: Vec<_> = clients.iter().map(|client| (client, json!({}))).collect();
        self.ask_all("close", &asked);
        for client in clients {
            self.agents[client.agent].forget(&client.name);
        }
    }
}

impl Nodes {
    fn start(count: usize, settings: &str) -> Self {
        if count == 1 {
            let servers = vec![start(&[], settings)];
            return Self {
                servers,
                _redis: None,
            };
        }
        let redis = Redis::start();
        let url = redis.url();
        let args = ["--backend", &url, "--persistence", "redis"];
        let servers: Vec<_> = (0..count).map(|_| start(&args, settings)).collect();
        for server in &servers {
            server.publish_when_ready("/api/channels/ready/", &json!({}));
        }
        Self {
            servers,
            _redis: Some(redis),
        }
    }
}

fn start(args: &[&str], settings: &str) -> Server {
    let config = format!(
        "{settings}\n[apps.emitter]\nmaster_key = '{MASTER}'\n\
         [[apps.pubnub.key_sets]]\npublish_key = 'demo'\nsubscribe_key = 'demo'\n\
         secret_key = '{SECRET}'\ndelete_history = true\n"
    );
    ServerOptions::new(args)
        .env("POLYWIRE_APPS__WEBPUBSUB__ACCESS_KEY", AZURE_KEY)
        .config(&config)
        .start()
}
