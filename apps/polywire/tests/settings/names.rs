//! Every section and every setting.

/// The sections, each with a document whose `@` stands in it.
pub(crate) const SECTIONS: &[(&str, &str)] = &[
    ("", "@"),
    ("tls", "[tls]\n@"),
    ("listen", "[[listen]]\naddress = \"127.0.0.1:9\"\n@"),
    (
        "listen.tls",
        "[[listen]]\naddress = \"127.0.0.1:9\"\n[listen.tls]\n@",
    ),
    ("limits", "[limits]\n@"),
    ("shutdown", "[shutdown]\n@"),
    ("presence", "[presence]\n@"),
    ("api_key", "[api_key]\n@"),
    ("header", "[header]\n@"),
    ("jwt", "[jwt]\n@"),
    ("jwt.keys", "[[jwt.keys]]\n@"),
    ("jwt.rights", "[jwt.rights]\n@"),
    ("roles", "[roles]\n@"),
    ("roles.role", "[roles.role.shop]\n@"),
    ("roles.users", "[[roles.users]]\n@"),
    ("roles.keys", "[[roles.keys]]\n@"),
    ("http", "[http]\n@"),
    ("anonymous", "[anonymous]\n@"),
    (
        "bridges",
        "[[bridges]]\nfrom = \"common\"\nto = \"webpubsub:chat\"\n@",
    ),
    ("redis", "[redis]\n@"),
    ("external_api", "[external_api]\n@"),
    ("history", "[history]\n@"),
    ("history.rules", "[[history.rules]]\n@"),
    ("disk", "[disk]\n@"),
    ("apps", "[apps]\n@"),
    ("apps.seth", "[apps.seth]\n@"),
    ("apps.knsock", "[apps.knsock]\n@"),
    ("apps.history", "[apps.history]\n@"),
    ("apps.admin", "[apps.admin]\n@"),
    ("apps.pubnub", "[apps.pubnub]\n@"),
    ("apps.pubnub.key_sets", KEY_SET),
    ("apps.webpubsub", "[apps.webpubsub]\n@"),
    ("apps.webpubsub.hubs", "[apps.webpubsub.hubs.chat]\n@"),
    ("apps.webpubsub.hubs.event_handlers", EVENT_HANDLER),
    ("apps.emitter", "[apps.emitter]\n@"),
];

const KEY_SET: &str =
    "[[apps.pubnub.key_sets]]\npublish_key = \"pub-a\"\nsubscribe_key = \"sub-a\"\n@";

const USER_NAME: &str = "[[roles.users]]\npassword = \"$argon2id$v=19$m=19456,t=2,p=1$kkS+ximR7zbQ3UhfjBLYxA$r+ODeXycFf6847q68z4VsVkz+2djjuTYak6DCh8+z5Y\"\nname = @\n";

const USER_ROLES: &str = "[[roles.users]]\nname = \"ann\"\npassword = \"$argon2id$v=19$m=19456,t=2,p=1$kkS+ximR7zbQ3UhfjBLYxA$r+ODeXycFf6847q68z4VsVkz+2djjuTYak6DCh8+z5Y\"\nroles = @\n";

const JWT_KEY: &str = "[[jwt.keys]]\nalgorithm = \"HS256\"\nsecret = \"thirty-two bytes that are no secret\"\nkid = @\n";

const EVENT_HANDLER: &str =
    "[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://example.org/{event}\"\n@";

/// What every setting is set to, in TOML.
pub(crate) const VALUES: &[&str] = &[
    "true",
    "0",
    "1",
    "-1",
    "1.5",
    "70000",
    "\"\"",
    "\"a text\"",
    "[]",
    "[\"a\"]",
    "{ nope = 1 }",
];

/// What every setting is set to in the environment.
pub(crate) const TEXTS: &[&str] = &["", "true", "0", "-1", "a text", "[a]", "{nope=1}"];

/// One setting.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    document: Option<&'static str>,
}

impl Setting {
    /// The environment variable; a setting of a list has none.
    pub(crate) fn variable(&self) -> Option<String> {
        let variable = || format!("POLYWIRE_{}", self.name.replace('.', "__").to_uppercase());
        self.document.is_none().then(variable)
    }

    /// A file where it has this value.
    pub(crate) fn document(&self, value: &str) -> String {
        match (self.document, self.name.rsplit_once('.')) {
            (Some(document), _) => document.replace('@', value),
            (None, Some((section, name))) => format!("[{section}]\n{name} = {value}\n"),
            (None, None) => format!("{} = {value}\n", self.name),
        }
    }
}

const fn plain(name: &'static str) -> Setting {
    Setting {
        name,
        document: None,
    }
}

const fn listed(name: &'static str, document: &'static str) -> Setting {
    Setting {
        name,
        document: Some(document),
    }
}

/// Every setting.
pub(crate) const SETTINGS: &[Setting] = &[
    plain("host"),
    plain("port"),
    plain("port_apps"),
    plain("tls"),
    plain("tls.certificate"),
    plain("tls.key"),
    plain("tls.only"),
    plain("trusted_proxies"),
    plain("listen"),
    listed("listen.0.address", "[[listen]]\naddress = @\n"),
    listed(
        "listen.0.apps",
        "[[listen]]\naddress = \"127.0.0.1:9\"\napps = @\n",
    ),
    listed(
        "listen.0.tls",
        "[[listen]]\naddress = \"127.0.0.1:9\"\ntls = @\n",
    ),
    listed(
        "listen.0.tls.certificate",
        "[[listen]]\naddress = \"127.0.0.1:9\"\ntls.certificate = @\n",
    ),
    listed(
        "listen.0.tls.key",
        "[[listen]]\naddress = \"127.0.0.1:9\"\ntls.key = @\n",
    ),
    listed(
        "listen.0.tls.only",
        "[[listen]]\naddress = \"127.0.0.1:9\"\ntls.only = @\n",
    ),
    plain("debug"),
    plain("trust_network"),
    plain("app"),
    plain("backend"),
    plain("backend_file"),
    plain("auth"),
    plain("persistence"),
    plain("data_dir"),
    plain("log"),
    plain("log_format"),
    plain("presence"),
    plain("presence.announce_max"),
    plain("limits"),
    plain("limits.message_bytes_max"),
    plain("limits.name_bytes_max"),
    plain("limits.channels_per_connection_max"),
    plain("limits.members_max"),
    plain("limits.members_per_connection_max"),
    plain("limits.members_per_address_max"),
    plain("limits.history_reads_max"),
    plain("limits.history_reads_per_address_max"),
    plain("limits.history_bytes_max"),
    plain("limits.history_bytes_per_address_max"),
    plain("limits.connections_max"),
    plain("limits.connections_per_address_max"),
    plain("limits.silent_connections_max"),
    plain("limits.silent_connections_per_address_max"),
    plain("limits.outbound_bytes_max"),
    plain("limits.idle_frames_max"),
    plain("limits.outbound_stall_secs"),
    plain("limits.memory_bytes"),
    plain("limits.header_secs"),
    plain("limits.wrong_credentials_max"),
    plain("limits.tls_handshakes_max"),
    plain("limits.body_secs"),
    plain("limits.keep_alive_secs"),
    plain("shutdown"),
    plain("shutdown.ready_secs"),
    plain("shutdown.drain_secs"),
    plain("api_key"),
    plain("api_key.key_name"),
    plain("api_key.key_secret_value"),
    plain("api_key.rights"),
    plain("header"),
    plain("header.secret_header"),
    plain("header.secret_header_value"),
    plain("header.rights"),
    plain("jwt.keys"),
    listed("jwt.keys.0.algorithm", "[[jwt.keys]]\nalgorithm = @\n"),
    listed("jwt.keys.0.kid", JWT_KEY),
    listed(
        "jwt.keys.0.secret",
        "[[jwt.keys]]\nalgorithm = \"HS256\"\nsecret = @\n",
    ),
    listed(
        "jwt.keys.0.secret_file",
        "[[jwt.keys]]\nalgorithm = \"HS256\"\nsecret_file = @\n",
    ),
    listed(
        "jwt.keys.0.public_key",
        "[[jwt.keys]]\nalgorithm = \"ES256\"\npublic_key = @\n",
    ),
    listed(
        "jwt.keys.0.public_key_file",
        "[[jwt.keys]]\nalgorithm = \"ES256\"\npublic_key_file = @\n",
    ),
    listed(
        "jwt.keys.0.private_key_file",
        "[[jwt.keys]]\nalgorithm = \"HS256\"\nsecret = \"thirty-two bytes that are no secret\"\nprivate_key_file = @\n",
    ),
    plain("jwt.jwks"),
    plain("jwt.jwks_refresh_secs"),
    plain("jwt.jwks_retry_secs"),
    plain("jwt.jwks_timeout_secs"),
    plain("jwt.jwks_outage_secs"),
    plain("jwt.jwks_bytes_max"),
    plain("jwt.audience"),
    plain("jwt.issuer"),
    plain("jwt.leeway_secs"),
    plain("jwt.require_expiry"),
    plain("jwt.required"),
    plain("jwt.client_claim"),
    plain("jwt.rights_claim"),
    plain("jwt.roles_claim"),
    plain("jwt.rights"),
    plain("jwt.rights.read"),
    plain("jwt.same_id"),
    plain("jwt.query"),
    plain("roles.role"),
    listed("roles.role.shop", "[roles.role]\nshop = @\n"),
    listed("roles.role.shop.read", "[roles.role.shop]\nread = @\n"),
    listed("roles.role.shop.apps", "[roles.role.shop]\napps = @\n"),
    plain("roles.users"),
    listed("roles.users.0.name", USER_NAME),
    listed(
        "roles.users.0.password",
        "[[roles.users]]\nname = \"ann\"\npassword = @\n",
    ),
    listed("roles.users.0.roles", USER_ROLES),
    plain("roles.keys"),
    listed(
        "roles.keys.0.id",
        "[[roles.keys]]\nkey = \"sixteen letters!\"\nid = @\n",
    ),
    listed("roles.keys.0.key", "[[roles.keys]]\nid = \"k\"\nkey = @\n"),
    listed(
        "roles.keys.0.sha256",
        "[[roles.keys]]\nid = \"k\"\nsha256 = @\n",
    ),
    listed(
        "roles.keys.0.client",
        "[[roles.keys]]\nid = \"k\"\nkey = \"sixteen letters!\"\nclient = @\n",
    ),
    listed(
        "roles.keys.0.roles",
        "[[roles.keys]]\nid = \"k\"\nkey = \"sixteen letters!\"\nroles = @\n",
    ),
    plain("roles.file"),
    plain("roles.query"),
    plain("roles.hashes_max"),
    plain("roles.remember_secs"),
    plain("roles.same_id"),
    plain("http.url"),
    plain("http.authorization"),
    plain("http.timeout_millis"),
    plain("http.cache_secs"),
    plain("http.cache_entries_max"),
    plain("http.requests_max"),
    plain("http.answer_bytes_max"),
    plain("http.query"),
    plain("anonymous"),
    plain("anonymous.read"),
    plain("anonymous.write"),
    plain("anonymous.subscribe"),
    plain("anonymous.presence"),
    plain("anonymous.history"),
    plain("anonymous.delete"),
    plain("anonymous.manage"),
    plain("bridges"),
    listed("bridges.0.from", "[[bridges]]\nfrom = @\nto = \"common\"\n"),
    listed("bridges.0.to", "[[bridges]]\nfrom = \"common\"\nto = @\n"),
    plain("redis"),
    plain("redis.prefix"),
    plain("redis.url"),
    plain("redis.sentinel_username"),
    plain("redis.sentinel_password"),
    plain("redis.replicas_min"),
    plain("redis.ca_file"),
    plain("external_api"),
    plain("external_api.timeout_secs"),
    plain("external_api.retries_max"),
    plain("external_api.batch_max"),
    plain("external_api.dead_letter_file"),
    plain("external_api.queue_messages_max"),
    plain("external_api.queue_bytes_max"),
    plain("history"),
    plain("history.memory_bytes_max"),
    plain("history.rules"),
    listed(
        "history.rules.0.channels",
        "[[history.rules]]\nchannels = @\n",
    ),
    listed(
        "history.rules.0.entries_max",
        "[[history.rules]]\nentries_max = @\n",
    ),
    listed(
        "history.rules.0.bytes_max",
        "[[history.rules]]\nbytes_max = @\n",
    ),
    listed(
        "history.rules.0.age_max_s",
        "[[history.rules]]\nage_max_s = @\n",
    ),
    listed(
        "history.rules.0.durability",
        "[[history.rules]]\ndurability = @\n",
    ),
    plain("disk"),
    plain("disk.segment_bytes"),
    plain("disk.index_bytes_max"),
    plain("disk.behind_bytes_max"),
    plain("disk.verify_bytes"),
    plain("apps"),
    plain("apps.seth"),
    plain("apps.seth.authenticate_connect"),
    plain("apps.seth.name_bytes_max"),
    plain("apps.seth.allowed_origins"),
    plain("apps.seth.cookie"),
    plain("apps.seth.cookie_same_site"),
    plain("apps.seth.cookie_secure"),
    plain("apps.seth.prefix"),
    plain("apps.seth.heartbeat_secs"),
    plain("apps.seth.disconnect_delay_secs"),
    plain("apps.seth.websocket"),
    plain("apps.seth.same_address"),
    plain("apps.seth.client_url"),
    plain("apps.seth.client_integrity"),
    plain("apps.seth.channels"),
    plain("apps.knsock"),
    plain("apps.knsock.authenticate"),
    plain("apps.knsock.line_bytes_max"),
    plain("apps.knsock.topic_bytes_max"),
    plain("apps.knsock.channels"),
    plain("apps.history"),
    plain("apps.history.allowed_origins"),
    plain("apps.history.channels"),
    plain("apps.admin"),
    plain("apps.admin.allowed_origins"),
    plain("apps.admin.channels"),
    plain("apps.pubnub"),
    plain("apps.pubnub.key_sets"),
    listed(
        "apps.pubnub.key_sets.0.publish_key",
        "[[apps.pubnub.key_sets]]\npublish_key = @\nsubscribe_key = \"sub-a\"\n",
    ),
    listed(
        "apps.pubnub.key_sets.0.subscribe_key",
        "[[apps.pubnub.key_sets]]\npublish_key = \"pub-a\"\nsubscribe_key = @\n",
    ),
    listed(
        "apps.pubnub.key_sets.0.secret_key",
        "[[apps.pubnub.key_sets]]\npublish_key = \"pub-a\"\nsubscribe_key = \"sub-a\"\nsecret_key = @\n",
    ),
    listed(
        "apps.pubnub.key_sets.0.access_manager",
        "[[apps.pubnub.key_sets]]\npublish_key = \"pub-a\"\nsubscribe_key = \"sub-a\"\naccess_manager = @\n",
    ),
    listed(
        "apps.pubnub.key_sets.0.delete_history",
        "[[apps.pubnub.key_sets]]\npublish_key = \"pub-a\"\nsubscribe_key = \"sub-a\"\ndelete_history = @\n",
    ),
    listed(
        "apps.pubnub.key_sets.0.common",
        "[[apps.pubnub.key_sets]]\npublish_key = \"pub-a\"\nsubscribe_key = \"sub-a\"\ncommon = @\n",
    ),
    listed(
        "apps.pubnub.key_sets.0.members_max",
        "[[apps.pubnub.key_sets]]\npublish_key = \"pub-a\"\nsubscribe_key = \"sub-a\"\nmembers_max = @\n",
    ),
    plain("apps.pubnub.authenticate"),
    plain("apps.pubnub.allowed_origins"),
    plain("apps.pubnub.hold_secs"),
    plain("apps.pubnub.message_bytes_max"),
    plain("apps.pubnub.queue_bytes_max"),
    plain("apps.pubnub.queue_bytes_per_channel"),
    plain("apps.pubnub.queue_secs"),
    plain("apps.pubnub.catch_up"),
    plain("apps.pubnub.held_bytes_max"),
    plain("apps.pubnub.held_bytes_per_address_max"),
    plain("apps.pubnub.presence"),
    plain("apps.pubnub.presence_timeout_secs"),
    plain("apps.pubnub.presence_announce_max"),
    plain("apps.pubnub.presence_interval_secs"),
    plain("apps.pubnub.channels"),
    plain("apps.webpubsub"),
    plain("apps.webpubsub.channels"),
    plain("apps.webpubsub.access_key"),
    plain("apps.webpubsub.secondary_access_key"),
    plain("apps.webpubsub.default_hub"),
    plain("apps.webpubsub.allowed_origins"),
    plain("apps.webpubsub.recovery_secs"),
    plain("apps.webpubsub.buffer_messages_max"),
    plain("apps.webpubsub.buffer_bytes_max"),
    plain("apps.webpubsub.webhook_origin"),
    plain("apps.webpubsub.hubs"),
    plain("apps.webpubsub.hubs.chat"),
    plain("apps.webpubsub.hubs.chat.anonymous"),
    plain("apps.webpubsub.hubs.chat.event_handlers"),
    listed(
        "apps.webpubsub.hubs.chat.event_handlers.0.url",
        "[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = @\n",
    ),
    listed(
        "apps.webpubsub.hubs.chat.event_handlers.0.system_events",
        "[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://a.example/\"\nsystem_events = @\n",
    ),
    listed(
        "apps.webpubsub.hubs.chat.event_handlers.0.user_events",
        "[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://a.example/\"\nuser_events = @\n",
    ),
    listed(
        "apps.webpubsub.hubs.chat.event_handlers.0.allow_private_addresses",
        "[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://a.example/\"\nallow_private_addresses = @\n",
    ),
    listed(
        "apps.webpubsub.hubs.chat.event_handlers.0.authorization",
        "[[apps.webpubsub.hubs.chat.event_handlers]]\nurl = \"http://a.example/\"\nauthorization = @\n",
    ),
    plain("apps.emitter"),
    plain("apps.emitter.channels"),
    plain("apps.emitter.authenticate"),
    plain("apps.emitter.face"),
    plain("apps.emitter.allowed_origins"),
    plain("apps.emitter.master_key"),
    plain("apps.emitter.license"),
    plain("apps.emitter.plain_listen"),
    plain("apps.emitter.refused_filters"),
    plain("apps.emitter.session_expiry_secs_max"),
    plain("apps.emitter.session_bytes_max"),
    plain("apps.emitter.subscription_bytes_max"),
    plain("apps.emitter.keep_alive_secs_max"),
    plain("apps.emitter.sys_interval_secs"),
];
