//! The bytes of RESP, as the server reads and writes them.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt};

/// One command: its name and its arguments.
pub(super) async fn command(from: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Vec<Vec<u8>>> {
    let count = number(from, '*').await?;
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let length = number(from, '$').await?;
        let mut part = vec![0; length + 2];
        from.read_exact(&mut part).await?;
        part.truncate(length);
        parts.push(part);
    }
    Ok(parts)
}

async fn number(from: &mut (impl AsyncBufReadExt + Unpin), sort: char) -> io::Result<usize> {
    let mut line = String::new();
    if from.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let number = line.trim_end().strip_prefix(sort);
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A value that the server writes.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Ok,
    Nil,
    Number(usize),
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
    Push(Vec<Reply>),
    Error(&'static str),
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::Bulk(text.into())
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::Bulk(text.into())
    }
}

impl Reply {
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let mut head = |sort: char, number: usize| {
            to.extend_from_slice(format!("{sort}{number}\r\n").as_bytes());
        };
        match self {
            Self::Ok => to.extend_from_slice(b"+OK\r\n"),
            Self::Nil => to.extend_from_slice(b"_\r\n"),
            Self::Number(number) => head(':', *number),
            Self::Error(text) => to.extend_from_slice(format!("-{text}\r\n").as_bytes()),
            Self::Bulk(bytes) => {
                head('$', bytes.len());
                to.extend_from_slice(bytes);
                to.extend_from_slice(b"\r\n");
            }
            Self::Array(values) | Self::Push(values) => {
                let sort = if matches!(self, Self::Push(_)) {
                    '>'
                } else {
                    '*'
                };
                head(sort, values.len());
                values.iter().for_each(|value| value.write(to));
            }
        }
    }
}
