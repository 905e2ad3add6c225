//! Tables of docs/ that tests write.

use std::{fs, path::Path, sync::Mutex};

/// Tests run side by side.
static WRITING: Mutex<()> = Mutex::new(());

/// Compares `text` with what stands between `<!-- NAME -->` and `<!-- end of NAME -->` on a page of docs/. With
/// `POLYWIRE_TEST_WRITE=1` it is written there.
pub(crate) fn check(page: &str, name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(page);
    let _writing = WRITING.lock();
    let found = fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (before, rest) = found.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    let written = format!("{before}{begin}{text}{end}{after}");
    if std::env::var_os("POLYWIRE_TEST_WRITE").is_some() {
        fs::write(&path, written).unwrap();
        return;
    }
    assert_eq!(
        found, written,
        "docs/{page}: POLYWIRE_TEST_WRITE=1 writes it"
    );
}
