//! A configuration that is tried.

use clap::Parser;
use figment::Jail;
use polywire::{
    cli::{Cli, Command},
    compose,
    config::{self, Config},
};

/// A file, environment variables and flags.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    file: Option<String>,
    variables: Vec<(String, String)>,
    flags: Vec<String>,
}

impl Attempt {
    pub(crate) fn file(text: &str) -> Self {
        Self {
            file: Some(text.to_owned()),
            ..Self::default()
        }
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// The configuration, or what is said instead.
    pub(crate) fn load(&self, jail: &mut Jail) -> Result<Config, String> {
        jail.clear_env();
        for (name, value) in &self.variables {
            jail.set_env(name, value);
        }
        let mut arguments = vec!["polywire".to_owned(), "serve".to_owned()];
        if let Some(file) = &self.file {
            jail.create_file("polywire.toml", file).unwrap();
            arguments.extend(["--config".into(), "polywire.toml".into()]);
        }
        arguments.extend(self.flags.iter().cloned());
        let Some(Command::Serve(flags)) = Cli::try_parse_from(arguments)
            .map_err(|error| error.to_string())?
            .command
        else {
            unreachable!("it is serve that is parsed")
        };
        let folder = jail.directory().display().to_string();
        config::load(&flags).map_err(|problems| problems.to_string().replace(&folder, ""))
    }

    /// What is said to it until the server starts.
    pub(crate) fn says(&self, jail: &mut Jail) -> String {
        let config = match self.load(jail) {
            Ok(config) => config,
            Err(said) => return said,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let folder = jail.directory().display().to_string();
        let said = runtime.block_on(async {
            let builder = match compose::builder(&config) {
                Ok(builder) => builder,
                Err(error) => return format!("composition: {}", chain(&error)),
            };
            match builder.build().await {
                Ok(_) => "starts".to_owned(),
                Err(error) => format!("start: {}", chain(&error)),
            }
        });
        said.replace(&folder, "")
    }

    /// The same with its lines in the order of the alphabet: between parts there is no promised one.
    pub(crate) fn says_sorted(&self, jail: &mut Jail) -> String {
        let said = self.says(jail);
        let mut lines: Vec<_> = said.lines().collect();
        if let Some(problems) = lines.get_mut(1..) {
            problems.sort_unstable();
        }
        lines.join("\n")
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!("\n  because: {cause}");
        source = cause.source();
    }
    text
}
