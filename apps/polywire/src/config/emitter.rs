//! Checks the settings of the Emitter app.

use std::net::SocketAddr;

use super::{choice::AppName, model::EmitterSection};
use crate::apps::Emitter;

/// Notes everything that is wrong.
pub(super) fn check(
    section: &EmitterSection,
    apps: &[AppName],
    taken: &[SocketAddr],
    refuse: &mut dyn FnMut(&str, String),
) {
    if let Some(key) = &section.master_key
        && let Err(error) = Emitter::default().master_key(key.reveal())
    {
        refuse("apps.emitter.master_key", error.to_string());
    }
    if let Some(licence) = &section.license
        && let Err(error) = Emitter::default().licence(licence.reveal())
    {
        refuse("apps.emitter.license", error.to_string());
    }
    let Some(address) = section.plain_listen else {
        return;
    };
    if !apps.contains(&AppName::Emitter) {
        let message = "emitter is not among the apps that are served; see app";
        refuse("apps.emitter.plain_listen", message.into());
    }
    if address.port() != 0 && taken.contains(&address) {
        let message = format!("{address} is listened on already; choose another port");
        refuse("apps.emitter.plain_listen", message);
    }
}
