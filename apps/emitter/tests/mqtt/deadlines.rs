//! Deadlines count whole packets: a byte now and then puts nothing off.

use std::{net::SocketAddr, time::Duration};

use polywire_core::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    client::{Client, Lasting, SOON, text},
    server_with,
};

const LIMITS: fn() -> Limits = || Limits {
    header_secs: 1,
    body_secs: 2,
    ..Limits::default()
};

/// CONNECT with this keep-alive.
fn connect(keep_alive_secs: u8) -> Vec<u8> {
    let mut packet = b"\x10\x0e\0\x04MQTT\x04\x02\0".to_vec();
    packet.push(keep_alive_secs);
    packet.extend([0, 2, b'd', keep_alive_secs]);
    packet
}

/// The beginning of a PUBLISH of some thousand bytes.
const PUBLISH: &[u8] = &[0x30, 0xff, 0x7f, 0, 1, b'a'];

/// Sends a piece ten times a second until the server closes, which it must in good time.
async fn dribble(mut stream: TcpStream, piece: &[u8]) {
    let (mut reader, mut writer) = stream.split();
    let ends = async {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = reader.read_to_end(&mut rest).await;
    };
    let sends = async {
        while writer.write_all(piece).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    };
    let ended = timeout(SOON, async {
        tokio::select! {
            () = ends => {}
            () = sends => {}
        }
    });
    assert!(ended.await.is_ok(), "still open");
}

async fn begin(server: SocketAddr, packets: &[&[u8]]) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for packet in packets {
        stream.write_all(packet).await.unwrap();
    }
    stream
}

/// A client of a protocol that sends whole packets, and never more than it has to.
async fn canary(server: SocketAddr) {
    let (mut client, _) = Client::connect(server, "canary", Lasting::No).await;
    loop {
        sleep(Duration::from_millis(300)).await;
        client.ping().await;
    }
}

#[tokio::test]
async fn a_connect_that_dribbles_is_cut() {
    let server = server_with(LIMITS()).await;
    // A client id of 65 KiB, a byte at a time.
    let begun = begin(server, &[b"\x10\xff\x7f\0\x04MQTT\x04\x02\0\0\x3f\0"]).await;
    tokio::select! {
        () = dribble(begun, b"x") => {}
        () = canary(server) => {}
    }
}

#[tokio::test]
async fn a_connect_that_dribbles_over_websocket_is_cut() {
    let server = server_with(LIMITS()).await;
    let upgrade = format!(
        "GET /mqtt HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    );
    let mut stream = begin(server, &[upgrade.as_bytes()]).await;
    let mut answer = [0; 12];
    timeout(SOON, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    // A mask of zeros leaves bytes as they are.
    let frame = |bytes: &[u8]| {
        let mut frame = vec![0x82, 0x80 | bytes.len() as u8, 0, 0, 0, 0];
        frame.extend(bytes);
        frame
    };
    let begun = frame(b"\x10\xff\x7f\0\x04MQTT\x04\x02\0\0\x3f\0");
    stream.write_all(&begun).await.unwrap();
    dribble(stream, &frame(b"x")).await;
}

#[tokio::test]
async fn a_packet_that_dribbles_is_cut_with_and_without_keep_alive() {
    let server = server_with(LIMITS()).await;
    let without = begin(server, &[&connect(0), PUBLISH]).await;
    let with = begin(server, &[&connect(1), PUBLISH]).await;
    tokio::select! {
        _ = async { tokio::join!(dribble(without, b"x"), dribble(with, b"x")) } => {}
        () = canary(server) => {}
    }
}

#[tokio::test]
async fn whole_packets_in_parts_keep_a_connection() {
    let server = server_with(LIMITS()).await;
    let mut stream = begin(server, &[&connect(2)]).await;
    let mut publish = vec![0x32, 7];
    publish.extend(text("a"));
    publish.extend([0, 7, b'h', b'i']);
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    // Longer than each of the bounds, and always in the middle of a packet.
    for _ in 0..5 {
        for part in [&publish[..3], &publish[3..]] {
            stream.write_all(part).await.unwrap();
            sleep(Duration::from_millis(500)).await;
        }
        timeout(SOON, stream.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer, [0x40, 2, 0, 7]);
    }
}
