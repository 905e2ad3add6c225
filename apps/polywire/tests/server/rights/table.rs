//! The table of docs/rights.md.

use std::fmt::Write;

use super::{ACTIONS, Kind, Outcome, Policy};
use crate::support::page;

/// What was found of a policy: for each kind of credential what came of each action.
pub(super) type Found<'k> = (Policy, Vec<(&'k Kind, Vec<Outcome>)>);

/// Compares what was found with the page, or writes it there.
pub(super) fn check(tables: &[Found<'_>]) {
    page::check("rights.md", "matrix", &text(tables));
}

fn text(tables: &[Found<'_>]) -> String {
    let mut text = String::new();
    for (policy, rows) in tables {
        let count = rows.len() * ACTIONS.len();
        writeln!(text, "\n`{}`, {count} cases:\n", policy.name()).unwrap();
        let heads = ACTIONS
            .iter()
            .map(|action| format!("{}: {}", action.protocol, action.name));
        writeln!(
            text,
            "| credential | {} |",
            heads.collect::<Vec<_>>().join(" | ")
        )
        .unwrap();
        writeln!(text, "|---|{}", "---|".repeat(ACTIONS.len())).unwrap();
        for (kind, found) in rows {
            let cells = found.iter().map(|outcome| match outcome {
                Outcome::Done => "yes",
                Outcome::Refused => "–",
            });
            writeln!(
                text,
                "| {} | {} |",
                kind.name,
                cells.collect::<Vec<_>>().join(" | ")
            )
            .unwrap();
        }
    }
    text.push('\n');
    text
}
