//! Tables as Markdown.

/// A table of these heads and rows.
pub(super) fn text(heads: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads: Vec<_> = heads.iter().map(|&head| head.to_owned()).collect();
    let mut text = line(&heads);
    text += &format!("|{}\n", "---|".repeat(heads.len()));
    for row in rows {
        text += &line(row);
    }
    text
}
