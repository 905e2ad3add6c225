//! Every setting by its names, its default and its mistakes, as people see them: `golden.txt` holds all of it. A change
//! of that file is a change that somebody with a configuration notices.
//!
//! `POLYWIRE_TEST_WRITE=1 cargo test -p polywire --test settings` writes the file anew.

#![allow(
    clippy::result_large_err,
    reason = "the error of figment's Jail is as large as it is"
)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{fmt::Write, path::Path};

use clap::CommandFactory;
use figment::Jail;
use polywire::cli::Cli;

mod attempt;
mod boot;
mod cases;
mod defaults;
mod names;

use self::{attempt::Attempt, names::SETTINGS};

/// The file, beside this one.
fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/settings/golden.txt")
}

#[test]
fn names_defaults_and_mistakes_are_those_of_the_golden_file() {
    let is_written = std::env::var_os("POLYWIRE_TEST_WRITE").is_some();
    let mut text = String::new();
    Jail::expect_with(|jail| {
        jail.clear_env();
        sections(jail, &mut text);
        settings(jail, &mut text);
        cases::write(jail, &mut text);
        boot::write(jail, &mut text);
        Ok(())
    });
    help(&mut text);
    if is_written {
        std::fs::write(golden(), text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(golden()).unwrap();
    for (number, (is, was)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, was, "line {} of golden.txt", number + 1);
    }
    assert_eq!(text.len(), expected.len(), "one of the two is longer");
}

/// What can be set in each section, as the answer to a setting that does not exist says.
fn sections(jail: &mut Jail, text: &mut String) {
    *text += "# Sections\n";
    for (section, document) in names::SECTIONS {
        let said = Attempt::file(&document.replace('@', "nope = 1")).says(jail);
        writeln!(text, "\n[{section}]\n{said}").unwrap();
    }
}

/// Each setting: names, default, and what is said to values that it does not take.
fn settings(jail: &mut Jail, text: &mut String) {
    *text += "\n# Settings\n";
    let config = Attempt::default().load(jail).unwrap();
    for setting in SETTINGS {
        let (name, variable) = (setting.name, setting.variable());
        writeln!(text, "\n[{name}]").unwrap();
        if let Some(variable) = &variable {
            writeln!(text, "environment {variable}").unwrap();
        }
        if let Some(default) = defaults::of(&config, name) {
            writeln!(text, "default {default}").unwrap();
        }
        let mut answers: Vec<(String, Vec<String>)> = Vec::new();
        let mut note = |place: &str, value: &str, answer: Result<_, String>| {
            let answer = format!(
                "{place} {}",
                answer.map_or_else(|said| said, |_| "is taken".into())
            );
            match answers.iter_mut().find(|(other, _)| *other == answer) {
                Some((_, values)) => values.push(value.to_owned()),
                None => answers.push((answer, vec![value.to_owned()])),
            }
        };
        for value in names::VALUES {
            let attempt = Attempt::file(&setting.document(value));
            note("file", value, attempt.load(jail).map(drop));
        }
        for value in names::TEXTS {
            if let Some(variable) = &variable {
                let attempt = Attempt::default().variable(variable, value);
                note(
                    "environment",
                    &format!("{value:?}"),
                    attempt.load(jail).map(drop),
                );
            }
        }
        for (answer, values) in answers {
            writeln!(text, "{} -> {answer}", values.join(" | ")).unwrap();
        }
    }
}

/// What the command line says of itself.
fn help(text: &mut String) {
    let mut command = Cli::command();
    command.build();
    let serve = command.find_subcommand_mut("serve").unwrap();
    let help = serve.render_long_help();
    writeln!(text, "\n# polywire serve --help\n\n{help}").unwrap();
}
