//! `polywire token`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use polywire::{
    apps::{WebPubSub, webpubsub::ClientAccess},
    auth::NewToken,
    cli::{JwtTokenFlags, ServeFlags, TokenFlags, TokenProtocol, WebPubSubTokenFlags},
    config,
};
use polywire_core::Rights;

use crate::exit;

#[derive(Debug, thiserror::Error)]
#[error(
    "there is no access key to sign with: give it with --key, or name the file with apps.webpubsub.access_key with --config"
)]
struct NoKey;

pub(crate) fn token(flags: &TokenFlags) -> ExitCode {
    match &flags.protocol {
        None => jwt(&flags.jwt),
        Some(TokenProtocol::Webpubsub(flags)) => webpubsub(flags),
    }
}

fn jwt(flags: &JwtTokenFlags) -> ExitCode {
    let mut serve = ServeFlags::default();
    serve.config.clone_from(&flags.config);
    let config = match config::load(&serve) {
        Ok(config) => config,
        Err(problems) => return exit::refused(&problems),
    };
    let rights = Rights {
        read: flags.read.clone(),
        write: flags.write.clone(),
        subscribe: flags.subscribe.clone(),
        presence: flags.presence.clone(),
        history: flags.history.clone(),
        delete: flags.delete.clone(),
        manage: flags.manage.clone(),
    };
    let token = NewToken {
        client: flags.client.clone(),
        rights: Some(rights).filter(|rights| !rights.is_empty()),
        roles: flags.role.clone(),
        credential: flags.credential.clone(),
        life: Some(flags.expires).filter(|life| !life.is_zero()),
    };
    match config.jwt.issue(&token) {
        Ok(token) => match exit::printed(writeln!(io::stdout(), "{token}")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => exit::failed(&error),
        },
        Err(error) => exit::refused(&error),
    }
}

fn webpubsub(flags: &WebPubSubTokenFlags) -> ExitCode {
    let key = match &flags.key {
        Some(key) => Some(key.clone()),
        None => {
            let mut serve = ServeFlags::default();
            serve.config.clone_from(&flags.config);
            match config::load(&serve) {
                Ok(config) => {
                    let key = config.sections.webpubsub.access_key;
                    key.map(|key| key.reveal().to_owned())
                }
                Err(problems) => return exit::refused(&problems),
            }
        }
    };
    let access = ClientAccess {
        user: flags.user.clone(),
        roles: flags.role.clone(),
        groups: flags.group.clone(),
        life: flags.expires,
    };
    let app = key.map(WebPubSub::new);
    let token = app.and_then(|app| app.client_token(&flags.hub, &access));
    let Some(token) = token else {
        return exit::refused(&NoKey);
    };
    let scheme = if flags.server.tls { "wss" } else { "ws" };
    let authority = flags.server.authority();
    let printed = writeln!(
        io::stdout(),
        "{scheme}://{authority}/client/hubs/{}?access_token={token}",
        flags.hub
    );
    match exit::printed(printed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}
