//! `polywire keygen`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use polywire::{
    apps::{Emitter, emitter::InvalidSetting},
    cli::{KeygenFlags, ServeFlags},
    compose, config,
};
use polywire_core::{FromSettings, settings::Problem};

use crate::exit;

#[derive(Debug, thiserror::Error)]
enum NoKey {
    #[error(
        "there is no master key to make keys with: give it with --master-key, or name the file with apps.emitter.master_key with --config"
    )]
    NoMaster,
    #[error("--master-key: {0}")]
    BadMaster(InvalidSetting),
    #[error("{0}")]
    BadChannel(InvalidSetting),
    #[error("{0}")]
    BadConfiguration(Problem),
}

pub(crate) fn keygen(flags: &KeygenFlags) -> ExitCode {
    let app = match &flags.master_key {
        Some(key) => Emitter::default().master_key(key).map_err(NoKey::BadMaster),
        None => {
            let mut serve = ServeFlags::default();
            serve.config.clone_from(&flags.config);
            match config::load(&serve) {
                Ok(config) => {
                    let section = &config.sections.emitter;
                    match section.master_key.is_some() || section.license.is_some() {
                        true => Emitter::from_settings(section, &compose::composition(&config))
                            .map_err(|problem| {
                                NoKey::BadConfiguration(problem.within("apps.emitter"))
                            }),
                        false => Err(NoKey::NoMaster),
                    }
                }
                Err(problems) => return exit::refused(&problems),
            }
        }
    };
    let make = |app: Emitter| {
        app.make_key(&flags.channel, &flags.permissions, flags.expires)
            .map_err(NoKey::BadChannel)
    };
    match app.and_then(make) {
        Ok(key) => match exit::printed(writeln!(io::stdout(), "{key}")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => exit::failed(&error),
        },
        Err(error) => exit::refused(&error),
    }
}
