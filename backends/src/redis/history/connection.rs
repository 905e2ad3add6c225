//! The connection over which history is read: what is slow there holds no publication up.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult,
    ScriptInvocation, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::{sync::Mutex, time::timeout};

use crate::redis::connector::Connector;

/// Something to ask Redis.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
    /// Each command is answered for itself, also with an error.
    Pipeline(&'a Pipeline),
}

impl Ask<'_> {
    async fn of(self, mut connection: MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::Command(command) => command.query_async(&mut connection).await,
            Self::Script(invocation) => invocation.invoke_async(&mut connection).await,
            Self::Pipeline(pipeline) => {
                let answers = connection.req_packed_commands(pipeline, 0, pipeline.len());
                Ok(Value::Array(answers.await?))
            }
        }
    }
}

/// Opened when it is needed, and again after it broke.
pub(super) struct Connection {
    connector: Connector,
    connect_timeout: Duration,
    response_timeout: Duration,
    open: Mutex<Option<MultiplexedConnection>>,
}

impl Connection {
    pub(super) fn new(connector: Connector, connect: Duration, response: Duration) -> Self {
        Self {
            connector,
            connect_timeout: connect,
            response_timeout: response,
            open: Mutex::new(None),
        }
    }

    /// Asks something. A broken connection is given up, and a new one tried once.
    pub(super) async fn ask<T: FromRedisValue>(&self, what: Ask<'_>) -> RedisResult<T> {
        let answer = match what.of(self.get().await?).await {
            // A master that was demoted is not the one to ask any more.
            Err(error) if broken(&error) || error.code() == Some("READONLY") => {
                *self.open.lock().await = None;
                what.of(self.get().await?).await?
            }
            other => other?,
        };
        Ok(redis::from_redis_value(answer)?)
    }

    /// The lock is held while it is connected, so that whoever comes meanwhile waits for the same connection.
    async fn get(&self) -> RedisResult<MultiplexedConnection> {
        let mut open = self.open.lock().await;
        if let Some(connection) = &*open {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout));
        let connecting = self.connector.connect(config);
        // The library bounds both steps; this also bounds the look-up of the name.
        let patience = self.connect_timeout + self.response_timeout;
        let connection = match timeout(patience, connecting).await {
            Ok(connected) => connected?,
            Err(_) => {
                return Err(RedisError::from(std::io::Error::from(
                    std::io::ErrorKind::TimedOut,
                )));
            }
        };
        Ok(open.insert(connection).clone())
    }
}

fn broken(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_io_error() || error.is_unrecoverable_error()
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}
