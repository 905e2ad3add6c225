//! The gate: who may come in, where that is asked.

use std::{io, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use polywire_core::{Credentials, Identity, Space, TokenPlace, transport::Socket};
use serde::Deserialize;

/// Bytes within which a line with a token ends. Longer first lines are something else.
const FIRST_LINE_BYTES_MAX: usize = 8 << 10;

const READ_BYTES: usize = 4 << 10;

/// Asks the policy about a connection, with its address and with the token of its first line, if there is one.
/// Returns who it is and the bytes that were read after that token; none when it may not come in.
pub(crate) async fn admit(
    space: &Space,
    place: &TokenPlace,
    socket: &Socket,
    read_ahead: Bytes,
    limit: Duration,
) -> Option<(Identity, Bytes)> {
    let mut credentials = Credentials::for_app("knsock");
    credentials.peer = socket.peer();
    let first = tokio::time::timeout(limit, first_line(socket, read_ahead)).await;
    let Ok(Ok((mut bytes, first_line_bytes))) = first else {
        tracing::debug!(peer = ?credentials.peer, "no first line in time");
        return None;
    };
    if let Some(token) = token(&bytes[..first_line_bytes]) {
        place.put(&token, &mut credentials);
        bytes.advance(first_line_bytes);
    }
    match space.authenticate(&credentials).await {
        Ok(identity) => Some((identity, bytes)),
        Err(error) => {
            tracing::debug!(peer = ?credentials.peer, %error, "refused a connection");
            None
        }
    }
}

/// Waits for the first bytes of a client, however long that takes, and then for the end of its first line,
/// which must come in time. Returns what was read; none when it did not come.
///
/// A line of a byte a second is nobody's; from the second line on, a client is one that may be idle.
pub(crate) async fn begin(socket: &Socket, read_ahead: Bytes, limit: Duration) -> Option<Bytes> {
    let mut first = BytesMut::from(&read_ahead[..]);
    while first.is_empty() {
        socket.readable().await.ok()?;
        match read(socket, &mut first) {
            Ok(0) => return None,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return None,
            _ => {}
        }
    }
    match tokio::time::timeout(limit, first_line(socket, first.freeze())).await {
        Ok(first) => first.ok().map(|(bytes, _)| bytes),
        Err(_) => {
            tracing::debug!(peer = ?socket.peer(), "no first line in time");
            None
        }
    }
}

/// Reads the first line that is not blank. Returns what was read, and where that line ends; 0 when it is too
/// long to hold a token.
async fn first_line(socket: &Socket, read_ahead: Bytes) -> io::Result<(Bytes, usize)> {
    let mut bytes = BytesMut::from(&read_ahead[..]);
    loop {
        let blank = bytes.len() - bytes.trim_ascii_start().len();
        if let Some(end) = memchr(b'\n', &bytes[blank..]) {
            return Ok((bytes.freeze(), blank + end + 1));
        }
        if bytes.len() >= FIRST_LINE_BYTES_MAX {
            return Ok((bytes.freeze(), 0));
        }
        socket.readable().await?;
        match read(socket, &mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

fn read(socket: &Socket, bytes: &mut BytesMut) -> io::Result<usize> {
    let mut buffer = [0; READ_BYTES];
    let count = socket.try_read(&mut buffer)?;
    bytes.extend_from_slice(&buffer[..count]);
    Ok(count)
}

/// The token of `{"action":"auth","token":"…"}`; none in any other line.
fn token(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        action: String,
        token: String,
    }
    let line: Line = serde_json::from_slice(line).ok()?;
    (line.action == "auth").then_some(line.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_with_a_token_has_one() {
        assert_eq!(
            token(b" {\"token\":\"a\\u00e9\",\"action\":\"auth\",\"more\":1}\r\n").as_deref(),
            Some("aé")
        );
        for line in [
            "",
            "{",
            "[]",
            r#"{"action":"auth"}"#,
            r#"{"action":"auth","token":7}"#,
            r#"{"action":"publish","topic":"t","message":"x","token":"x"}"#,
        ] {
            assert_eq!(token(line.as_bytes()), None, "{line}");
        }
    }
}
