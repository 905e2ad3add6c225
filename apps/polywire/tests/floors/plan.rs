//! The plan of a crate's floors, as `docs/floors.toml` has it.

use std::{collections::BTreeMap, path::Path};

/// The floors of one crate.
pub(crate) struct Plan {
    /// The folder of the crate.
    pub(crate) folder: String,
    /// The modules, lowest first: each may use those before it.
    modules: Vec<String>,
}

impl Plan {
    /// The plans of all crates in the file.
    pub(crate) fn read(file: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(file).unwrap();
        let written: BTreeMap<String, Vec<String>> = toml::from_str(&text).unwrap();
        let plans = written.into_iter().map(|(folder, floors)| Self {
            folder,
            modules: floors
                .iter()
                .flat_map(|floor| floor.split_whitespace())
                .map(|module| module.trim_end_matches('/').to_owned())
                .collect(),
        });
        plans.collect()
    }

    /// The modules that are named, lowest first.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(String::as_str)
    }

    /// How high a file stands: where the longest name that contains it is in the list.
    pub(crate) fn rank(&self, file: &str) -> Option<usize> {
        let containing = (0..self.modules.len()).filter(|&n| contains(&self.modules[n], file));
        containing.max_by_key(|&n| self.modules[n].len())
    }
}

/// Whether a file is a module or belongs to it.
pub(crate) fn contains(module: &str, file: &str) -> bool {
    file.strip_prefix(module)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}
