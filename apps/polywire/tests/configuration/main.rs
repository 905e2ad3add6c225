//! The tables of docs/configuration.md say what the doc comments of the settings say.
//!
//! `POLYWIRE_TEST_WRITE=1 cargo test -p polywire --test configuration` writes them anew. Text around them is left alone.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{fs, path::Path};

use polywire::apps::AppName;

mod number;
mod section;
mod table;

use self::section::Section;

/// Where each table comes from: its name in the page, the file, and what the doc comment of the type begins with.
const SECTIONS: &[(&str, &str)] = &[
    ("", "apps/polywire/src/config/model.rs"),
    ("tls", "apps/polywire/src/config/model.rs"),
    ("listen", "apps/polywire/src/config/model.rs"),
    ("api_key", "auth/src/api_key/settings.rs"),
    ("header", "auth/src/header/settings.rs"),
    ("jwt", "auth/src/jwt/settings.rs"),
    ("jwt.keys", "auth/src/jwt/key_settings.rs"),
    ("roles", "auth/src/roles/settings.rs"),
    ("roles.users", "auth/src/roles/written.rs"),
    ("roles.keys", "auth/src/roles/key.rs"),
    ("http", "auth/src/http/settings.rs"),
    ("anonymous", "core/src/identity/rights.rs"),
    ("bridges", "apps/polywire/src/config/model.rs"),
    ("redis", "backends/src/redis/section.rs"),
    ("history", "persistence/src/settings.rs"),
    ("history.rules", "core/src/persistence/rules.rs"),
    ("disk", "persistence/src/disk/settings.rs"),
    ("external_api", "persistence/src/external_api/section.rs"),
    ("limits", "core/src/limits.rs"),
    ("shutdown", "core/src/runner/shutdown.rs"),
    ("presence", "core/src/presence/settings.rs"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}

/// Every section, those of the apps with their inner ones.
fn sections() -> Vec<Section> {
    let mut sections: Vec<_> = SECTIONS
        .iter()
        .map(|(name, file)| Section::read(&root().join(file), name))
        .collect();
    for app in AppName::ALL {
        let file = root()
            .join("apps")
            .join(app.as_str())
            .join("src/settings.rs");
        if file.is_file() {
            sections.extend(Section::read_all(&file, &format!("apps.{}", app.as_str())));
        }
    }
    sections
}

#[test]
fn the_tables_are_those_of_the_settings() {
    let page = root().join("docs/configuration.md");
    let text = fs::read_to_string(&page).unwrap();
    let mut written = text.clone();
    for section in sections() {
        written = table::replace(&written, &section);
    }
    if std::env::var_os("POLYWIRE_TEST_WRITE").is_some() {
        fs::write(&page, written).unwrap();
        return;
    }
    for (is, was) in text.lines().zip(written.lines()) {
        assert_eq!(is, was, "docs/configuration.md; see the top of this test");
    }
    assert_eq!(text.len(), written.len());
}

#[test]
fn a_default_that_is_written_is_the_one_that_counts() {
    for section in sections() {
        for setting in &section.settings {
            let place = format!("{}.{}", section.name, setting.name);
            assert!(!setting.meaning.is_empty(), "{place} is not documented");
            let (Some(written), Some(counts)) = (&setting.written, &setting.counts) else {
                continue;
            };
            let is_same = number::of_text(written) == number::shown(counts);
            // A port is written without a comma.
            let is_quoted = *written == format!("`{counts}`");
            assert!(
                is_same || is_quoted,
                "{place}: the comment says {written}, the code {counts}"
            );
        }
    }
}
