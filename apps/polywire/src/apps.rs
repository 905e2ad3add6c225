//! The bundled apps: one line each, from which their sections of the configuration, their constructors and their names
//! here come.

use std::{fmt, net::SocketAddr, str::FromStr};

use polywire_core::{
    Builder, Composition, FromSettings, Rights,
    settings::{Problem, Settings},
};
use serde::Deserialize;

pub use polywire_pubnub::KeySet;

/// `name: crate::App`, where the name is that of the app's section.
macro_rules! bundled_apps {
    ($($name:ident: $package:ident::$app:ident,)+) => {
        $(pub use $package as $name;)+
        pub use self::types::*;

        /// The apps themselves, without the names of their crates.
        pub(crate) mod types {
            $(pub use $package::$app;)+
        }

        /// `[apps]`: the settings of each app.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[non_exhaustive]
        pub struct AppSections {
            $(
                #[doc = concat!("`[apps.", stringify!($name), "]`")]
                pub $name: <$package::$app as FromSettings>::Settings,
            )+
        }

        impl AppName {
            /// Every bundled app.
            pub const ALL: &[Self] = &[$(Self(stringify!($name)),)+];
        }

        /// What can be done with an app whose name is known.
        const BUNDLED: &[Bundled] = &[$(Bundled {
            problems: |sections| sections.$name.problems(),
            channels: |sections| sections.$name.channels.as_ref(),
            addresses: |sections| sections.$name.addresses(),
            make: |sections, composition| make::<$package::$app>(&sections.$name, composition),
        },)+];
    };
}

bundled_apps! {
    seth: polywire_seth::Seth,
    knsock: polywire_knsock::KnSock,
    history: polywire_history::HistoryApi,
    admin: polywire_admin::AdminApi,
    pubnub: polywire_pubnub::PubNub,
    webpubsub: polywire_webpubsub::WebPubSub,
    emitter: polywire_emitter::Emitter,
}

/// The name of a bundled app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppName(&'static str);

/// Adds an app that was made to a server.
pub(crate) type AddApp<'s> = Box<dyn FnOnce(Builder) -> Builder + 's>;

struct Bundled {
    problems: fn(&AppSections) -> Vec<Problem>,
    channels: fn(&AppSections) -> Option<&Rights>,
    addresses: fn(&AppSections) -> Vec<(&'static str, SocketAddr)>,
    make: for<'s> fn(&'s AppSections, &Composition) -> Result<AddApp<'s>, Problem>,
}

fn make<'s, A: FromSettings>(
    settings: &'s A::Settings,
    composition: &Composition,
) -> Result<AddApp<'s>, Problem> {
    let app = A::from_settings(settings, composition)?;
    Ok(Box::new(|builder| app.add_to(builder, settings)))
}

impl AppName {
    /// The name, as it is written.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// All names, with commas between them.
    pub(crate) fn list() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|name| name.0).collect();
        names.join(", ")
    }

    fn bundled(self) -> &'static Bundled {
        // A name is made from the same lines.
        let index = Self::ALL.iter().position(|name| *name == self);
        &BUNDLED[index.unwrap_or_default()]
    }

    fn section(self) -> String {
        format!("apps.{self}")
    }
}

impl AppSections {
    /// Everything that is wrong, each with the name of its setting in the configuration.
    pub(crate) fn problems(&self) -> impl Iterator<Item = Problem> {
        AppName::ALL.iter().flat_map(|app| {
            let mut problems = (app.bundled().problems)(self);
            if let Some(channels) = self.channels(*app) {
                problems
                    .extend(rights_problems(channels).map(|problem| problem.within("channels")));
            }
            problems
                .into_iter()
                .map(|problem| problem.within(&app.section()))
        })
    }

    /// The addresses that apps listen on by themselves, with the names of their settings.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (AppName, String, SocketAddr)> {
        AppName::ALL.iter().flat_map(|app| {
            let addresses = (app.bundled().addresses)(self).into_iter();
            addresses
                .map(|(setting, address)| (*app, format!("{}.{setting}", app.section()), address))
        })
    }

    /// What the clients of an app can reach at most; none for everything.
    pub(crate) fn channels(&self, app: AppName) -> Option<&Rights> {
        (app.bundled().channels)(self)
    }

    /// Makes an app, to be added to a server.
    pub(crate) fn make(
        &self,
        app: AppName,
        composition: &Composition,
    ) -> Result<AddApp<'_>, Problem> {
        let made = (app.bundled().make)(self, composition);
        made.map_err(|problem| problem.within(&app.section()))
    }
}

/// What is wrong with rights, by the names of their lists.
pub(crate) fn rights_problems(rights: &Rights) -> impl Iterator<Item = Problem> {
    let problems = rights.problems().into_iter();
    problems.map(|(list, problem)| Problem::new(list, problem.to_string()))
}

impl FromStr for AppName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|name| name.0 == text);
        found.copied().ok_or_else(|| {
            let known = Self::list();
            format!("there is no app {text:?}; known: {known}")
        })
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_has_the_name_of_its_line() {
        let sections = AppSections::default();
        for app in AppName::ALL {
            let made = sections.make(*app, &Composition::default());
            assert!(made.is_ok(), "{app}");
            assert_eq!(app.as_str().parse(), Ok(*app));
        }
        assert!("nope".parse::<AppName>().is_err());
    }
}
