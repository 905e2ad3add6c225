//! Reads a configuration and finds everything that is wrong with it.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use figment::{
    Figment, Metadata, Profile, Provider, Source,
    error::Kind,
    providers::{Env, Format, Serialized, Toml},
    value::{Dict, Value},
};
use tracing_subscriber::EnvFilter;

use super::{
    choice::{AppName, BackendChoice, PersistenceChoice},
    emitter, event_handlers, key_sets, listen,
    model::{Config, Written},
    problem::{Problem, Problems},
};
use crate::cli::ServeFlags;

/// What the names of our environment variables begin with.
const PREFIX: &str = "POLYWIRE_";

/// Reads defaults, file, environment and flags.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(flags: &ServeFlags) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let mut figment = Figment::new();
    if let Some(path) = &flags.config {
        if path.is_file() {
            figment = figment.merge(Toml::file_exact(path));
        } else {
            problems.push(Problem {
                setting: "--config".into(),
                message: format!("there is no file {}", path.display()),
                source: None,
            });
        }
    }
    figment = figment.merge(Env::prefixed(PREFIX).split("__"));
    // The command line has its own name in messages.
    figment = figment.merge(Flags(Serialized::defaults(flags)));
    let written = read(&figment, &mut problems);
    let config = check(written, &figment, &mut problems);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(Problems(problems)),
    }
}

struct Flags<'f>(Serialized<&'f ServeFlags>);

impl Provider for Flags<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("the command line")
    }

    fn data(&self) -> figment::Result<figment::value::Map<Profile, Dict>> {
        self.0.data()
    }
}

/// Reads what is written; a setting that cannot be read is noted and takes its default, so that the next
/// one is looked at too.
fn read(figment: &Figment, problems: &mut Vec<Problem>) -> Written {
    let mut settings = match figment.data() {
        Ok(mut data) => data.remove(&Profile::Default).unwrap_or_default(),
        Err(error) => {
            problems.extend(error.into_iter().map(|error| note(figment, &error)));
            return Written::default();
        }
    };
    loop {
        let error = match Value::from(settings.clone()).deserialize::<Written>() {
            Ok(written) => return written,
            Err(error) => error,
        };
        let problem = note(figment, &error);
        let removed = remove(&mut settings, &problem.setting);
        problems.push(problem);
        if !removed {
            // It cannot be told which setting it is: what was found is all that can be found.
            return Written::default();
        }
    }
}

fn note(figment: &Figment, error: &figment::Error) -> Problem {
    let message = match &error.kind {
        Kind::UnknownField(_, known) => {
            format!("there is no such setting; known here: {}", known.join(", "))
        }
        kind => kind.to_string(),
    };
    let setting = if error.path.is_empty() {
        "--config".into()
    } else {
        error.path.join(".")
    };
    let source = source(figment, &setting);
    Problem {
        setting,
        message,
        source,
    }
}

/// Where a setting was made.
fn source(figment: &Figment, setting: &str) -> Option<String> {
    let list = setting.split_once('.').map_or(setting, |(list, _)| list);
    let (setting, metadata) = match figment.find_metadata(setting) {
        Some(metadata) => (setting, metadata),
        // figment does not look into lists.
        None if matches!(figment.find_value(list), Ok(Value::Array(..))) => {
            (list, figment.find_metadata(list)?)
        }
        None => return None,
    };
    Some(match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ if metadata.name.contains("environment") => {
            format!(
                "the environment variable {PREFIX}{}",
                setting.replace('.', "__").to_uppercase()
            )
        }
        _ => metadata.name.to_string(),
    })
}

fn remove(settings: &mut Dict, path: &str) -> bool {
    match path.split_once('.') {
        None => settings.remove(path).is_some(),
        Some((section, rest)) => match settings.get_mut(section) {
            Some(Value::Dict(_, inner)) => remove(inner, rest),
            // A list is left out as a whole.
            Some(Value::Array(..)) => settings.remove(section).is_some(),
            _ => false,
        },
    }
}

/// Turns texts into choices and checks numbers.
fn check(written: Written, figment: &Figment, problems: &mut Vec<Problem>) -> Option<Config> {
    let mut refuse = |setting: &str, message: String| {
        let source = source(figment, setting);
        problems.push(Problem {
            setting: setting.into(),
            message,
            source,
        });
    };
    let limits = &written.limits;
    let bounds = [
        ("limits.message_bytes_max", limits.message_bytes_max),
        ("limits.name_bytes_max", limits.name_bytes_max),
        (
            "limits.channels_per_connection_max",
            limits.channels_per_connection_max,
        ),
        ("limits.members_max", limits.members_max),
        ("limits.connections_max", limits.connections_max),
        (
            "limits.connections_per_address_max",
            limits.connections_per_address_max,
        ),
        ("limits.outbound_bytes_max", limits.outbound_bytes_max),
        (
            "limits.outbound_stall_secs",
            limits.outbound_stall_secs as usize,
        ),
        ("limits.header_secs", limits.header_secs as usize),
        ("limits.tls_handshakes_max", limits.tls_handshakes_max),
        ("limits.body_secs", limits.body_secs as usize),
        ("limits.keep_alive_secs", limits.keep_alive_secs as usize),
        ("history.memory_bytes_max", written.history.memory_bytes_max),
        (
            "external_api.timeout_secs",
            written.external_api.timeout_secs as usize,
        ),
        ("external_api.batch_max", written.external_api.batch_max),
        (
            "external_api.queue_messages_max",
            written.external_api.queue_messages_max,
        ),
        (
            "external_api.queue_bytes_max",
            written.external_api.queue_bytes_max,
        ),
        ("apps.seth.name_bytes_max", written.apps.seth.name_bytes_max),
        (
            "apps.knsock.line_bytes_max",
            written.apps.knsock.line_bytes_max,
        ),
        (
            "apps.knsock.topic_bytes_max",
            written.apps.knsock.topic_bytes_max,
        ),
        (
            "apps.webpubsub.recovery_secs",
            written.apps.webpubsub.recovery_secs as usize,
        ),
        (
            "apps.webpubsub.buffer_messages_max",
            written.apps.webpubsub.buffer_messages_max,
        ),
        (
            "apps.webpubsub.buffer_bytes_max",
            written.apps.webpubsub.buffer_bytes_max,
        ),
        (
            "apps.pubnub.hold_secs",
            written.apps.pubnub.hold_secs as usize,
        ),
        (
            "apps.pubnub.message_bytes_max",
            written.apps.pubnub.message_bytes_max,
        ),
        (
            "apps.pubnub.queue_bytes_max",
            written.apps.pubnub.queue_bytes_max,
        ),
        (
            "apps.pubnub.queue_secs",
            written.apps.pubnub.queue_secs as usize,
        ),
        (
            "apps.pubnub.presence_timeout_secs",
            written.apps.pubnub.presence_timeout_secs as usize,
        ),
        (
            "apps.pubnub.presence_interval_secs",
            written.apps.pubnub.presence_interval_secs as usize,
        ),
    ];
    for (setting, value) in bounds {
        if value == 0 {
            refuse(setting, "must be at least 1".into());
        }
    }
    for (setting, value) in [
        ("api_key.key_name", written.api_key.key_name.as_str()),
        (
            "api_key.key_secret_value",
            written.api_key.key_secret_value.reveal(),
        ),
        (
            "header.secret_header",
            written.header.secret_header.as_str(),
        ),
        (
            "header.secret_header_value",
            written.header.secret_header_value.reveal(),
        ),
    ] {
        if value.is_empty() {
            refuse(setting, "must not be empty".into());
        }
    }
    key_sets::check(&written.apps.pubnub.key_sets, &mut refuse);
    event_handlers::check(&written.apps.webpubsub.hubs, &mut refuse);
    let keys = &written.apps.webpubsub;
    for (setting, key) in [
        ("apps.webpubsub.access_key", &keys.access_key),
        (
            "apps.webpubsub.secondary_access_key",
            &keys.secondary_access_key,
        ),
    ] {
        if key.as_ref().is_some_and(|key| key.reveal().is_empty()) {
            refuse(setting, "must not be empty".into());
        }
    }
    if keys.access_key.is_none() && keys.secondary_access_key.is_some() {
        let message = "needs apps.webpubsub.access_key beside it";
        refuse("apps.webpubsub.secondary_access_key", message.into());
    }
    if let Some(Err(error)) = written.log.as_deref().map(EnvFilter::try_new) {
        refuse(
            "log",
            format!("{error}; use off, error, warn, info, debug or trace"),
        );
    }
    let host = match written.host.as_str() {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        host => parse(host, |_: &std::net::AddrParseError| {
            "use an IP address such as 127.0.0.1, or localhost".to_owned()
        })
        .map_err(|message| refuse("host", message))
        .ok(),
    };
    let mut apps = Vec::new();
    for name in written.app.into_vec() {
        match name.parse() {
            Ok(name) if apps.contains(&name) => {}
            Ok(name) => apps.push(name),
            Err(message) => refuse("app", message),
        }
    }
    if apps.is_empty() {
        apps = AppName::ALL.to_vec();
    }
    let tls = listen::tls("tls", written.tls, &mut refuse);
    let port_apps = written
        .port_apps
        .map(|names| listen::known("port_apps", names.into_vec(), &apps, &mut refuse));
    let is_common_open = port_apps.as_ref().is_none_or(|names| !names.is_empty());
    if !is_common_open && written.listen.is_empty() {
        let message = "without any app there the server needs a [[listen]] entry";
        refuse("port_apps", message.into());
    }
    let common = host
        .filter(|_| is_common_open)
        .map(|host| SocketAddr::new(host, written.port));
    let listen = listen::sections(written.listen, common, &apps, &mut refuse);
    let taken = listen.iter().map(|section| section.address);
    let taken: Vec<_> = common.into_iter().chain(taken).collect();
    emitter::check(&written.apps.emitter, &apps, &taken, &mut refuse);
    let backend = written
        .backend
        .parse()
        .map_err(|message| refuse("backend", message))
        .ok();
    let auth = written
        .auth
        .parse()
        .map_err(|message| refuse("auth", message))
        .ok();
    let persistence = persistence(
        written.persistence.as_deref(),
        written.data_dir.is_some(),
        backend.as_ref(),
        &mut refuse,
    );
    let in_redis = matches!(persistence, Some(PersistenceChoice::Redis(_)));
    if in_redis
        && written
            .history
            .rules
            .iter()
            .any(|rule| rule.bytes_max.is_some())
    {
        let message =
            "Redis does not count bytes: use entries_max or age_max_s instead of bytes_max";
        refuse("history.rules", message.into());
    }
    if let Err(error) = written.history.rules() {
        refuse("history.rules", error.to_string());
    }
    let log_format = written
        .log_format
        .parse()
        .map_err(|message| refuse("log_format", message))
        .ok();
    Some(Config {
        host: host?,
        port: written.port,
        port_apps,
        tls,
        listen,
        debug: written.debug,
        trust_network: written.trust_network,
        apps,
        backend: backend?,
        auth: auth?,
        persistence: persistence?,
        data_dir: written.data_dir,
        log: written.log,
        log_format: log_format?,
        limits: written.limits,
        api_key: written.api_key,
        header: written.header,
        redis: written.redis,
        external_api: written.external_api,
        history: written.history,
        disk: written.disk,
        app: written.apps,
    })
}

/// Where messages are kept: on disk when a data directory is given and nothing else is said.
fn persistence(
    written: Option<&str>,
    has_data_dir: bool,
    backend: Option<&BackendChoice>,
    refuse: &mut dyn FnMut(&str, String),
) -> Option<PersistenceChoice> {
    let choice = match written.map(str::parse) {
        Some(Ok(choice)) => choice,
        Some(Err(message)) => {
            refuse("persistence", message);
            return None;
        }
        None if has_data_dir => PersistenceChoice::Disk,
        None => PersistenceChoice::None,
    };
    match (&choice, has_data_dir) {
        (PersistenceChoice::Disk, false) => {
            let message = "disk needs a directory: set data_dir too (--data-dir DIR)";
            refuse("persistence", message.into());
        }
        (PersistenceChoice::Disk, true) | (_, false) => {}
        (_, true) => {
            let message = "is used with persistence = \"disk\" only; leave one of the two out";
            refuse("data_dir", message.into());
        }
    }
    let own = matches!(choice, PersistenceChoice::Memory | PersistenceChoice::Disk);
    if own && matches!(backend, Some(BackendChoice::Redis(_))) {
        let message = "a process would keep only what is published through itself, and several share \
                       the Redis backend: use persistence = \"redis\", which all of them read";
        refuse("persistence", message.into());
    }
    if let (PersistenceChoice::Redis(Some(url)), Some(BackendChoice::Redis(backend))) =
        (&choice, backend)
        && url != backend
    {
        let message =
            "a Redis backend keeps messages where it carries them: use persistence = \"redis\"";
        refuse("persistence", message.into());
    }
    Some(choice)
}

fn parse<T: FromStr>(text: &str, message: impl Fn(&T::Err) -> String) -> Result<T, String> {
    text.parse().map_err(|error| message(&error))
}
