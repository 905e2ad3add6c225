//! A scene: the servers, and the agents with their clients.

use serde_json::{Value, json};

use super::{Protocol, agents::Agent};
use crate::support::{Redis, Server, ServerOptions, azure::AZURE_KEY};

const MASTER: &str = "0123456789abcdefghijklmnop";
pub(super) const SECRET: &str = "sec";

/// One node, or two with one Redis, and all agents.
pub(super) struct Scene {
    pub(super) nodes: Vec<Server>,
    pub(super) agents: Vec<Agent>,
    clients: usize,
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
        Self::new(vec![start(&["--persistence", "memory"])], None)
    }

    pub(super) fn on_two_nodes() -> Self {
        let redis = Redis::start();
        let url = redis.url();
        let args = ["--backend", &url, "--persistence", "redis"];
        let nodes = vec![start(&args), start(&args)];
        for node in &nodes {
            node.publish_when_ready("/api/channels/ready/", &json!({}));
        }
        Self::new(nodes, Some(redis))
    }

    fn new(nodes: Vec<Server>, redis: Option<Redis>) -> Self {
        let agents = Agent::start_all(&nodes[0].address.to_string());
        Self {
            nodes,
            agents,
            clients: 0,
            _redis: redis,
        }
    }

    /// A client of each agent on each node.
    pub(super) fn everywhere(&mut self) -> Vec<Client> {
        let mut clients = Vec::new();
        for agent in 0..self.agents.len() {
            for node in 0..self.nodes.len() {
                clients.push(self.open(agent, node, &json!({})));
            }
        }
        clients
    }

    /// A client of each agent, those of the two languages on different nodes.
    pub(super) fn one_each(&mut self) -> Vec<Client> {
        let last = self.nodes.len() - 1;
        let agents = 0..self.agents.len();
        agents
            .map(|agent| {
                let is_python = self.agents[agent].sdk.is_python();
                self.open(agent, if is_python { last } else { 0 }, &json!({}))
            })
            .collect()
    }

    /// A client on a node, with an id of its own where `more` says none.
    pub(super) fn open(&mut self, agent: usize, node: usize, more: &Value) -> Client {
        let address = self.nodes[node].address.to_string();
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
        self.ask(&client, "open", &all);
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

    pub(super) fn close_all(&mut self, clients: &[Client]) {
        let asked: Vec<_> = clients.iter().map(|client| (client, json!({}))).collect();
        self.ask_all("close", &asked);
        for client in clients {
            self.agents[client.agent].forget(&client.name);
        }
    }
}

fn start(args: &[&str]) -> Server {
    let config = format!(
        "[apps.webpubsub]\naccess_key = '{AZURE_KEY}'\n\
         [apps.emitter]\nmaster_key = '{MASTER}'\n\
         [[apps.pubnub.key_sets]]\npublish_key = 'demo'\nsubscribe_key = 'demo'\n\
         secret_key = '{SECRET}'\ndelete_history = true\n"
    );
    ServerOptions::new(args).config(&config).start()
}
