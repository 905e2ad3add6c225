//! Proxies: whom they speak for, and who is believed.

mod harness;

use harness::{HttpClient, Settings, TestServer};
use polywire_core::{Limits, TrustedProxies, transport::sockjs::SockJsOptions};

const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

fn server(limits: Limits) -> TestServer {
    TestServer::with(Settings {
        limits,
        trusted_proxies: TrustedProxies::parse(&["127.0.0.1"]).expect("a network"),
        options: SockJsOptions::default().same_address(true),
    })
}

fn one_each() -> TestServer {
    server(Limits {
        connections_per_address_max: 1,
        ..Limits::default()
    })
}

/// Where the app believes that this client is, on a session of its own.
fn seen(client: &mut HttpClient, forwarded: &str) -> String {
    let session = format!("/echo/0/{}", rand::random::<u64>());
    client.request(&format!("POST {session}/xhr\n{forwarded}"), "");
    assert_eq!(client.answer().body, "o\n");
    client.request(
        &format!("POST {session}/xhr_send\n{forwarded}"),
        "[\"!who\"]",
    );
    assert_eq!(client.answer().status, 204);
    client.request(&format!("POST {session}/xhr\n{forwarded}"), "");
    let frame = client.answer().body;
    let seen = frame
        .strip_prefix("a[\"")
        .and_then(|rest| rest.strip_suffix("\"]\n"));
    seen.expect("a message").to_owned()
}

#[test]
fn only_a_trusted_proxy_says_where_a_client_is() {
    let server = server(Limits::default());
    let mut proxy = HttpClient::connect(server.address);
    assert_eq!(seen(&mut proxy, ""), "127.0.0.1");
    let chain = "X-Forwarded-For: 1.1.1.1, 192.0.2.7";
    assert_eq!(seen(&mut proxy, chain), "192.0.2.7");
    assert_eq!(
        seen(&mut proxy, "Forwarded: for=\"[2001:db8::1]:9\""),
        "2001:db8::1"
    );
    assert_eq!(seen(&mut proxy, ""), "127.0.0.1", "each request by itself");

    let mut liar = HttpClient::connect_from(server.address, ELSEWHERE);
    assert_eq!(seen(&mut liar, chain), "127.0.0.2");
}

#[test]
fn a_session_of_one_address_is_of_the_client_not_of_its_proxy() {
    let server = server(Limits::default());
    let mut proxy = HttpClient::connect(server.address);
    let mut ask = |address: &str| {
        let head = format!("POST /echo/0/a/xhr_send\nX-Forwarded-For: {address}");
        proxy.request(&head, "[]");
        proxy.answer().status
    };
    let open = "POST /echo/0/a/xhr\nX-Forwarded-For: 192.0.2.7";
    assert_eq!(HttpClient::once(server.address, open, "").body, "o\n");
    assert_eq!(ask("192.0.2.8"), 404);
    assert_eq!(ask("192.0.2.7"), 204);
}

#[test]
fn both_versions_of_the_proxy_protocol_are_read() {
    let server = server(Limits::default());
    let version_2 = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..],
        &[192, 0, 2, 7, 127, 0, 0, 1, 1, 1, 2, 2],
    ]
    .concat();
    let version_1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\n".to_vec();
    for header in [version_1, version_2] {
        let mut client = HttpClient::connect(server.address);
        client.write(&header);
        assert_eq!(seen(&mut client, ""), "192.0.2.7");
        // In one piece with what follows, and in many.
        let request = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut client = HttpClient::connect(server.address);
        client.write(&[&header[..], request].concat());
        assert_eq!(client.answer().status, 200);
        let mut client = HttpClient::connect(server.address);
        for byte in header.iter().chain(request) {
            client.write(&[*byte]);
        }
        assert_eq!(client.answer().status, 200);

        let mut liar = HttpClient::connect_from(server.address, ELSEWHERE);
        liar.write(&header);
        assert!(liar.rest().starts_with("HTTP/1.1 400"));
    }
    let mut client = HttpClient::connect(server.address);
    client.write(b"PROXY TCP4 nobody 127.0.0.1 5000 80\r\n");
    assert!(client.is_ended());
}

#[test]
fn connections_count_for_the_clients_of_a_proxy() {
    let server = one_each();
    let behind = |address: &str| {
        let mut client = HttpClient::connect(server.address);
        client.write(format!("PROXY TCP4 {address} 127.0.0.1 5000 80\r\n").as_bytes());
        client.try_write(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    };
    let mut first = behind("192.0.2.7");
    assert_eq!(first.answer().status, 200);
    assert!(behind("192.0.2.7").is_ended(), "one for each client");
    assert_eq!(behind("192.0.2.8").answer().status, 200);

    // By its headers it says so request by request, of one connection.
    let mut proxy = HttpClient::connect(server.address);
    for (address, status) in [("192.0.2.9", 200), ("192.0.2.10", 200), ("192.0.2.7", 503)] {
        proxy.request(&format!("GET /echo\nX-Forwarded-For: {address}"), "");
        assert_eq!(proxy.answer().status, status, "{address}");
    }
    assert!(proxy.is_ended());
}
