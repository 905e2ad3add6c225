//! The default of each setting.

use polywire::config::{Config, Secret};

fn secret(secret: &Option<Secret>) -> String {
    let text = secret.as_ref().map(Secret::reveal);
    format!("{text:?}")
}

/// The default of a setting, read from a configuration where nothing is set.
pub(crate) fn of(config: &Config, name: &str) -> Option<String> {
    let (limits, external, disk) = (&config.limits, &config.external_api, &config.disk);
    let app = &config.sections;
    let (seth, knsock, pubnub) = (&app.seth, &app.knsock, &app.pubnub);
    let (webpubsub, emitter) = (&app.webpubsub, &app.emitter);
    Some(match name {
        "host" => config.host.to_string(),
        "port" => config.port.to_string(),
        "port_apps" => format!("{:?}", config.port_apps.is_some()),
        "tls" => format!("{:?}", config.tls),
        "trusted_proxies" => format!("{:?}", config.trusted_proxies),
        "listen" => format!("{:?}", config.listen),
        "debug" => config.debug.to_string(),
        "trust_network" => config.trust_network.to_string(),
        "app" => {
            let names = config.app_names.iter().map(|app| app.as_str());
            names.collect::<Vec<_>>().join(", ")
        }
        "backend" => format!("{:?}", config.backend),
        "auth" => format!("{:?}", config.auth),
        "persistence" => format!("{:?}", config.persistence),
        "data_dir" => format!("{:?}", config.data_dir),
        "log" => format!("{:?}", config.log),
        "log_format" => format!("{:?}", config.log_format),
        "limits.message_bytes_max" => limits.message_bytes_max.to_string(),
        "limits.name_bytes_max" => limits.name_bytes_max.to_string(),
        "limits.channels_per_connection_max" => limits.channels_per_connection_max.to_string(),
        "limits.members_max" => limits.members_max.to_string(),
        "limits.members_per_connection_max" => limits.members_per_connection_max.to_string(),
        "limits.members_per_address_max" => limits.members_per_address_max.to_string(),
        "limits.history_reads_max" => limits.history_reads_max.to_string(),
        "limits.history_reads_per_address_max" => limits.history_reads_per_address_max.to_string(),
        "limits.history_bytes_max" => limits.history_bytes_max.to_string(),
        "limits.history_bytes_per_address_max" => limits.history_bytes_per_address_max.to_string(),
        "limits.connections_max" => limits.connections_max.to_string(),
        "limits.connections_per_address_max" => limits.connections_per_address_max.to_string(),
        "limits.outbound_bytes_max" => limits.outbound_bytes_max.to_string(),
        "limits.idle_frames_max" => limits.idle_frames_max.to_string(),
        "limits.outbound_stall_secs" => limits.outbound_stall_secs.to_string(),
        "limits.memory_bytes" => limits.memory_bytes.to_string(),
        "limits.header_secs" => limits.header_secs.to_string(),
        "limits.wrong_credentials_max" => limits.wrong_credentials_max.to_string(),
        "limits.tls_handshakes_max" => limits.tls_handshakes_max.to_string(),
        "limits.body_secs" => limits.body_secs.to_string(),
        "limits.keep_alive_secs" => limits.keep_alive_secs.to_string(),
        "api_key.key_name" => config.api_key.key_name.clone(),
        "api_key.key_secret_value" => config.api_key.key_secret_value.reveal().to_owned(),
        "header.secret_header" => config.header.secret_header.clone(),
        "header.secret_header_value" => config.header.secret_header_value.reveal().to_owned(),
        "anonymous" => format!("{:?}", config.anonymous),
        "bridges" => format!("{:?}", config.bridges),
        "apps.seth.channels" => format!("{:?}", seth.channels),
        "apps.knsock.channels" => format!("{:?}", knsock.channels),
        "apps.admin.allowed_origins" => format!("{:?}", app.admin.allowed_origins),
        "apps.admin.channels" => format!("{:?}", app.admin.channels),
        "apps.history.channels" => format!("{:?}", app.history.channels),
        "apps.pubnub.channels" => format!("{:?}", pubnub.channels),
        "apps.webpubsub.channels" => format!("{:?}", webpubsub.channels),
        "apps.emitter.channels" => format!("{:?}", emitter.channels),
        "redis.prefix" => config.redis.prefix.clone(),
        "redis.url" => config.redis.url.reveal().to_owned(),
        "redis.ca_file" => format!("{:?}", config.redis.ca_file),
        "external_api.timeout_secs" => external.timeout_secs.to_string(),
        "external_api.retries_max" => external.retries_max.to_string(),
        "external_api.batch_max" => external.batch_max.to_string(),
        "external_api.dead_letter_file" => format!("{:?}", external.dead_letter_file),
        "external_api.queue_messages_max" => external.queue_messages_max.to_string(),
        "external_api.queue_bytes_max" => external.queue_bytes_max.to_string(),
        "history.memory_bytes_max" => config.history.memory_bytes_max.to_string(),
        "history.rules" => {
            format!("{:?} = {:?}", config.history.rules, config.history.rules())
        }
        "disk.segment_bytes" => disk.segment_bytes.to_string(),
        "disk.index_bytes_max" => disk.index_bytes_max.to_string(),
        "disk.behind_bytes_max" => disk.behind_bytes_max.to_string(),
        "disk.verify_bytes" => disk.verify_bytes.to_string(),
        "apps.seth.authenticate_connect" => seth.authenticate_connect.to_string(),
        "apps.seth.name_bytes_max" => seth.name_bytes_max.to_string(),
        "apps.seth.cookie" => seth.cookie.to_string(),
        "apps.seth.allowed_origins" => format!("{:?}", seth.allowed_origins),
        "apps.seth.cookie_same_site" => format!("{:?}", seth.cookie_same_site),
        "apps.seth.cookie_secure" => seth.cookie_secure.to_string(),
        "apps.seth.client_integrity" => format!("{:?}", seth.client_integrity),
        "apps.seth.same_address" => seth.same_address.to_string(),
        "apps.seth.client_url" => format!("{:?}", seth.client_url),
        "apps.history.allowed_origins" => {
            format!("{:?}", config.sections.history.allowed_origins)
        }
        "apps.knsock.authenticate" => knsock.authenticate.to_string(),
        "apps.knsock.line_bytes_max" => knsock.line_bytes_max.to_string(),
        "apps.knsock.topic_bytes_max" => knsock.topic_bytes_max.to_string(),
        "apps.pubnub.allowed_origins" => format!("{:?}", pubnub.allowed_origins),
        "apps.pubnub.key_sets" => pubnub.key_sets.len().to_string(),
        "apps.pubnub.authenticate" => pubnub.authenticate.to_string(),
        "apps.pubnub.hold_secs" => pubnub.hold_secs.to_string(),
        "apps.pubnub.message_bytes_max" => pubnub.message_bytes_max.to_string(),
        "apps.pubnub.queue_bytes_max" => pubnub.queue_bytes_max.to_string(),
        "apps.pubnub.queue_secs" => pubnub.queue_secs.to_string(),
        "apps.pubnub.catch_up" => pubnub.catch_up.to_string(),
        "apps.pubnub.held_bytes_max" => pubnub.held_bytes_max.to_string(),
        "apps.pubnub.held_bytes_per_address_max" => pubnub.held_bytes_per_address_max.to_string(),
        "apps.pubnub.presence" => pubnub.presence.to_string(),
        "apps.pubnub.presence_timeout_secs" => pubnub.presence_timeout_secs.to_string(),
        "apps.pubnub.presence_announce_max" => pubnub.presence_announce_max.to_string(),
        "apps.pubnub.presence_interval_secs" => pubnub.presence_interval_secs.to_string(),
        "apps.webpubsub.allowed_origins" => format!("{:?}", webpubsub.allowed_origins),
        "apps.webpubsub.access_key" => secret(&webpubsub.access_key),
        "apps.webpubsub.secondary_access_key" => secret(&webpubsub.secondary_access_key),
        "apps.webpubsub.default_hub" => webpubsub.default_hub.clone(),
        "apps.webpubsub.recovery_secs" => webpubsub.recovery_secs.to_string(),
        "apps.webpubsub.buffer_messages_max" => webpubsub.buffer_messages_max.to_string(),
        "apps.webpubsub.buffer_bytes_max" => webpubsub.buffer_bytes_max.to_string(),
        "apps.webpubsub.webhook_origin" => format!("{:?}", webpubsub.webhook_origin),
        "apps.webpubsub.hubs" => webpubsub.hubs.len().to_string(),
        "apps.emitter.allowed_origins" => format!("{:?}", emitter.allowed_origins),
        "apps.emitter.authenticate" => emitter.authenticate.to_string(),
        "apps.emitter.face" => format!("{:?}", emitter.face),
        "apps.emitter.master_key" => secret(&emitter.master_key),
        "apps.emitter.license" => secret(&emitter.license),
        "apps.emitter.plain_listen" => format!("{:?}", emitter.plain_listen),
        "apps.emitter.refused_filters" => format!("{:?}", emitter.refused_filters),
        "apps.emitter.session_expiry_secs_max" => emitter.session_expiry_secs_max.to_string(),
        "apps.emitter.session_bytes_max" => emitter.session_bytes_max.to_string(),
        "apps.emitter.keep_alive_secs_max" => emitter.keep_alive_secs_max.to_string(),
        "apps.emitter.sys_interval_secs" => emitter.sys_interval_secs.to_string(),
        _ => return None,
    })
}
