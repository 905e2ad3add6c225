//! From a configuration to parts.

use std::net::SocketAddr;

use polywire_core::{AppRunner, Builder, testkit, transport::sockjs::SockJsOptions};

use crate::{
    apps::Seth,
    config::{AppName, Config},
};

/// The composition that a configuration asks for.
pub fn builder(config: &Config) -> Builder {
    let mut builder = AppRunner::builder(testkit::LocalBackend::default())
        .authentication(testkit::AllowAll)
        .limits(config.limits)
        .trust_network(config.trust_network)
        .listen(SocketAddr::new(config.host, config.port));
    for app in &config.apps {
        builder = match app {
            AppName::Seth => builder.app(seth(config)),
        };
    }
    builder
}

fn seth(config: &Config) -> Seth {
    let settings = &config.app.seth;
    Seth::default()
        .debug(config.debug)
        .authenticate_connect(settings.authenticate_connect)
        .name_bytes_max(settings.name_bytes_max)
        .sockjs(
            SockJsOptions::default()
                .cookie(settings.cookie)
                .same_address(settings.same_address),
        )
}
