//! Rules for the whole workspace, checked on what cargo knows of it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

/// Which crates of the workspace each crate may depend on. An app is not named here: it may depend on
/// `polywire-core` only.
const MAY_DEPEND_ON: [(&str, &[&str]); 5] = [
    ("polywire-core", &[]),
    ("polywire-backends", &["polywire-core"]),
    ("polywire-auth", &["polywire-core"]),
    ("polywire-persistence", &["polywire-core"]),
    (
        "polywire-testing",
        &["polywire-core", "polywire-auth", "polywire-persistence"],
    ),
];

/// Crates that stand above all others.
const ABOVE_ALL: &str = "polywire";

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--all-features",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

/// The packages of the workspace, with the folder of each.
fn members(metadata: &Value) -> Vec<(&Value, String)> {
    let ids: Vec<_> = list(metadata, "workspace_members").collect();
    let members = list(metadata, "packages").filter(|package| ids.contains(&&package["id"]));
    let members = members.map(|package| {
        let folder = Path::new(text(package, "manifest_path")).parent().unwrap();
        let folder = folder
            .strip_prefix(text(metadata, "workspace_root"))
            .unwrap();
        (package, folder.to_str().unwrap().to_owned())
    });
    members.collect()
}

#[test]
fn crates_depend_only_on_what_is_below_them() {
    let metadata = metadata();
    let members = members(&metadata);
    let names: BTreeSet<_> = members
        .iter()
        .map(|(package, _)| text(package, "name"))
        .collect();
    assert!(
        names.contains("polywire-core") && names.contains(ABOVE_ALL),
        "{names:?}"
    );
    let mut wrong = Vec::new();
    for (package, folder) in &members {
        let name = text(package, "name");
        if name == ABOVE_ALL || folder.starts_with("examples") {
            continue;
        }
        let may = MAY_DEPEND_ON
            .iter()
            .find(|(crate_name, _)| *crate_name == name);
        let may = may.map_or(&["polywire-core"][..], |(_, may)| *may);
        for dependency in list(package, "dependencies") {
            let on = text(dependency, "name");
            // Tests may use other crates of the workspace.
            if text(dependency, "kind") != "dev" && names.contains(on) && !may.contains(&on) {
                wrong.push(format!("{name} must not depend on {on}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_user_of_the_facade_can_have_the_testkit() {
    let metadata = metadata();
    let members = members(&metadata);
    let facade = members
        .iter()
        .find(|(package, _)| text(package, "name") == ABOVE_ALL);
    let passed_on = &facade.unwrap().0["features"]["testkit"];
    assert_eq!(passed_on, &serde_json::json!(["polywire-core/testkit"]));
}

#[test]
fn every_crate_takes_lints_and_licence_from_the_workspace() {
    let metadata = metadata();
    for (package, folder) in members(&metadata) {
        let manifest = std::fs::read_to_string(text(package, "manifest_path")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{folder}: lints"
        );
        assert_eq!(text(package, "license"), "MIT OR Apache-2.0", "{folder}");
        assert!(
            !text(package, "description").is_empty(),
            "{folder}: description"
        );
    }
}

/// A list of `deny.toml`: what stands between `key = [` and `]`.
fn denied_or_allowed(key: &str) -> BTreeSet<String> {
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let start = deny.find(&format!("\n{key} = [")).unwrap();
    let list = &deny[start..start + deny[start..].find("\n]").unwrap()];
    let quoted = list.split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

#[test]
fn licences_of_dependencies_are_allowed() {
    let allowed = denied_or_allowed("allow");
    // SPDX expressions: one term of each `OR` must be allowed, and all terms of each `AND`.
    let one_of = |expression: &str| {
        expression
            .split(" OR ")
            .any(|term| allowed.contains(term.trim_matches(['(', ')', ' '])))
    };
    let metadata = metadata();
    for package in list(&metadata, "packages") {
        let licence = text(package, "license").replace('/', " OR ");
        assert!(
            licence.split(" AND ").all(one_of),
            "{} has the licence {licence:?}, which deny.toml does not allow",
            text(package, "name")
        );
    }
}

#[test]
fn banned_crates_are_not_in_the_tree() {
    let banned = denied_or_allowed("deny");
    assert!(banned.contains("openssl"));
    let metadata = metadata();
    for package in list(&metadata, "packages") {
        let name = text(package, "name");
        assert!(!banned.contains(name), "deny.toml bans {name}");
    }
}

#[test]
fn old_versions_that_are_let_pass_are_there_and_have_a_reason() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let metadata = metadata();
    let mut let_pass = 0;
    for line in deny.lines() {
        let Some(entry) = line.trim().strip_prefix("{ crate = \"") else {
            continue;
        };
        let_pass += 1;
        let (crate_name, rest) = entry.split_once('"').unwrap();
        let (name, version) = crate_name.split_once('@').unwrap();
        let reason = rest.split('"').nth(1).unwrap_or_default();
        assert!(reason.len() > 10, "{crate_name} has no reason");
        let versions: BTreeSet<_> = list(&metadata, "packages")
            .filter(|package| text(package, "name") == name)
            .map(|package| text(package, "version"))
            .collect();
        let is_old = |found: &&&str| found.starts_with(&format!("{version}."));
        assert!(
            versions.len() > 1 && versions.iter().any(|found| is_old(&found)),
            "{crate_name} is not among {versions:?}: take it out of deny.toml"
        );
    }
    assert!(let_pass > 0);
}

#[test]
fn actions_are_pinned_by_hash() {
    let folder = root().join(".github/workflows");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let workflow = std::fs::read_to_string(&path).unwrap();
        for line in workflow.lines() {
            let line = line.trim_start().trim_start_matches("- ");
            let Some(used) = line.strip_prefix("uses:").map(str::trim) else {
                continue;
            };
            seen += 1;
            let (action, version) = used.split_once(" # v").unwrap_or((used, ""));
            let hash = action.split_once('@').map_or("", |(_, hash)| hash);
            let is_hash = hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_version = version.split('.').count() == 3;
            assert!(is_hash && is_version, "{}: {line}", path.display());
        }
    }
    assert!(seen > 0);
}

/// What decides about rights, which only the gate of the space does.
const DECIDES: [&str; 7] = [
    "unrestricted()",
    "anybody()",
    "allows_everywhere(",
    "identity.allows(",
    "identity.may(",
    "grant.allows(",
    "grant.covers(",
];

#[test]
fn no_app_decides_about_rights() {
    let mut wrong = Vec::new();
    for app in std::fs::read_dir(root().join("apps")).unwrap() {
        let app = app.unwrap();
        if app.file_name() == "polywire" {
            continue;
        }
        for file in sources(&app.path().join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for (number, line) in code.lines().enumerate() {
                let is_comment = line.trim_start().starts_with("//");
                if !is_comment && DECIDES.iter().any(|word| line.contains(word)) {
                    let file = file.strip_prefix(root()).unwrap().display();
                    wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "ask Space::authorize instead:\n{}",
        wrong.join("\n")
    );
}

/// The source files below a folder.
fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}
