//! The table of docs/rights.md.

use std::{fmt::Write, fs, path::Path};

use super::{ACTIONS, Kind, Outcome, Policy};

const BEGIN: &str = "<!-- matrix -->\n";
const END: &str = "<!-- end of matrix -->";

/// What was found of a policy: for each kind of credential what came of each action.
pub(super) type Found<'k> = (Policy, Vec<(&'k Kind, Vec<Outcome>)>);

/// Compares what was found with the page, or writes it there.
pub(super) fn check(tables: &[Found<'_>]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rights.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let written = format!("{before}{BEGIN}{}{END}{after}", text(tables));
    if std::env::var_os("POLYWIRE_TEST_WRITE").is_some() {
        fs::write(&path, written).unwrap();
        return;
    }
    assert_eq!(page, written, "docs/rights.md; see the top of this test");
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
