//! Composition: parts made from a configuration.

use std::{net::SocketAddr, sync::Arc};

use polywire_core::{
    AppRunner, AuthenticationPolicy, BackendError, Builder, Composition, Listen, PersistenceError,
    PersistencePolicy, StartError, TokenPlace, settings::Problem,
};

use crate::{
    auth::{ApiKey, AuthenticationPolicyExt, Echo, Header, Http, Jwt, RoleSource, Roles},
    backends::{Memory, Redis, RedisHistory},
    config::{AuthChoice, BackendChoice, Config, PersistenceChoice},
    persistence::{DiskHistory, DiskSettings, ExternalApi, MemoryHistory, NoPersistence},
};

/// The composition that a configuration asks for.
///
/// # Errors
/// Everything that the parts find wrong with their settings, at once.
pub fn builder(config: &Config) -> Result<Builder, StartError> {
    let mut problems = Vec::new();
    let mut builder = backend(config, &mut problems)
        .limits(config.limits)
        .shutdown(config.shutdown)
        .presence(config.presence)
        .trusted_proxies(config.trusted_proxies.clone())
        .trust_network(config.trust_network);
    builder = listen(builder, config);
    builder = authentication(builder, config, &mut problems);
    if !keeps_itself(config) {
        match store(config) {
            Ok(policy) => builder = builder.persistence(policy),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if let Some(rights) = &config.anonymous {
        builder = builder.anonymous(rights.clone());
    }
    for (from, to) in &config.bridges {
        builder = builder.bridge(from.clone(), to.clone());
    }
    let composition = composition(config);
    for app in &config.app_names {
        if let Some(rights) = config.sections.channels(*app) {
            builder = builder.confine(app.as_str(), rights.clone());
        }
        match config.sections.make(*app, &composition) {
            Ok(add) => builder = add(builder),
            Err(problem) => problems.push(problem.to_string()),
        }
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
    builder
}

fn backend(config: &Config, problems: &mut Vec<String>) -> Builder {
    let BackendChoice::Redis(url) = &config.backend else {
        return AppRunner::builder(Memory::default());
    };
    let mut redis = Redis::new(config.redis.settings(url));
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

fn authentication(builder: Builder, config: &Config, problems: &mut Vec<String>) -> Builder {
    let roles = match RoleSource::new(&config.roles) {
        Ok(source) => Arc::new(source),
        Err(found) => {
            let found = found.into_iter();
            problems.extend(found.map(|problem| problem.within("roles").to_string()));
            return builder;
        }
    };
    let mut policies = Vec::new();
    for choice in &config.auth {
        match policy(*choice, config, &roles) {
            Ok(policy) => policies.push(policy),
            Err(found) => problems.extend(found.iter().map(Problem::to_string)),
        }
    }
    let all = policies
        .into_iter()
        .reduce(|first, second| Arc::new(first.or(second)));
    match all {
        Some(policy) => builder.authentication(policy),
        None => builder,
    }
}

/// One of the policies.
fn policy(
    choice: AuthChoice,
    config: &Config,
    roles: &Arc<RoleSource>,
) -> Result<Arc<dyn AuthenticationPolicy>, Vec<Problem>> {
    let within = |section: &str, problems: Vec<Problem>| -> Vec<Problem> {
        let problems = problems.into_iter();
        problems.map(|problem| problem.within(section)).collect()
    };
    Ok(match choice {
        AuthChoice::Echo => Arc::new(Echo),
        AuthChoice::ApiKey => Arc::new(ApiKey::from(&config.api_key)),
        AuthChoice::Header => {
            let policy = Header::try_from(&config.header);
            Arc::new(policy.map_err(|problem| within("header", vec![problem]))?)
        }
        AuthChoice::Jwt => {
            let policy = Jwt::new(&config.jwt).map_err(|problems| within("jwt", problems))?;
            Arc::new(policy.roles(roles.clone()))
        }
        AuthChoice::Http => {
            let policy = Http::new(&config.http).map_err(|problems| within("http", problems))?;
            Arc::new(policy.roles(roles.clone()))
        }
        AuthChoice::Roles => {
            let policy = Roles::new(&config.roles, roles.clone());
            Arc::new(policy.map_err(|problem| within("roles", vec![problem]))?)
        }
    })
}

/// What every app is told of the server that a configuration asks for.
pub fn composition(config: &Config) -> Composition {
    let mut composition = Composition::default();
    composition.address = SocketAddr::new(config.host, config.port);
    composition.debug = config.debug;
    // A secret is shown where the chosen policy looks for it.
    composition.token_place = match (config.auth.as_slice(), config.header.name()) {
        ([AuthChoice::Header, ..], Ok(name)) => TokenPlace::Header(name),
        _ => TokenPlace::Query(config.api_key.key_name.clone()),
    };
    composition
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
            let history = RedisHistory::new(&config.redis.settings(url), config.history.rules()?);
            Arc::new(history.map_err(|error| PersistenceError::Configuration(error.to_string()))?)
        }
        PersistenceChoice::ExternalApi(url) => {
            Arc::new(ExternalApi::with(config.external_api.settings(url))?)
        }
    })
}
