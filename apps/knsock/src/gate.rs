//! The gate: who may come in.

use std::{io, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memmem};
use polywire_core::{Credentials, Identity, Space, TokenPlace, transport::Socket};
use serde::Deserialize;

/// Bytes within which a line with a token ends. Longer first lines are something else.
const FIRST_LINE_BYTES_MAX: usize = 8 << 10;

const READ_BYTES: usize = 4 << 10;

/// How connections come in.
pub(crate) struct Gate {
    /// Whoever shows no token is anonymous.
    pub(crate) is_open: bool,
    /// Where the policy finds a token.
    pub(crate) token_place: TokenPlace,
}

/// Asks the policy about a connection, with its address and with the token of its first line, if there is one.
/// Returns who it is and the bytes that were read after that token; none when it may not come in.
///
/// Where the gate is open a client may be silent for as long as it likes, and the first line must come in time from when
/// it begins: a line of a byte a second is nobody's. Else it must come in time from the start.
pub(crate) async fn admit(
    space: &Space,
    gate: &Gate,
    socket: &Socket,
    mut read_ahead: Bytes,
) -> Option<(Arc<Identity>, Bytes)> {
    let mut credentials = Credentials::for_app("knsock");
    credentials.peer = socket.peer();
    if gate.is_open && read_ahead.is_empty() {
        read_ahead = begin(socket).await?;
    }
    let limit = space.limits().header_timeout();
    let first = tokio::time::timeout(limit, first_line(socket, read_ahead)).await;
    let Ok(Ok((mut bytes, first_line_bytes))) = first else {
        tracing::debug!(peer = ?credentials.peer, "no first line in time");
        return None;
    };
    if let Some(token) = token(&bytes[..first_line_bytes]) {
        gate.token_place.put(&token, &mut credentials);
        bytes.advance(first_line_bytes);
    }
    let judged = if gate.is_open {
        space.authenticate_at_open_door(&credentials).await
    } else {
        space.authenticate(&credentials).await
    };
    match judged {
        Ok(identity) => Some((identity, bytes)),
        Err(error) => {
            tracing::debug!(peer = ?credentials.peer, %error, "refused a connection");
            None
        }
    }
}

/// Waits for the first bytes of a client, however long that takes; none when it goes.
async fn begin(socket: &Socket) -> Option<Bytes> {
    let mut first = BytesMut::new();
    while first.is_empty() {
        socket.readable().await.ok()?;
        match read(socket, &mut first) {
            Ok(0) => return None,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return None,
            _ => {}
        }
    }
    Some(first.freeze())
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
    // Nearly every first line is something else.
    memmem::find(line, b"\"auth\"")?;
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
