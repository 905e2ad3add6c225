//! Mistakes that take more than one setting, or more than one place.

use std::fmt::Write;

use figment::Jail;

use crate::attempt::Attempt;

/// Files with one mistake.
const FILES: &[(&str, &str)] = &[
    ("no TOML", "port = = 1"),
    ("a setting twice", "port = 1\nport = 2\n"),
    ("an app that does not exist", "app = \"nope\""),
    (
        "apps that do not exist",
        "app = [\"seth\", \"nope\", \"never\"]",
    ),
    ("apps with commas", "app = \"seth, nope\""),
    ("the port without an app", "port_apps = []"),
    (
        "the port with an app that is not served",
        "app = \"seth\"\nport_apps = [\"knsock\"]",
    ),
    (
        "the port with an app that does not exist",
        "port_apps = [\"nope\"]",
    ),
    (
        "an address with an app that is not served",
        "app = \"seth\"\n[[listen]]\naddress = \"127.0.0.1:9\"\napps = \"knsock\"",
    ),
    (
        "an address without an app",
        "[[listen]]\naddress = \"127.0.0.1:9\"\napps = []",
    ),
    (
        "an address without a port",
        "[[listen]]\naddress = \"127.0.0.1\"",
    ),
    ("no address", "[[listen]]\napps = [\"seth\"]"),
    (
        "an address twice",
        "[[listen]]\naddress = \"127.0.0.1:9\"\n[[listen]]\naddress = \"127.0.0.1:9\"",
    ),
    (
        "the common address again",
        "[[listen]]\naddress = \"127.0.0.1:8080\"",
    ),
    (
        "a certificate without its key",
        "[tls]\ncertificate = \"cert.pem\"",
    ),
    ("a key without its certificate", "[tls]\nkey = \"key.pem\""),
    ("only TLS without a certificate", "[tls]\nonly = true"),
    (
        "a certificate that is not there",
        "[tls]\ncertificate = \"no.pem\"\nkey = \"nor.pem\"",
    ),
    (
        "TLS of an address",
        "[[listen]]\naddress = \"127.0.0.1:9\"\ntls = { certificate = \"no.pem\" }",
    ),
    (
        "only TLS at an address",
        "[[listen]]\naddress = \"127.0.0.1:9\"\ntls = { only = true }",
    ),
    (
        "a file that is no certificate",
        "[tls]\ncertificate = \"polywire.toml\"\nkey = \"polywire.toml\"",
    ),
    ("another scheme", "backend = \"http://127.0.0.1/\""),
    (
        "a Redis URL that is none",
        "backend = \"redis://127.0.0.1:port/\"",
    ),
    (
        "a Redis database that is none",
        "backend = \"redis://127.0.0.1/-1\"",
    ),
    (
        "a CA file that is not there",
        "backend = \"rediss://127.0.0.1/\"\n[redis]\nca_file = \"no.pem\"",
    ),
    (
        "a CA file that is none",
        "backend = \"rediss://127.0.0.1/\"\n[redis]\nca_file = \"polywire.toml\"",
    ),
    ("disk without a directory", "persistence = \"disk\""),
    (
        "a directory without disk",
        "persistence = \"memory\"\ndata_dir = \"data\"",
    ),
    (
        "a directory and nothing",
        "persistence = \"none\"\ndata_dir = \"data\"",
    ),
    ("a directory of nothing", "data_dir = \"\""),
    ("a directory that is a file", "data_dir = \"polywire.toml\""),
    (
        "memory with Redis",
        "backend = \"redis://127.0.0.1/\"\npersistence = \"memory\"",
    ),
    (
        "disk with Redis",
        "backend = \"redis://127.0.0.1/\"\ndata_dir = \"data\"",
    ),
    (
        "two Redis",
        "backend = \"redis://127.0.0.1/\"\npersistence = \"redis://127.0.0.1/1\"",
    ),
    ("another store", "persistence = \"ftp://127.0.0.1/\""),
    (
        "a store of Redis that is none",
        "persistence = \"redis://127.0.0.1:port/\"",
    ),
    (
        "a store of Redis in [redis] that is none",
        "persistence = \"redis\"\n[redis]\nurl = \"nope\"",
    ),
    ("a URL that is none", "persistence = \"http://\""),
    (
        "bytes in Redis",
        "backend = \"redis://127.0.0.1/\"\npersistence = \"redis\"\n[[history.rules]]\nbytes_max = 1",
    ),
    (
        "a pattern that is none",
        "[[history.rules]]\nchannels = \"a/#/b\"",
    ),
    (
        "two rules for all",
        "[[history.rules]]\nentries_max = 1\n[[history.rules]]\nentries_max = 2",
    ),
    (
        "small segments",
        "data_dir = \"data\"\n[disk]\nsegment_bytes = 1",
    ),
    (
        "large segments",
        "data_dir = \"data\"\n[disk]\nsegment_bytes = 268_435_457",
    ),
    (
        "a small index",
        "data_dir = \"data\"\n[disk]\nindex_bytes_max = 1",
    ),
    (
        "small segments without disk",
        "app = \"nope\"\n[disk]\nsegment_bytes = 1",
    ),
    (
        "a header that is none",
        "auth = \"header\"\n[header]\nsecret_header = \"a header\"",
    ),
    (
        "a header that is none, not asked for",
        "app = \"nope\"\n[header]\nsecret_header = \"a header\"",
    ),
    ("no name of the key", "[api_key]\nkey_name = \"\""),
    (
        "no secrets",
        "[api_key]\nkey_secret_value = \"\"\n[header]\nsecret_header_value = \"\"",
    ),
    ("a log filter", "log = \"polywire=nope\""),
    (
        "a section of an app that does not exist",
        "[apps.nope]\na = 1",
    ),
    (
        "key sets",
        "[[apps.pubnub.key_sets]]\npublish_key = \"pub-a\"\nsubscribe_key = \"sub-a\"\naccess_manager = true\n\
         [[apps.pubnub.key_sets]]\npublish_key = \"pub b\"\nsubscribe_key = \"sub-a\"\nsecret_key = \"\"\n",
    ),
    ("a key set without keys", "[[apps.pubnub.key_sets]]\n"),
    (
        "the second key without the first",
        "[apps.webpubsub]\nsecondary_access_key = \"second\"",
    ),
    (
        "empty access keys",
        "[apps.webpubsub]\naccess_key = \"\"\nsecondary_access_key = \"\"",
    ),
    (
        "an event handler on a private address",
        "app = \"webpubsub\"\n[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://127.0.0.1/\"",
    ),
    (
        "an event handler with a place in its host",
        "[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://{hub}.example/\"",
    ),
    (
        "an event handler with an unknown place",
        "[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://a.example/{nope}\"",
    ),
    (
        "event handlers",
        "[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://a.example/\"\n\
         [[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"nope\"\nsystem_events = [\"nope\"]\n\
         [[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://a.example/\"\nsystem_events = [\"connect\", \"nope\"]\n\
         [[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://a.example/\"\nauthorization = \"a\\nb\"\n",
    ),
    (
        "an event handler without a URL",
        "[[apps.webpubsub.hubs.chat.event_handlers]]\n",
    ),
    (
        "a short master key",
        "[apps.emitter]\nmaster_key = \"short\"",
    ),
    (
        "a master key with a space",
        "[apps.emitter]\nmaster_key = \"a long random text\"",
    ),
    (
        "a license that is none",
        "[apps.emitter]\nlicense = \"nope\"",
    ),
    (
        "plain MQTT without the app",
        "app = \"seth\"\n[apps.emitter]\nplain_listen = \"127.0.0.1:1883\"",
    ),
    (
        "plain MQTT on the common address",
        "[apps.emitter]\nplain_listen = \"127.0.0.1:8080\"",
    ),
    (
        "plain MQTT on an address of others",
        "[apps.emitter]\nplain_listen = \"127.0.0.1:9\"\n[[listen]]\naddress = \"127.0.0.1:9\"",
    ),
    (
        "several in one section",
        "[apps.pubnub]\nhold_secs = 0\nqueue_secs = 0\nmessage_bytes_max = true\nnope = 1\n\
         [[apps.pubnub.key_sets]]\npublish_key = \"\"\nsubscribe_key = \"\"\n",
    ),
    (
        "several limits",
        "[limits]\nmessage_bytes_max = 0\nbody_secs = 0\nkeep_alive_secs = 0\nmembers_max = \"many\"\n",
    ),
    (
        "nothing in the section of seth",
        "[apps.seth]\nname_bytes_max = 0\ncookie = 1\nsame_address = 1",
    ),
    (
        "nothing in the section of knsock",
        "[apps.knsock]\nline_bytes_max = 0\ntopic_bytes_max = 0",
    ),
    (
        "nothing in the section of webpubsub",
        "[apps.webpubsub]\nrecovery_secs = 0\nbuffer_messages_max = 0\nbuffer_bytes_max = 0",
    ),
    (
        "nothing in the section of external_api",
        "[external_api]\ntimeout_secs = 0\nbatch_max = 0\nqueue_messages_max = 0\nqueue_bytes_max = 0\nretries_max = 0",
    ),
    ("unknown in two sections", "nope = 1\n[limits]\nnope = 1\n"),
];

pub(crate) fn write(jail: &mut Jail, text: &mut String) {
    *text += "\n# Mistakes that take more\n";
    for (title, file) in FILES {
        let said = Attempt::file(file).says(jail);
        writeln!(text, "\n[{title}]\n{said}").unwrap();
    }
    for (title, attempt) in places() {
        let said = attempt.says(jail);
        writeln!(text, "\n[{title}]\n{said}").unwrap();
    }
    let said = everywhere().says_sorted(jail);
    writeln!(text, "\n[everywhere]\n{said}").unwrap();
}

/// Mistakes in flags, and in several places at once.
fn places() -> Vec<(&'static str, Attempt)> {
    let flags: &[(&str, &[&str])] = &[
        ("--app", &["--app=nope"]),
        ("--app twice", &["--app=nope", "--app=never"]),
        ("--backend", &["--backend=nope"]),
        ("--auth", &["--auth=nope"]),
        ("--persistence", &["--persistence=nope"]),
        ("--persistence=disk", &["--persistence=disk"]),
        ("--host", &["--host=nope"]),
        ("--port", &["--port=nope"]),
        ("--port too large", &["--port=70000"]),
        ("--log", &["--log=a=b=c"]),
        ("--log-format", &["--log-format=nope"]),
        ("--debug", &["--debug=nope"]),
        ("--trust-network", &["--trust-network=nope"]),
        ("--tls-certificate", &["--tls-certificate=no.pem"]),
        ("--tls-key", &["--tls-key=no.pem"]),
        ("--tls-only", &["--tls-only"]),
        ("--config", &["--config=no.toml"]),
        ("an unknown flag", &["--nope"]),
        ("three flags", &["--app=nope", "--auth=nope", "--host=nope"]),
    ];
    let mut attempts: Vec<_> = flags
        .iter()
        .map(|(title, flags)| {
            let attempt = flags
                .iter()
                .fold(Attempt::default(), |attempt, flag| attempt.flag(flag));
            (*title, attempt)
        })
        .collect();
    attempts.push((
        "a variable that is no setting",
        Attempt::default().variable("POLYWIRE_NOPE", "1"),
    ));
    attempts.push((
        "a variable that is no section",
        Attempt::default().variable("POLYWIRE_APPS__NOPE__A", "1"),
    ));
    attempts.push((
        "a flag hides a variable, which hides the file",
        Attempt::file("auth = \"file\"")
            .variable("POLYWIRE_AUTH", "variable")
            .flag("--auth=flag"),
    ));
    attempts.push((
        "a variable hides the file",
        Attempt::file("auth = \"file\"").variable("POLYWIRE_AUTH", "variable"),
    ));
    attempts.push((
        "a list in a variable",
        Attempt::default().variable("POLYWIRE_LISTEN", "[{address=\"127.0.0.1\",apps=\"nope\"}]"),
    ));
    attempts.push((
        "apps in a variable",
        Attempt::default().variable("POLYWIRE_APP", "seth,nope"),
    ));
    attempts
}

/// Mistakes of many parts, in a file, in the environment and in flags.
fn everywhere() -> Attempt {
    Attempt::file(
        "nope = 1\nport = \"many\"\n[limits]\nheader_secs = 0\n[history]\nmemory_bytes_max = 0\n[external_api]\nbatch_max = 0\n\
         [apps.seth]\nname_bytes_max = 0\n[apps.knsock]\nline_bytes_max = 0\n[apps.pubnub]\nhold_secs = 0\n\
         [[apps.pubnub.key_sets]]\npublish_key = \"a b\"\nsubscribe_key = \"a\"\n[apps.webpubsub]\nrecovery_secs = 0\n\
         access_key = \"\"\n[apps.webpubsub.hubs.chat]\nevent_handlers = [{ url = \"nope\" }]\n[apps.emitter]\n\
         master_key = \"short\"\nplain_listen = \"127.0.0.1:8080\"\n[api_key]\nkey_name = \"\"\n",
    )
    .variable("POLYWIRE_HEADER__SECRET_HEADER", "")
    .variable("POLYWIRE_APPS__EMITTER__LICENSE", "nope")
    .flag("--auth=nope")
    .flag("--backend=nope")
    .flag("--persistence=nope")
    .flag("--log=a=b=c")
    .flag("--log-format=nope")
    .flag("--tls-only")
}
