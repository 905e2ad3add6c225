//! Frames, packets and requests, byte for byte.

/// A handshake of WebSocket.
pub(super) fn upgrade(path: &str, subprotocol: &str) -> Vec<u8> {
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    if !subprotocol.is_empty() {
        head.push_str(&format!("Sec-WebSocket-Protocol: {subprotocol}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// A masked frame of WebSocket; the mask is 0, so that the payload is as it is.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length @ ..126) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A text in a frame of WebSocket.
pub(super) fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// A packet of MQTT.
pub(super) fn packet_of(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut left = body.len();
    loop {
        let more = left >> 7;
        packet.push((left & 127) as u8 | if more > 0 { 128 } else { 0 });
        left = more;
        if left == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// CONNECT of MQTT 3.1.1 with a clean session, no client id and no keep-alive.
pub(super) fn mqtt_connect() -> Vec<u8> {
    packet_of(0x10, b"\0\x04MQTT\x04\x02\0\0\0\0")
}

/// A request of HTTP without a body.
pub(super) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}
