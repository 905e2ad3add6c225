//! An answer as bytes.

use std::io::Write;

use http::StatusCode;

use super::{date::push_date, head::Terms};
use crate::transport::http::Answer;

/// Bytes of a body that are copied behind the head, so that one plain write takes both.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// Bytes of a head, for most.
const HEAD_BYTES: usize = 320;

/// Writes an answer. A long body is left to a write of its own.
pub(super) fn encode(answer: &Answer, terms: Terms) -> Vec<u8> {
    let body = answer.body();
    let is_copied = body.len() <= COPIED_BYTES_MAX;
    let room = HEAD_BYTES + if is_copied { body.len() } else { 0 };
    let mut out = Vec::with_capacity(room);
    let version: &[u8] = if terms.is_old {
        b"HTTP/1.0 "
    } else {
        b"HTTP/1.1 "
    };
    out.extend_from_slice(version);
    let status = answer.status();
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("<none>").as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in answer.headers() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // Each version is told what it would not take for granted.
    match (terms.is_old, terms.keep_alive) {
        (true, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, false) => out.extend_from_slice(b"connection: close\r\n"),
        _ => {}
    }
    if !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // Writing to a vector does not fail.
        let _ = write!(out, "content-length: {}\r\n", body.len());
    }
    out.extend_from_slice(b"date: ");
    push_date(&mut out);
    out.extend_from_slice(b"\r\n\r\n");
    if is_copied {
        out.extend_from_slice(body);
    }
    out
}

/// What [`encode`] left.
pub(super) fn rest(answer: &Answer) -> &[u8] {
    let body = answer.body();
    if body.len() <= COPIED_BYTES_MAX {
        &[]
    } else {
        body
    }
}
