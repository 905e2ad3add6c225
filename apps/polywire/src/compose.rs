//! From a configuration to parts.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use polywire_core::{
    AppRunner, BackendError, Builder, Listen, PersistenceError, PersistencePolicy, StartError,
    transport::sockjs::SockJsOptions,
};

use crate::{
    apps::{
        Emitter, HistoryApi, KeySet, KnSock, PubNub, Seth, WebPubSub,
        emitter::{Faces, SessionLimits},
    },
    auth::{ApiKey, Echo, Header},
    backends::{Memory, Redis, RedisHistory, RedisSettings},
    config::{AppName, AuthChoice, BackendChoice, Config, FaceChoice, PersistenceChoice, webhook},
    persistence::{
        DiskHistory, DiskSettings, ExternalApi, ExternalApiSettings, MemoryHistory, NoPersistence,
    },
};

/// The composition that a configuration asks for.
///
/// # Errors
/// Everything that the parts find wrong with their settings, at once.
pub fn builder(config: &Config) -> Result<Builder, StartError> {
    let mut problems = Vec::new();
    let mut builder = backend(config, &mut problems)
        .limits(config.limits)
        .trust_network(config.trust_network);
    builder = listen(builder, config);
    builder = authentication(builder, config, &mut problems);
    if !keeps_itself(config) {
        match store(config) {
            Ok(policy) => builder = builder.persistence(policy),
            Err(error) => problems.push(error.to_string()),
        }
    }
    for app in &config.apps {
        builder = match app {
            AppName::Seth => builder.app(seth(config)),
            AppName::KnSock => builder.app(knsock(config)),
            AppName::PubNub => builder.app(pubnub(config)),
            AppName::WebPubSub => match webpubsub(config) {
                Ok(app) => builder.app(app),
                Err(problem) => {
                    problems.push(problem);
                    builder
                }
            },
            AppName::Emitter => match emitter(config) {
                Ok(app) => match config.app.emitter.plain_listen {
                    Some(_) => builder.app(app.plain()).app(app),
                    None => builder.app(app),
                },
                Err(problem) => {
                    problems.push(problem);
                    builder
                }
            },
            AppName::History => builder.app(HistoryApi),
        };
    }
    if problems.is_empty() {
        Ok(builder)
    } else {
        Err(StartError::Composition(problems))
    }
}

/// The common port first: it is the one that is announced first.
fn listen(mut builder: Builder, config: &Config) -> Builder {
    let mut common = Listen::new(SocketAddr::new(config.host, config.port));
    if let Some(apps) = &config.port_apps {
        common = common.apps(apps.iter().map(|app| app.as_str()));
    }
    if let Some(tls) = &config.tls {
        common = common.tls(tls.clone());
    }
    if config
        .port_apps
        .as_ref()
        .is_none_or(|apps| !apps.is_empty())
    {
        builder = builder.listen_on(common);
    }
    for section in &config.listen {
        let mut listen = Listen::new(section.address);
        if let Some(apps) = &section.apps {
            listen = listen.apps(apps.iter().map(|app| app.as_str()));
        }
        if let Some(tls) = &section.tls {
            listen = listen.tls(tls.clone());
        }
        builder = builder.listen_on(listen);
    }
    if let Some(address) = config.app.emitter.plain_listen {
        builder = builder.listen_on(Listen::new(address).apps(["mqtt"]));
    }
    builder
}

fn backend(config: &Config, problems: &mut Vec<String>) -> Builder {
    let BackendChoice::Redis(url) = &config.backend else {
        return AppRunner::builder(Memory::default());
    };
    let mut redis = Redis::new(redis_settings(config, url));
    if keeps_itself(config) {
        redis = redis.and_then(|redis| match config.history.rules() {
            Ok(rules) => redis.with_history(rules),
            Err(error) => Err(BackendError::Configuration(error.to_string())),
        });
    }
    match redis {
        Ok(redis) => AppRunner::builder(redis),
        Err(error) => {
            problems.push(error.to_string());
            AppRunner::builder(Memory::default())
        }
    }
}

/// The backend keeps messages in the same step in which it carries them.
fn keeps_itself(config: &Config) -> bool {
    let (backend, persistence) = (&config.backend, &config.persistence);
    matches!(backend, BackendChoice::Redis(_)) && matches!(persistence, PersistenceChoice::Redis(_))
}

fn redis_settings(config: &Config, url: &str) -> RedisSettings {
    let mut settings = RedisSettings::url(url).prefix(&config.redis.prefix);
    // Without TLS nobody is asked.
    settings.ca_file = config.redis.ca_file.clone();
    settings.ca_file.take_if(|_| !url.starts_with("rediss://"));
    settings
}

fn authentication(builder: Builder, config: &Config, problems: &mut Vec<String>) -> Builder {
    match config.auth {
        AuthChoice::Echo => builder.authentication(Echo),
        AuthChoice::ApiKey => {
            let section = &config.api_key;
            builder.authentication(ApiKey::new(
                &section.key_name,
                section.key_secret_value.reveal(),
            ))
        }
        AuthChoice::Header => {
            let section = &config.header;
            match section.secret_header.parse() {
                Ok(name) => {
                    builder.authentication(Header::new(name, section.secret_header_value.reveal()))
                }
                Err(_) => {
                    problems.push(
                        "header.secret_header: use a header name, such as Seth-Authentication-Header"
                            .into(),
                    );
                    builder
                }
            }
        }
    }
}

/// The persistence policy that a configuration asks for.
///
/// # Errors
/// What the policy finds wrong with its settings, or why its store cannot be opened.
pub fn store(config: &Config) -> Result<Arc<dyn PersistencePolicy>, PersistenceError> {
    Ok(match &config.persistence {
        PersistenceChoice::None => Arc::new(NoPersistence),
        PersistenceChoice::Memory => Arc::new(MemoryHistory::new(
            config.history.rules()?,
            config.history.memory_bytes_max,
        )),
        PersistenceChoice::Disk => {
            let mut settings = DiskSettings::new(config.data_dir.clone().unwrap_or_default());
            settings.bounds = config.disk.clone();
            Arc::new(DiskHistory::open(settings, config.history.rules()?)?)
        }
        PersistenceChoice::Redis(url) => {
            let url = match (url, &config.backend) {
                (Some(url), _) | (None, BackendChoice::Redis(url)) => url,
                (None, BackendChoice::Memory) => config.redis.url.reveal(),
            };
            let history = RedisHistory::new(&redis_settings(config, url), config.history.rules()?);
            Arc::new(history.map_err(|error| PersistenceError::Configuration(error.to_string()))?)
        }
        PersistenceChoice::ExternalApi(url) => {
            Arc::new(ExternalApi::with(external_api_settings(config, url))?)
        }
    })
}

fn external_api_settings(config: &Config, url: &str) -> ExternalApiSettings {
    let section = &config.external_api;
    let mut settings = ExternalApiSettings::new(url);
    settings.timeout_ms = section.timeout_secs.saturating_mul(1000);
    settings.attempts_max = section.retries_max.saturating_add(1);
    settings.batch_max = section.batch_max;
    settings
        .dead_letter_file
        .clone_from(&section.dead_letter_file);
    settings.queue_entries_max = section.queue_messages_max;
    settings.queue_bytes_max = section.queue_bytes_max;
    settings
}

fn seth(config: &Config) -> Seth {
    let settings = &config.app.seth;
    let mut sockjs = SockJsOptions::default()
        .cookie(settings.cookie)
        .same_address(settings.same_address);
    if let Some(url) = &settings.client_url {
        sockjs = sockjs.client_url(url);
    }
    Seth::default()
        .debug(config.debug)
        .authenticate_connect(settings.authenticate_connect)
        .name_bytes_max(settings.name_bytes_max)
        .sockjs(sockjs)
}

fn knsock(config: &Config) -> KnSock {
    let settings = &config.app.knsock;
    let app = KnSock::default();
    // A token is shown where the chosen policy looks for its secret.
    let app = match (config.auth, config.header.secret_header.parse()) {
        (AuthChoice::Header, Ok(name)) => app.token_as_header(name),
        _ => app.token_as_query(&config.api_key.key_name),
    };
    app.authenticate(settings.authenticate)
        .line_bytes_max(settings.line_bytes_max)
        .topic_bytes_max(settings.topic_bytes_max)
}

/// The Emitter app that a configuration asks for.
///
/// # Errors
/// What the app finds wrong with its settings.
pub fn emitter(config: &Config) -> Result<Emitter, String> {
    let settings = &config.app.emitter;
    let app = Emitter::default();
    // A password is shown where the chosen policy looks for its secret.
    let app = match (config.auth, config.header.secret_header.parse()) {
        (AuthChoice::Header, Ok(name)) => app.password_as_header(name),
        _ => app.password_as_query(&config.api_key.key_name),
    };
    let mut app = app
        .authenticate(settings.authenticate)
        .refused_filters(&settings.refused_filters)
        .sessions(SessionLimits {
            expiry_secs_max: settings.session_expiry_secs_max,
            bytes_max: settings.session_bytes_max,
        })
        .keep_alive_secs_max(settings.keep_alive_secs_max)
        .sys_interval(Duration::from_secs(settings.sys_interval_secs.into()))
        .faces(match settings.face {
            FaceChoice::Both => Faces::Both,
            FaceChoice::Emitter => Faces::Emitter,
            FaceChoice::Plain => Faces::Plain,
        });
    if let Some(licence) = &settings.license {
        let licensed = app.licence(licence.reveal());
        app = licensed.map_err(|error| format!("apps.emitter.license: {error}"))?;
    }
    if let Some(key) = &settings.master_key {
        let keyed = app.master_key(key.reveal());
        app = keyed.map_err(|error| format!("apps.emitter.master_key: {error}"))?;
    }
    Ok(app)
}

fn webpubsub(config: &Config) -> Result<WebPubSub, String> {
    let settings = &config.app.webpubsub;
    let mut app = match &settings.access_key {
        Some(key) => WebPubSub::new(key.reveal()),
        None => WebPubSub::default(),
    };
    if let Some(key) = &settings.secondary_access_key {
        app = app.secondary_access_key(key.reveal());
    }
    let origin = settings.webhook_origin.clone();
    app = app
        .default_hub(&settings.default_hub)
        .recovery(Duration::from_secs(settings.recovery_secs))
        .buffer(settings.buffer_messages_max, settings.buffer_bytes_max)
        .webhook_origin(
            origin.unwrap_or_else(|| SocketAddr::new(config.host, config.port).to_string()),
        );
    for (name, hub) in &settings.hubs {
        if hub.anonymous {
            app = app.anonymous(name);
        }
        if hub.event_handlers.is_empty() {
            continue;
        }
        let setting = format!("apps.webpubsub.hubs.{name}.event_handlers");
        let webhooks: Result<Vec<_>, _> = hub.event_handlers.iter().map(webhook).collect();
        let webhooks = webhooks.map_err(|(_, problem)| format!("{setting}: {problem}"))?;
        app = app
            .webhooks(name, webhooks)
            .map_err(|problem| format!("{setting}: {problem}"))?;
    }
    Ok(app)
}

fn pubnub(config: &Config) -> PubNub {
    let settings = &config.app.pubnub;
    let mut app = PubNub::default()
        .authenticate(settings.authenticate)
        .auth_as_query(&config.api_key.key_name)
        .hold(Duration::from_secs(settings.hold_secs))
        .message_bytes_max(settings.message_bytes_max)
        .queue_bytes_max(settings.queue_bytes_max)
        .queue_age_max(Duration::from_secs(settings.queue_secs))
        .catch_up(settings.catch_up)
        .presence(settings.presence)
        .presence_timeout(Duration::from_secs(settings.presence_timeout_secs))
        .presence_announce_max(settings.presence_announce_max)
        .presence_interval(Duration::from_secs(settings.presence_interval_secs));
    for set in &settings.key_sets {
        let mut keys =
            KeySet::new(&set.publish_key, &set.subscribe_key).access_manager(set.access_manager);
        if let Some(secret) = &set.secret_key {
            keys = keys.secret(secret.reveal());
        }
        app = app.key_set(keys);
    }
    app
}
