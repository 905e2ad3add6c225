//! HTTP/2 over TLS, with Node's own client and in headless Chromium.

use std::{io::Write, sync::Arc};

use polywire_testing::{
    attack::{Attack, canaries},
    peers::azure::AZURE_KEY,
};
use rustls::ClientConfig;

use crate::support::{
    SOON, Server, ServerOptions, eventually, run_node,
    tls::{Files, Pair, trusting, try_connect},
};

fn server(files: &Files) -> Server {
    let mut args = files.flags().to_vec();
    args.extend(["--persistence", "memory"]);
    ServerOptions::new(&args).start()
}

#[test]
fn all_protocols_of_requests_share_one_connection() {
    let files = Files::of(&Pair::new());
    let server = server(&files);
    let base = format!("https://localhost:{}", server.address.port());
    run_node(
        "http2-scenario.mjs",
        &[&base, files.certificate.to_str().unwrap()],
    );
}

#[test]
fn ten_tabs_poll_listen_and_send() {
    let files = Files::of(&Pair::new());
    let server = server(&files);
    let base = format!("https://localhost:{}", server.address.port());
    let profile = tempfile::tempdir().unwrap();
    run_node(
        "http2-browser.mjs",
        &[&base, profile.path().to_str().unwrap()],
    );
}

/// curl takes it for a failure when it is told to stop while it sends, and shows no answer.
#[test]
fn a_body_that_nobody_wants_is_read_on_so_that_curl_sees_the_answer() {
    let files = Files::of(&Pair::new());
    let server = server(&files);
    let body = files.certificate.with_file_name("body");
    std::fs::write(&body, vec![b'x'; 300_000]).unwrap();
    let output = std::process::Command::new("curl")
        .args([
            "--http2",
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
        ])
        .arg("--cacert")
        .arg(&files.certificate)
        .arg("--data-binary")
        .arg(format!("@{}", body.display()))
        .arg(format!(
            "https://localhost:{}/nothing",
            server.address.port()
        ))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "2 404",
        "{output:?}"
    );
}

/// RFC 9113 section 3.4, and empty SETTINGS.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A frame: RFC 9113 section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Requests that are taken back at once, on streams from this one.
fn resets(first: u32) -> Vec<u8> {
    let head = b"\x82\x87\x84\x41\x09localhost";
    let streams = (0..1000).map(|index| first + 2 * index);
    streams
        .flat_map(|stream| {
            [
                frame(1, 5, stream, head),
                frame(3, 0, stream, &[0, 0, 0, 8]),
            ]
            .concat()
        })
        .collect()
}

/// Says something again and again, on one connection after another.
fn flood(name: &'static str, config: Arc<ClientConfig>, piece: fn(u32) -> Vec<u8>) -> Attack {
    Attack::new(name, move |server, _, progress| {
        while !progress.is_over() {
            let Ok(mut stream) = try_connect(server, &config) else {
                continue;
            };
            let _ = stream.write_all(OPENING);
            for first in (1..).step_by(2000) {
                let piece = piece(first);
                if progress.is_over() || stream.write_all(&piece).is_err() {
                    break;
                }
                progress.sent(piece.len());
            }
        }
        "open".into()
    })
}

/// A canary that waits for longer than it is patient fails, and the attack goes on until all have come through.
#[test]
fn clients_come_through_while_others_say_cheap_frames_without_end() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let server = ServerOptions::new(&files.flags())
        .env("POLYWIRE_APPS__WEBPUBSUB__ACCESS_KEY", AZURE_KEY)
        .start();
    let mut config = ClientConfig::clone(&trusting(&[&pair]));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    for attack in [
        flood("pings", config.clone(), |_| {
            frame(6, 0, 0, &[0; 8]).repeat(1000)
        }),
        flood("settings", config.clone(), |_| {
            frame(4, 0, 0, &[]).repeat(1000)
        }),
        flood("windows", config.clone(), |_| {
            frame(8, 0, 0, &1_u32.to_be_bytes()).repeat(1000)
        }),
        flood("requests that are taken back", config, resets),
    ] {
        let attackers = attack.start(server.address, 4);
        eventually(attack.name, SOON, || {
            (attackers.sent() > 1 << 20).then_some(())
        });
        for canary in &mut canaries(server.address) {
            for _ in 0..5 {
                assert!(canary.round_trip(), "{canary:?} during {attack:?}");
            }
        }
        attackers.stop();
    }
}
