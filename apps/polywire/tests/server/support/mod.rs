//! Support of the tests: the server as a process, a Redis, a place that webhooks go to. Peers come from
//! `polywire-testing`.

mod example;
pub(crate) mod page;
mod process;
mod server;
mod sink;
pub(crate) mod tls;

pub(crate) use polywire_testing::{
    RECOVERY, Redis, SOON, eventually, eventually_equal,
    peers::{
        CuttingProxy, Gate, HttpConnection, LineSocket, MqttClient, WebSocketClient, azure,
        numbers, pubnub,
    },
};

pub(crate) use self::{
    example::Example,
    process::{Process, node, python, python_packages, run_node},
    server::{Server, ServerOptions, config_file, polywire},
    sink::Sink,
};
