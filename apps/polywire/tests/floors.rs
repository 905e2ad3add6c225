//! The floors of each crate: a module uses only what stands before it in `docs/floors.toml`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "floors/imports.rs"]
mod imports;
#[path = "floors/knots.rs"]
mod knots;
#[path = "floors/plan.rs"]
mod plan;
#[path = "floors/source.rs"]
mod source;

use std::path::Path;

use self::{imports::Imports, plan::Plan, source::Source};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}

fn crates() -> Vec<(Plan, Imports)> {
    let plans = Plan::read(&root().join("docs/floors.toml"));
    let crates = plans.into_iter().map(|plan| {
        let source = Source::read(&root().join(&plan.folder).join("src"));
        let imports = Imports::of(&source);
        (plan, imports)
    });
    crates.collect()
}

#[test]
fn no_import_goes_up() {
    let mut wrong = Vec::new();
    for (plan, imports) in crates() {
        for (user, used, name) in imports.iter() {
            let (Some(above), Some(below)) = (plan.rank(user), plan.rank(used)) else {
                continue;
            };
            if above < below {
                wrong.push(format!("{}: {user} uses {name} of {used}", plan.folder));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} imports go up; move what is used down, or the user up, or change docs/floors.toml:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_file_stands_on_a_floor_and_every_floor_has_files() {
    let mut wrong = Vec::new();
    for (plan, imports) in crates() {
        for file in imports.files() {
            if plan.rank(file).is_none() {
                wrong.push(format!("{}/src/{file} stands on no floor", plan.folder));
            }
        }
        for module in plan.modules() {
            if !imports.files().any(|file| plan::contains(module, file)) {
                wrong.push(format!("{}/src/{module} is not there", plan.folder));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/floors.toml is not true:\n{}",
        wrong.join("\n")
    );
}

/// Files that need each other can only be understood together.
#[test]
fn at_most_two_files_need_each_other() {
    let mut knots = Vec::new();
    for (plan, imports) in crates() {
        knots.extend(knots::of(&imports).into_iter().map(|mut files| {
            files
                .iter_mut()
                .for_each(|file| *file = format!("{}/src/{file}", plan.folder));
            files
        }));
    }
    let files: usize = knots.iter().map(Vec::len).sum();
    assert!(
        files <= 2,
        "{} knots of files that need each other:\n{}",
        knots.len(),
        knots
            .iter()
            .map(|files| files.join(" "))
            .collect::<Vec<_>>()
            .join("\n")
    );
}
