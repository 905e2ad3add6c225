//! Addresses of a configuration, checked: what is to be served where.

use std::net::SocketAddr;

use polywire_core::TlsOptions;

use super::model::{ListenSection, WrittenListen, WrittenTls};
use crate::apps::{AppName, AppSections};

/// Notes a problem of a setting.
type Refuse<'r> = dyn FnMut(&str, String) + 'r;

/// The addresses beside the common one.
pub(super) fn sections(
    written: Vec<WrittenListen>,
    common: Option<SocketAddr>,
    apps: &[AppName],
    refuse: &mut Refuse<'_>,
) -> Vec<ListenSection> {
    let mut taken: Vec<_> = common.into_iter().collect();
    let sections = written
        .into_iter()
        .enumerate()
        .filter_map(|(index, entry)| {
            let setting = |name: &str| format!("listen.{index}.{name}");
            let tls = tls(&setting("tls"), entry.tls, refuse);
            let names = entry.apps.map(|names| {
                let names = names.into_vec();
                if names.is_empty() {
                    let message = "name at least one app, or leave it out for all of them";
                    refuse(&setting("apps"), message.into());
                }
                known(&setting("apps"), names, apps, refuse)
            });
            let Ok(address) = entry.address.parse::<SocketAddr>() else {
                let message = "use an IP address with a port, such as 127.0.0.1:9000 or [::]:9000";
                refuse(&setting("address"), message.into());
                return None;
            };
            if address.port() != 0 && taken.contains(&address) {
                refuse(&setting("address"), listened_on(address));
            }
            taken.push(address);
            Some(ListenSection {
                address,
                apps: names,
                tls,
            })
        });
    sections.collect()
}

/// The addresses that apps listen on by themselves.
pub(super) fn own(
    sections: &AppSections,
    apps: &[AppName],
    taken: &[SocketAddr],
    refuse: &mut Refuse<'_>,
) {
    for (app, setting, address) in sections.addresses() {
        if !apps.contains(&app) {
            refuse(&setting, not_served(app));
        }
        if address.port() != 0 && taken.contains(&address) {
            refuse(&setting, listened_on(address));
        }
    }
}

fn not_served(app: AppName) -> String {
    format!("{app} is not among the apps that are served; see app")
}

fn listened_on(address: SocketAddr) -> String {
    format!("{address} is listened on already; choose another port")
}

/// The apps of these names, as far as they are served at all.
pub(super) fn known(
    setting: &str,
    names: Vec<String>,
    apps: &[AppName],
    refuse: &mut Refuse<'_>,
) -> Vec<AppName> {
    let mut found = Vec::new();
    for name in names {
        match name.parse() {
            Ok(name) if apps.contains(&name) => found.push(name),
            Ok(name) => refuse(setting, not_served(name)),
            Err(message) => refuse(setting, message),
        }
    }
    found
}

/// TLS on one address; the files are read to see whether they are good.
pub(super) fn tls(
    setting: &str,
    written: WrittenTls,
    refuse: &mut Refuse<'_>,
) -> Option<TlsOptions> {
    let (certificate, key) = match (written.certificate, written.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => {
            if written.only {
                let message = "needs a certificate: set certificate and key beside it";
                refuse(&format!("{setting}.only"), message.into());
            }
            return None;
        }
        (Some(_), None) => {
            let message = "the certificate needs its key: set the file that it is in";
            refuse(&format!("{setting}.key"), message.into());
            return None;
        }
        (None, Some(_)) => {
            let message = "the key needs its certificate: set the file that it is in";
            refuse(&format!("{setting}.certificate"), message.into());
            return None;
        }
    };
    let options = TlsOptions::new(certificate, key).only(written.only);
    for problem in options.problems() {
        let name = if problem.is_about_the_key() {
            "key"
        } else {
            "certificate"
        };
        refuse(&format!("{setting}.{name}"), problem.to_string());
    }
    Some(options)
}
