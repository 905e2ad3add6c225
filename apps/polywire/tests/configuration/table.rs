//! A table of the page.

use std::fmt::Write;

use clap::CommandFactory;
use polywire::{apps::AppName, cli::Cli};

use crate::{
    number,
    section::{Section, Setting},
};

/// Puts the table of a section between its marks: `<!-- settings NAME -->` and `<!-- end -->`.
pub(crate) fn replace(page: &str, section: &Section) -> String {
    let name = &section.name;
    let mark = format!("<!-- settings [{name}] -->\n");
    let (before, rest) = page.split_once(&mark).unwrap_or_else(|| {
        panic!("docs/configuration.md has no table for [{name}]: add <!-- settings [{name}] --> and <!-- end -->")
    });
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let table = table(section);
    format!("{before}{mark}{table}<!-- end -->{after}")
}

fn table(section: &Section) -> String {
    let has_flags = matches!(section.name.as_str(), "" | "tls");
    let mut columns = vec!["setting", "default", "meaning"];
    if has_flags {
        columns.push("flag");
    }
    if !section.is_listed {
        columns.push("environment");
    }
    let mut text = format!("| {} |\n", columns.join(" | "));
    writeln!(text, "|{}", "---|".repeat(columns.len())).unwrap();
    for setting in &section.settings {
        let (name, default, mut meaning) = (&setting.name, default(setting), meaning(setting));
        if section.name.is_empty() && name == "app" {
            meaning += &format!(": {}", apps());
        }
        write!(text, "| `{name}` | {default} | {meaning} |").unwrap();
        let path = path(section, name);
        if has_flags {
            write!(text, " {} |", flag(&path)).unwrap();
        }
        if !section.is_listed {
            let variable = path.replace('.', "__").to_uppercase();
            write!(text, " `POLYWIRE_{variable}` |").unwrap();
        }
        text.push('\n');
    }
    text
}

fn apps() -> String {
    let names = AppName::ALL.iter().map(|app| format!("`{}`", app.as_str()));
    names.collect::<Vec<_>>().join(", ")
}

/// The flag of `polywire serve` that sets it, if any does.
fn flag(path: &str) -> String {
    let flag = path.replace(['.', '_'], "-");
    let mut command = Cli::command();
    let serve = command.find_subcommand_mut("serve").unwrap();
    let exists = serve
        .get_arguments()
        .any(|argument| argument.get_long() == Some(&flag));
    if exists {
        format!("`--{flag}`")
    } else {
        String::new()
    }
}

fn path(section: &Section, setting: &str) -> String {
    match section.name.as_str() {
        "" => setting.to_owned(),
        name => format!("{name}.{setting}"),
    }
}

/// The one that counts, with what the comment says of it behind a comma.
fn default(setting: &Setting) -> String {
    let written = setting.written.as_deref();
    let Some(counts) = setting.counts.as_deref().map(number::shown) else {
        let written = written.unwrap_or_default();
        let is_words = written.contains(' ') && !written.starts_with(|c: char| c.is_ascii_digit());
        return if is_words {
            written.to_owned()
        } else {
            number::of_text(written)
        };
    };
    // Such as a port, which has no comma.
    if written.is_some_and(|written| {
        setting
            .counts
            .as_ref()
            .is_some_and(|raw| written == format!("`{raw}`"))
    }) {
        return written.unwrap_or_default().to_owned();
    }
    match written.and_then(|written| written.split_once(", ")) {
        Some((_, more)) => format!("{counts}, {more}"),
        None => counts,
    }
}

/// As part of a line: it begins with a small letter and ends without a full stop.
fn meaning(setting: &Setting) -> String {
    let text = without_links(setting.meaning.trim_end_matches('.'));
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    let is_word = letters
        .clone()
        .next()
        .is_none_or(|second| !second.is_ascii_uppercase());
    match first {
        Some(first) if is_word => first.to_string() + letters.as_str(),
        _ => text,
    }
    .replace('|', "\\|")
}

/// Links within the code lead nowhere from a page.
fn without_links(text: &str) -> String {
    let mut parts = text.split("](Self::");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(start) = out.rfind('[') {
            out.remove(start);
        }
        out += part.split_once(')').map_or(part, |(_, rest)| rest);
    }
    out
}
