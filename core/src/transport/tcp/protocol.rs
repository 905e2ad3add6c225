//! The contract of a protocol of its own over TCP, which an app brings.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::transport::Socket;

/// What the first bytes of a connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognition {
    /// This protocol.
    Yes,
    /// Another one.
    No,
    /// It cannot be told yet.
    NeedMore,
}

/// A protocol over bare TCP. On a port of its own it is handed every connection; on a shared port, those
/// that begin with its first bytes.
///
/// # Laws
/// - [`recognise`](Self::recognise) decides within 64 bytes and says `Yes` to nothing that another
///   protocol could begin with: HTTP begins with an upper-case letter, TLS with byte 22.
/// - [`serve`](Self::serve) returns when the connection has ended.
#[async_trait]
pub trait TcpProtocol: Send + Sync + 'static {
    /// The short name, for logs.
    fn name(&self) -> &'static str;

    /// Looks at the first bytes, at least one.
    fn recognise(&self, first: &[u8]) -> Recognition;

    /// Serves one connection; `read_ahead` was read from it already.
    async fn serve(self: Arc<Self>, socket: Socket, read_ahead: Bytes);
}

const _: fn(&dyn TcpProtocol) = |_| ();
