//! The program as an operator sees it: flags, messages, exit codes, signals.

use std::{net::TcpListener, process::Output};

use crate::support::{
    HttpConnection, Process, SOON, Server, WebSocketClient, eventually, polywire,
};

/// Runs the program, which must end by itself.
pub(crate) fn run(args: &[&str]) -> Output {
    run_with(args, &[])
}

/// The same with environment variables.
pub(crate) fn run_with(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = polywire();
    command.args(args).envs(variables.iter().copied());
    Process::start("polywire", &mut command).output()
}

/// The server must refuse to start; returns what it says.
#[track_caller]
pub(crate) fn refused(args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = run_with(args, variables);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert!(
        output.stdout.is_empty(),
        "{output:?}",
        output = output.stdout
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(!stderr.trim().is_empty());
    stderr
}

#[test]
fn the_help_is_complete() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("serve"), "{text}");
    let output = run(&["serve", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--app",
        "seth",
        "--backend",
        "memory",
        "redis://",
        "--auth",
        "echo",
        "api-key",
        "header",
        "--persistence",
        "none",
        "--host",
        "127.0.0.1",
        "--port",
        "8080",
        "--debug",
        "--config",
        "POLYWIRE_",
    ] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.trim(), concat!("polywire ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_flags_are_refused() {
    for (args, named) in [
        (&["serve", "--nope"][..], "--nope"),
        (&["nope"], "nope"),
        (&["serve", "--port", "many"], "many"),
        (&["serve", "--port", "70000"], "70000"),
        (&["serve", "--app", "nope", "--port", "0"], "app: "),
        (&["serve", "--auth", "nope", "--port", "0"], "auth: "),
        (&["serve", "--backend", "nope", "--port", "0"], "backend: "),
        (
            &["serve", "--persistence", "nope", "--port", "0"],
            "persistence: ",
        ),
        (
            &["serve", "--host", "not an address", "--port", "0"],
            "host: ",
        ),
        (
            &["serve", "--config", "no-such-file.toml", "--port", "0"],
            "no-such-file.toml",
        ),
    ] {
        let text = refused(args, &[]);
        assert!(text.contains(named), "{args:?}: {text}");
    }
}

#[test]
fn a_port_in_use_is_said_in_one_message() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let text = refused(&["serve", "--port", &port], &[]);
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    let lines = text.trim().lines().count();
    assert!(lines <= 2, "{text}");
}

#[test]
fn the_address_is_printed_on_stdout_and_nothing_else_starts_like_it() {
    let mut server = Server::start(&[]);
    assert!(server.address.ip().is_loopback());
    assert_eq!(server.get("/connect").text(), "Welcome to SockJS!\n");
    let listening = server.process.stdout().iter();
    let listening = listening.filter(|line| line.starts_with("listening on "));
    assert_eq!(listening.count(), 1);
}

#[test]
fn signals_end_every_session_in_order() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let mut raw = server.client("ann");
        let mut framed = WebSocketClient::open(server.address, "/connect/0/framed/websocket");
        assert_eq!(framed.receive_text(), "o");
        let mut streaming = HttpConnection::open(server.address);
        streaming
            .write(b"POST /connect/0/streaming/xhr_streaming HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut polling = HttpConnection::open(server.address);
        let opened = polling.request("POST", "/connect/0/polling/xhr", &[], None);
        assert_eq!(opened.text(), "o\n");
        polling
            .write(b"POST /connect/0/polling/xhr HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        // Each session is known to the server when the others' work is done.
        raw.settle();
        let _idle = HttpConnection::open(server.address);

        server.process.signal(signal);
        assert_eq!(raw.expect_close(SOON), (3000, "Go away!".to_owned()));
        assert_eq!(framed.receive_text(), "c[3000,\"Go away!\"]");
        let stream = streaming.answer(false);
        assert!(
            stream.text().ends_with("c[3000,\"Go away!\"]\n"),
            "{:?}",
            stream.text()
        );
        assert_eq!(polling.answer(false).text(), "c[3000,\"Go away!\"]\n");
        assert_eq!(server.process.wait(SOON).code(), Some(0));
    }
}

#[test]
fn clients_that_do_not_close_delay_the_end_only_shortly() {
    let mut server = Server::start(&[]);
    // They neither read nor close.
    let _clients: Vec<_> = (0..5).map(|n| server.client(n)).collect();
    let began = std::time::Instant::now();
    server.process.signal("TERM");
    assert_eq!(server.process.wait(SOON).code(), Some(0));
    assert!(began.elapsed().as_secs() < 6, "{:?}", began.elapsed());
}

#[test]
fn the_port_can_be_used_again_at_once() {
    let mut first = Server::start(&[]);
    let mut client = first.client("ann");
    first.process.signal("TERM");
    client.expect_close(SOON);
    assert_eq!(first.process.wait(SOON).code(), Some(0));
    let port = first.address.port().to_string();
    let second = Server::start(&["--port", &port]);
    assert_eq!(second.address, first.address);
}

#[test]
fn secrets_are_not_logged() {
    let server = crate::support::ServerOptions::new(&["--auth", "api-key", "--debug"])
        .env("POLYWIRE_LOG", "trace")
        .env("RUST_LOG", "trace")
        .start();
    assert_eq!(server.get("/debug/?api_key=secret").status, 200);
    assert_eq!(server.get("/debug/?api_key=wrong-one").status, 401);
    assert_eq!(
        server.post("/api/channels/x/?api_key=secret", "{}").status,
        200
    );
    let log = server.process.stderr();
    assert!(!log.contains("api_key=secret"), "{log}");
    assert!(!log.contains("wrong-one"), "{log}");
}

#[test]
fn a_password_need_not_stand_in_the_list_of_processes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backend");
    // Nobody is there: the server starts all the same.
    let url = "redis://:a-secret@127.0.0.1:1/";
    std::fs::write(&file, format!("{url}\n")).unwrap();
    let file = file.to_str().unwrap();
    let warning = "can read the password in --backend";
    let with_file = Server::start(&["--backend-file", file]);
    let with_variable = crate::support::ServerOptions::new(&[])
        .env("POLYWIRE_BACKEND", url)
        .start();
    for server in [with_file, with_variable] {
        assert_eq!(server.post("/api/channels/c/", "{}").status, 503);
        let command = format!("/proc/{}/cmdline", server.process.pid());
        assert!(
            !std::fs::read_to_string(command)
                .unwrap()
                .contains("a-secret")
        );
        let said = server.process.stderr();
        assert!(
            !said.contains(warning) && !said.contains("a-secret"),
            "{said}"
        );
    }
    let open = Server::start(&["--backend", url]);
    eventually("it is warned of", SOON, || {
        let said = open.process.stderr();
        assert!(!said.contains("a-secret"), "{said}");
        said.contains(warning).then_some(())
    });
}

#[test]
fn a_file_with_a_backend_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backend");
    let refused = |file: &std::path::Path| {
        let output = polywire()
            .args(["serve", "--port", "0", "--backend-file"])
            .arg(file)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&file).contains("backend_file: "), "it is not there");
    std::fs::write(&file, "postgres://a\n").unwrap();
    let said = refused(&file);
    assert!(
        said.contains("backend_file: use memory, or a URL"),
        "{said}"
    );
}
