//! Behind nginx, configured as docs/configuration.md says.

use std::{fs, net::SocketAddr, net::TcpListener, process::Command};

use serde_json::json;

use crate::support::{
    Example, HttpConnection, Process, SOON, Server, ServerOptions, eventually, node, run_node,
};

/// An nginx in front of a server.
struct Nginx {
    address: SocketAddr,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn before(server: SocketAddr) -> Self {
        // It cannot be asked for any free port.
        let address = free_address();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration(address, server)).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file);
        let process = Process::start("nginx", &mut command);
        eventually("nginx listens", SOON, || {
            std::net::TcpStream::connect(address).ok()
        });
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// What the documentation has users write, at these addresses.
fn configuration(listen: SocketAddr, server: SocketAddr) -> String {
    let page = include_str!("../../../../docs/configuration.md");
    let begin = page.split_once("```nginx\n").expect("a block for nginx").1;
    let block = begin.split_once("```").unwrap().0;
    let (from, to) = (
        ["listen 80;", "http://127.0.0.1:8080;"],
        [format!("listen {listen};"), format!("http://{server};")],
    );
    let mut block = block.to_owned();
    for (from, to) in from.iter().zip(&to) {
        assert!(block.contains(from), "{from}");
        block = block.replace(from, to);
    }
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
         {folders}{block}}}\n"
    )
}

fn sockjs_client(transport: &str) {
    let server = Example::start("sockjs_test_server", &["--port", "0"]);
    let nginx = Nginx::before(server.address);
    run_node("sockjs_client.js", &[&nginx.url(), transport]);
    server.stop();
}

#[test]
fn sockjs_client_over_websocket() {
    sockjs_client("websocket");
}

#[test]
fn sockjs_client_over_xhr_streaming() {
    sockjs_client("xhr-streaming");
}

#[test]
fn sockjs_client_over_eventsource() {
    sockjs_client("eventsource");
}

#[test]
fn sockjs_client_over_xhr_polling() {
    sockjs_client("xhr-polling");
}

#[test]
fn sockjs_client_in_chromium() {
    // Behind a proxy no client is one of this machine: pages of another origin are listed.
    let pages = free_address();
    let config = format!("[apps.seth]\nallowed_origins = [\"http://{pages}\", \"same-origin\"]\n");
    let server = ServerOptions::new(&[]).config(&config).start();
    let nginx = Nginx::before(server.address);
    let (url, profile) = (nginx.url(), tempfile::tempdir().unwrap());
    let mut args = vec![url.as_str(), profile.path().to_str().unwrap()];
    args.extend([
        "websocket",
        "xhr-streaming",
        "eventsource",
        "htmlfile",
        "xhr-polling",
        "jsonp-polling",
        "iframe-eventsource",
        "iframe-htmlfile",
        "iframe-xhr-polling",
    ]);
    let mut command = node("seth-browser.mjs", &args);
    command.env("PAGES_PORT", pages.port().to_string());
    let status = Process::start("seth-browser.mjs", &mut command).wait(6 * SOON);
    assert!(status.success(), "{status}");
}

#[test]
fn mqtt_over_websocket() {
    let server = Server::start(&[]);
    let nginx = Nginx::before(server.address);
    let address = nginx.address.to_string();
    run_node("mqtt-scenario.cjs", &[&address, "", "behind-a-proxy"]);
}

#[test]
fn azure_reliable() {
    let key = "AAAA+test/key=";
    let config = format!("[apps.webpubsub]\naccess_key = \"{key}\"\nrecovery_secs = 60\n");
    let server = ServerOptions::new(&[]).config(&config).start();
    let nginx = Nginx::before(server.address);
    let address = nginx.address.to_string();
    for scenario in ["groups", "rest", "cuts"] {
        run_node("webpubsub-scenario.cjs", &[&address, key, scenario]);
    }
}

#[test]
fn pubnub_in_javascript() {
    for scenario in ["messages", "presence"] {
        let server = Server::start(&["--app", "pubnub"]);
        let nginx = Nginx::before(server.address);
        run_node(
            "pubnub-scenario.cjs",
            &[&nginx.address.to_string(), scenario],
        );
    }
}

/// Sends a request whose answer does not end.
fn begin(address: SocketAddr, head: &str) -> HttpConnection {
    let mut connection = HttpConnection::open(address);
    let request = format!("{head}\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    connection.write(request.as_bytes()).unwrap();
    connection
}

#[test]
fn a_followed_history_comes_line_by_line() {
    let server = Server::start(&["--persistence", "memory"]);
    let nginx = Nginx::before(server.address);
    let mut follower = begin(
        nginx.address,
        "GET /history/v1/channels/news?follow=true HTTP/1.1",
    );
    assert_eq!(follower.line(), "HTTP/1.1 200 OK");
    for n in 0..3 {
        server.publish("/api/channels/news/", &json!({"n": n}));
        while !follower.line().contains(&format!(r#"{{"n":{n}}}"#)) {}
    }
}

/// Whom the proxy speaks for is who is counted, and not who it says it is itself.
#[test]
fn the_address_of_a_client_is_known() {
    let config = "trusted_proxies = [\"127.0.0.1\"]\n[limits]\nconnections_per_address_max = 1\n";
    let server = ServerOptions::new(&[]).config(config).start();
    let nginx = Nginx::before(server.address);
    let hold = |client: &str| {
        // nginx appends the address that it sees, which is that of a proxy too.
        let session = client.replace('.', "-");
        let head = format!(
            "POST /connect/000/{session}/xhr_streaming HTTP/1.1\r\nX-Forwarded-For: {client}"
        );
        begin(nginx.address, &head)
    };
    let mut first = hold("192.0.2.1");
    assert_eq!(first.line(), "HTTP/1.1 200 OK");
    assert_eq!(hold("192.0.2.1").line(), "HTTP/1.1 503 Service Unavailable");
    assert_eq!(hold("192.0.2.2").line(), "HTTP/1.1 200 OK");
}
