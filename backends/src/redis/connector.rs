//! The way to the server: one that is named, or the master that Sentinel names.

use std::{fmt, sync::Arc};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisResult, TlsCertificates,
    aio::MultiplexedConnection,
    sentinel::{SentinelClientBuilder, SentinelServerType},
};

/// Connects to the server that is to be used.
#[derive(Clone)]
pub(super) enum Connector {
    /// Always the same one.
    Server(Arc<Client>),
    /// The master of a name, as Sentinels say it is now.
    Sentinel(Arc<Sentinels>),
    /// One that is simulated.
    #[cfg(test)]
    Simulated(super::simulation::SimulatedLink),
}

/// Sentinels, and what they are asked for.
pub(super) struct Sentinels {
    pub(super) addresses: Vec<ConnectionAddr>,
    /// The name of the master.
    pub(super) master: String,
    /// How to use the master; its address is not looked at.
    pub(super) redis: ConnectionInfo,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    /// The certificates to trust, of Sentinels and servers.
    pub(super) certificates: Option<TlsCertificates>,
    pub(super) is_tls: bool,
}

impl Connector {
    /// The server that is to be used now.
    ///
    /// # Errors
    /// When no Sentinel names a master that can be reached.
    ///
    /// # Cancel safety
    /// It changes nothing.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        match self {
            Self::Server(client) => Ok((**client).clone()),
            Self::Sentinel(sentinels) => sentinels.master().await,
            #[cfg(test)]
            Self::Simulated(_) => Err((redis::ErrorKind::InvalidClientConfig, "simulated").into()),
        }
    }

    /// Makes a connection.
    ///
    /// # Cancel safety
    /// A connection that is being made is given up.
    pub(super) async fn connect(
        &self,
        config: AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        #[cfg(test)]
        if let Self::Simulated(link) = self {
            return link.connect(config).await;
        }
        let client = self.client().await?;
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }
}

impl Sentinels {
    /// The master, which says itself that it is one.
    async fn master(&self) -> RedisResult<Client> {
        let (name, addresses) = (self.master.clone(), self.addresses.iter().cloned());
        let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?;
        let access = self.redis.redis_settings();
        builder = builder
            .set_client_to_redis_db(access.db())
            .set_client_to_redis_protocol(access.protocol())
            .set_client_to_redis_tcp_settings(self.redis.tcp_settings().clone());
        if let Some(username) = access.username() {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = access.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(username) = &self.username {
            builder = builder.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if self.is_tls {
            let mode = redis::TlsMode::Secure;
            builder = builder
                .set_client_to_redis_tls_mode(mode)
                .set_client_to_sentinel_tls_mode(mode);
        }
        if let Some(certificates) = &self.certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        builder.build()?.async_get_client().await
    }
}

impl fmt::Debug for Connector {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}
