//! The app from its section of a configuration.

use std::time::Duration;

use polywire_core::{Builder, Composition, FromSettings, Listen, settings::Problem};

use crate::{
    app::Emitter,
    settings::{EmitterSettings, SessionLimits},
};

impl FromSettings for Emitter {
    type Settings = EmitterSettings;

    fn from_settings(
        settings: &EmitterSettings,
        composition: &Composition,
    ) -> Result<Self, Problem> {
        let mut app = Self::default()
            .token_place(composition.token_place.clone())
            .authenticate(settings.authenticate)
            .refused_filters(&settings.refused_filters)
            .sessions(SessionLimits {
                expiry_secs_max: settings.session_expiry_secs_max,
                bytes_max: settings.session_bytes_max,
            })
            .subscription_bytes_max(settings.subscription_bytes_max)
            .other_protocols_qos(settings.other_protocols_qos)
            .keep_alive_secs_max(settings.keep_alive_secs_max)
            .sys_interval(Duration::from_secs(settings.sys_interval_secs.into()))
            .faces(settings.face)
            .allowed_origins(settings.allowed_origins.clone());
        if let Some(license) = &settings.license {
            let licensed = app.licence(license.reveal());
            app = licensed.map_err(|error| Problem::new("license", error.to_string()))?;
        }
        if let Some(key) = &settings.master_key {
            let keyed = app.master_key(key.reveal());
            app = keyed.map_err(|error| Problem::new("master_key", error.to_string()))?;
        }
        Ok(app)
    }

    /// With plain MQTT on an address of its own, where one is set.
    fn add_to(self, builder: Builder, settings: &EmitterSettings) -> Builder {
        match settings.plain_listen {
            Some(address) => builder
                .app(self.plain())
                .app(self)
                .listen_on(Listen::new(address).apps(["mqtt"])),
            None => builder.app(self),
        }
    }
}
