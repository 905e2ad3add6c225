//! The way to the server.

use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};

/// Connects to the server that is to be used.
#[derive(Debug, Clone)]
pub(super) enum Connector {
    /// Always the same one.
    Server(Client),
}

impl Connector {
    /// Makes a connection.
    ///
    /// # Cancel safety
    /// A connection that is being made is given up.
    pub(super) async fn connect(
        &self,
        config: AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        match self {
            Self::Server(client) => {
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
            }
        }
    }
}
