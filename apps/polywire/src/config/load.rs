//! Loading of a configuration, with everything that is wrong with it.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    str::FromStr,
};

use figment::{
    Figment, Metadata, Profile, Provider, Source,
    error::Kind,
    providers::{Env, Format, Serialized, Toml},
    value::{Dict, Value},
};
use polywire_core::{
    Domain, InvalidDomain, TrustedProxies,
    settings::{self, Settings},
};
use tracing_subscriber::EnvFilter;

use super::{
    choice::{AuthChoice, BackendChoice, PersistenceChoice},
    listen,
    model::{Config, DEFAULT_BACKEND, Names, Written},
    problem::{Problem, Problems},
};
use crate::{
    apps::{AppName, rights_problems},
    cli::ServeFlags,
};

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

/// What the parts find wrong with their sections. Bounds on disk are said when the store is opened.
fn problems_of_parts(written: &Written) -> impl Iterator<Item = settings::Problem> {
    let within = |section: &'static str, problems: Vec<settings::Problem>| {
        let problems = problems.into_iter();
        problems.map(move |problem| problem.within(section))
    };
    let anonymous = written.anonymous.iter().flat_map(rights_problems);
    within("limits", written.limits.problems())
        .chain(within("shutdown", written.shutdown.problems()))
        .chain(within("presence", written.presence.problems()))
        .chain(within("api_key", written.api_key.problems()))
        .chain(within("header", written.header.problems()))
        .chain(within("jwt", written.jwt.problems()))
        .chain(within("roles", written.roles.problems()))
        .chain(within("http", written.http.problems()))
        .chain(within("redis", written.redis.problems()))
        .chain(within("external_api", written.external_api.problems()))
        .chain(within("history", written.history.problems()))
        .chain(within("anonymous", anonymous.collect()))
        .chain(written.sections.problems())
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
    for problem in problems_of_parts(&written) {
        refuse(&problem.setting, problem.message);
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
    for name in written.app_names.into_vec() {
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
    listen::own(&written.sections, &apps, &taken, &mut refuse);
    let proxies = written.trusted_proxies.map(Names::into_vec);
    let trusted_proxies = TrustedProxies::parse(&proxies.unwrap_or_default())
        .map_err(|message| refuse("trusted_proxies", message))
        .ok();
    let backend = backend(
        &written.backend,
        written.backend_file.as_deref(),
        &mut refuse,
    );
    let auth = authentication(written.auth.into_vec(), &mut refuse);
    for (role, settings) in &written.roles.role {
        let names = settings.apps.iter().flatten();
        let unknown = names.filter_map(|name| name.parse::<AppName>().err());
        for message in unknown {
            refuse(&format!("roles.role.{role}.apps"), message);
        }
    }
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
    let mut bridges = Vec::new();
    for bridge in &written.bridges {
        match (domain(&bridge.from), domain(&bridge.to)) {
            (Ok(from), Ok(to)) => bridges.push((from, to)),
            (from, to) => {
                let errors = [from.err(), to.err()].into_iter().flatten();
                errors.for_each(|error: InvalidDomain| refuse("bridges", error.to_string()));
            }
        }
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
        trusted_proxies: trusted_proxies?,
        debug: written.debug,
        trust_network: written.trust_network,
        app_names: apps,
        backend: backend?,
        auth: auth?,
        persistence: persistence?,
        data_dir: written.data_dir,
        log: written.log,
        log_format: log_format?,
        limits: written.limits,
        shutdown: written.shutdown,
        presence: written.presence,
        api_key: written.api_key,
        header: written.header,
        jwt: written.jwt,
        roles: written.roles,
        http: written.http,
        anonymous: written.anonymous,
        bridges,
        redis: written.redis,
        external_api: written.external_api,
        history: written.history,
        disk: written.disk,
        sections: written.sections,
    })
}

/// The policies, in their order.
fn authentication(
    names: Vec<String>,
    refuse: &mut dyn FnMut(&str, String),
) -> Option<Vec<AuthChoice>> {
    if names.is_empty() {
        refuse("auth", "name one policy at least".into());
    }
    let mut choices = Vec::new();
    for name in names {
        match name.parse() {
            Ok(choice) if choices.contains(&choice) => {}
            Ok(choice) => choices.push(choice),
            Err(message) => refuse("auth", message),
        }
    }
    (!choices.is_empty()).then_some(choices)
}

/// What carries messages: as a file says, where one is named.
fn backend(
    written: &str,
    file: Option<&Path>,
    refuse: &mut dyn FnMut(&str, String),
) -> Option<BackendChoice> {
    let (setting, text) = match file {
        None => ("backend", written.to_owned()),
        Some(_) if written != DEFAULT_BACKEND => {
            let message = "backend is set too: leave one of the two out";
            refuse("backend_file", message.into());
            return None;
        }
        Some(file) => match fs::read_to_string(file) {
            Ok(text) => {
                let line = text.lines().next().unwrap_or_default();
                ("backend_file", line.trim().to_owned())
            }
            Err(error) => {
                refuse(
                    "backend_file",
                    format!("{} cannot be read: {error}", file.display()),
                );
                return None;
            }
        },
    };
    let choice = text.parse().map_err(|message| refuse(setting, message));
    choice.ok()
}

/// Where messages are kept when nothing is said: on disk where a data directory is given, else in memory. Not with a
/// Redis backend: what a node keeps in its memory the others cannot read, and what Redis keeps is for its owner to say.
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
        None if matches!(backend, Some(BackendChoice::Memory)) => PersistenceChoice::Memory,
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

/// A domain. The name of a hub has no case, and its domain has it in lower case.
fn domain(text: &str) -> Result<Domain, InvalidDomain> {
    if text.starts_with("webpubsub:") {
        return text.to_ascii_lowercase().parse();
    }
    text.parse()
}

fn parse<T: FromStr>(text: &str, message: impl Fn(&T::Err) -> String) -> Result<T, String> {
    text.parse().map_err(|error| message(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_messages_are_kept_where_they_can_be_read() {
        let memory = BackendChoice::Memory;
        let redis = BackendChoice::Redis("redis://localhost".into());
        let choice = |has_data_dir, backend| {
            persistence(None, has_data_dir, Some(backend), &mut |name, message| {
                panic!("{name}: {message}")
            })
        };
        assert_eq!(choice(false, &memory), Some(PersistenceChoice::Memory));
        assert_eq!(choice(true, &memory), Some(PersistenceChoice::Disk));
        assert_eq!(choice(false, &redis), Some(PersistenceChoice::None));
    }
}
