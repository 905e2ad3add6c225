//! The documentation is true: its commands are run, its configurations are loaded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Process, Server, ServerOptions, polywire, tls::Pair};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}

/// README.md and everything in docs/.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// A fenced block: its language and its text.
struct Block {
    language: String,
    text: String,
}

fn blocks(document: &Path) -> Vec<Block> {
    let text = fs::read_to_string(document).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                blocks.push(Block {
                    language: language.trim().to_owned(),
                    text: String::new(),
                });
            }
            None if open => {
                if let Some(block) = blocks.last_mut() {
                    block.text += line;
                    block.text += "\n";
                }
            }
            None => {}
        }
    }
    assert!(!open, "{}: a block does not end", document.display());
    blocks
}

/// Blocks of the language `sh` are run against a server; a block `text` right after one is what it prints.
/// The address of the documentation stands for the server's. Blocks of the language `console` are not run.
#[test]
fn the_commands_do_what_is_written() {
    let mut count = 0;
    for document in documents() {
        let server = Server::start(&["--debug"]);
        let blocks = blocks(&document);
        for (index, block) in blocks.iter().enumerate() {
            if block.language != "sh" {
                continue;
            }
            let here = |text: &str| {
                text.replace("127.0.0.1:8080", &server.address.to_string())
                    .replace("localhost:8080", &server.address.to_string())
            };
            let mut bash = Command::new("bash");
            bash.args(["-euo", "pipefail", "-c", &here(&block.text)])
                .current_dir(root());
            let output = Process::start("bash", &mut bash).output();
            let place = format!("{}:\n{}", document.display(), block.text);
            assert!(output.status.success(), "{place}: {output:?}");
            if let Some(expected) = blocks.get(index + 1).filter(|next| next.language == "text") {
                let printed = String::from_utf8(output.stdout).unwrap();
                assert_eq!(printed.trim(), here(&expected.text).trim(), "{place}");
            }
            count += 1;
        }
    }
    assert!(count >= 4, "only {count} commands were found");
}

#[test]
fn the_configurations_are_accepted() {
    let mut count = 0;
    // The certificate that they name, where the server is started.
    let (folder, pair) = (Path::new(env!("CARGO_TARGET_TMPDIR")), Pair::new());
    fs::write(folder.join("cert.pem"), &pair.certificate).unwrap();
    fs::write(folder.join("key.pem"), &pair.key).unwrap();
    for document in documents() {
        for block in blocks(&document) {
            if block.language == "toml" && !block.text.contains("[dependencies]") {
                // A fixed port may be another program's.
                let text = block.text.replace(":9000\"", ":0\"");
                ServerOptions::new(&[]).config(&text).start();
                count += 1;
            }
        }
    }
    assert!(count >= 2, "only {count} configurations were found");
}

#[test]
fn every_flag_is_documented() {
    let help = polywire().args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let documented = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut count = 0;
    for word in help
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
    {
        let flag: String = word
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || *c == '-')
            .collect();
        assert!(
            documented.contains(&flag),
            "docs/configuration.md does not name {flag}"
        );
        count += 1;
    }
    assert!(count > 8, "{help}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().unwrap().join(target);
            assert!(path.exists(), "{}: no {target}", document.display());
        }
    }
}

#[test]
fn the_test_command_of_the_readme_is_what_ci_runs() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(readme.contains("\n./check\n"));
    assert!(ci.contains("\nexec ./check"));
}
