//! A real bridge of mosquitto, which connects to us: both ways, without an echo, and with the retain bit.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
};

use tempfile::TempDir;

use crate::support::{Process, SOON, Server, eventually, python};

/// A mosquitto with a bridge to a server. It stops when dropped.
struct Mosquitto {
    _process: Process,
    _folder: TempDir,
    address: String,
}

impl Mosquitto {
    fn start(server: &Server, bridge: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mosquitto.conf");
        let config = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\n\
             connection ours\naddress {}\ntopic bridge/# both 1\nrestart_timeout 1\n{bridge}\n",
            address.port(),
            server.address,
        );
        fs::write(&path, config).unwrap();
        // Debian has it where not every user looks.
        let installed = "/usr/sbin/mosquitto";
        let is_there = Path::new(installed).exists();
        let mut command = Command::new(if is_there { installed } else { "mosquitto" });
        command.arg("-c").arg(&path);
        let process = Process::start("mosquitto", &mut command);
        eventually("mosquitto listens", SOON, || {
            TcpStream::connect(address).ok().map(drop)
        });
        Self {
            _process: process,
            _folder: folder,
            address: address.to_string(),
        }
    }
}

fn leads_both_ways(bridge: &str) {
    let server = Server::start(&[]);
    let mosquitto = Mosquitto::start(&server, bridge);
    let mut command = python("mqtt_bridge.py");
    command.args([&server.address.to_string(), &mosquitto.address]);
    let mut process = Process::start("mqtt_bridge.py", &mut command);
    let status = process.wait(6 * SOON);
    assert!(status.success(), "{bridge}: {status}");
}

#[test]
fn a_bridge_leads_both_ways() {
    leads_both_ways("");
}

#[test]
fn a_bridge_of_3_1_leads_both_ways() {
    leads_both_ways("bridge_protocol_version mqttv31");
}

#[test]
fn a_bridge_of_5_leads_both_ways() {
    leads_both_ways("bridge_protocol_version mqttv50");
}
