//! Answers of the history API.

use serde_json::Value;

/// The numbers of the messages in an answer of JSON lines.
pub fn numbers(lines: &str) -> Vec<u64> {
    let lines = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        line["data"]["n"]
            .as_u64()
            .unwrap_or_else(|| panic!("{line}"))
    });
    lines.collect()
}
